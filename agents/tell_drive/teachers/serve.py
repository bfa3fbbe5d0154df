"""An OpenAI-compatible endpoint on this machine, for the local model or anything that answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from hybridrl.planners.json_text import parse_json

LARGEST = 1_000_000  # bytes of a request
Respond = Callable[[dict[str, Any]], tuple[str, int]]


class Endpoint:
    """Serves ``POST /v1/chat/completions`` on loopback, in threads of its own.

    Args:
        respond: From the body of a request to the answer's text and the prompt's tokens.
        model: Its name.
        port: To listen on; any free one when 0.
    """

    def __init__(self, respond: Respond, model: str, port: int = 0) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(respond, model))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def base_url(self) -> str:
        """Address for a client."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Endpoint:
        """Begin to serve."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End serving."""
        self._server.shutdown()
        self._server.server_close()

    def wait(self) -> None:
        """Serve until interrupted."""
        self._thread.join()


def _handler(respond: Respond, model: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Reads a request, asks, and writes the answer; logs nothing."""

        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            """Answer one request."""
            length = int(self.headers.get("Content-Length") or 0)
            if self.path != "/v1/chat/completions" or not 0 < length <= LARGEST:
                return self._send(404, {"error": {"message": "POST /v1/chat/completions"}})
            try:
                body = parse_json(self.rfile.read(length))
                text, tokens = respond(body)
            except (ValueError, LookupError, TypeError):
                problem = "expected messages and a json_schema with an enum of actions"
                return self._send(400, {"error": {"message": problem}})
            words = max(1, len(text) // 4)
            usage = {"prompt_tokens": tokens, "completion_tokens": words}
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self._send(
                200,
                {
                    "object": "chat.completion",
                    "model": model,
                    "system_fingerprint": "hybridrl",
                    "choices": [choice],
                    "usage": {**usage, "total_tokens": tokens + words},
                },
            )

        def log_message(self, format: str, *args: Any) -> None:
            """Keep quiet: a request line could hold anything."""

        def _send(self, status: int, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Handler
