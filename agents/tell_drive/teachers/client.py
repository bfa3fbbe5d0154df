"""One POST to an OpenAI-compatible endpoint, and everything that can go wrong with it.

The key is read from an environment variable when a request is made. It is no attribute of
anything here, and text that comes back is cleaned of it before it is kept or shown.
"""

from __future__ import annotations

import ipaddress
import json
import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

import httpx

from hybridrl.agents.tell_drive.teachers.breaker import CircuitBreaker
from hybridrl.planners.errors import ScenarioError

Message = dict[str, str]
LARGEST = 1_000_000  # bytes of an answer
PATIENCE_S = 30.0  # longest wait that a Retry-After can ask for
FORMS = ("json_schema", "json_object", "text")


class TeacherError(RuntimeError):
    """A call that failed for good; the message holds no key and no text of the server."""


class Completion(NamedTuple):
    """What an endpoint answered.

    Args:
        text: Of the first choice.
        prompt_tokens: As the endpoint counted.
        completion_tokens: Likewise.
        model: That the endpoint says has answered.
        fingerprint: Of the server's configuration, or ``""``.
        latency_s: Seconds with all retries.
    """

    text: str
    prompt_tokens: int
    completion_tokens: int
    model: str
    fingerprint: str
    latency_s: float


@dataclass(frozen=True)
class Limits:
    """How long to wait, and how often to try.

    Args:
        connect_s: For a connection.
        read_s: For the next bytes of an answer.
        total_s: For one whole answer.
        retries: After the first try, on 429, 5xx and time-outs.
        backoff_s: Longest wait before the first retry; it doubles each time.
    """

    connect_s: float = 5.0
    read_s: float = 30.0
    total_s: float = 60.0
    retries: int = 3
    backoff_s: float = 0.5


class ChatClient:
    """Talks to ``<base_url>/chat/completions``.

    Args:
        base_url: As in ``http://127.0.0.1:8000/v1``; there is no default.
        model: Name of the model.
        key_env: Environment variable that holds the key; no key is sent when it is empty.
        limits: Time-outs and retries.
        breaker: Shared by the threads of a teacher.
        transport: Of httpx, for tests without a socket.
        sleep: Waits so many seconds.
        seed: Of the jitter.

    Raises:
        ScenarioError: If the address cannot be used, or would send a key unencrypted.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        key_env: str = "",
        limits: Limits | None = None,
        breaker: CircuitBreaker | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        seed: int = 0,
    ) -> None:
        self.base_url = _checked(base_url, bool(key_env))
        self.model = model
        self.key_env = key_env
        self.limits = limits or Limits()
        self.breaker = breaker or CircuitBreaker()
        self.form = FORMS[0]
        self._sleep = sleep
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        wait = httpx.Timeout(self.limits.read_s, connect=self.limits.connect_s)
        self._http = httpx.Client(timeout=wait, transport=transport, trust_env=False)

    def complete(
        self,
        messages: Sequence[Message],
        schema: dict[str, Any],
        max_tokens: int = 160,
        temperature: float = 0.0,
    ) -> Completion:
        """Ask once, with retries.

        Args:
            messages: Roles and texts.
            schema: JSON schema of the answer.
            max_tokens: Longest answer.
            temperature: Of sampling.

        Raises:
            TeacherError: If no answer came, or the breaker is open.
        """
        began = time.monotonic()
        body = {
            "model": self.model,
            "messages": list(messages),
            "max_tokens": max_tokens,
            "temperature": temperature,
        }
        for attempt in range(self.limits.retries + 1):
            if not self.breaker.allow():
                raise TeacherError("the endpoint failed too often and is left alone for a while")
            status, data, after = self._post_any_form(body, schema)
            if status == 200:
                self.breaker.succeeded()
                return self._read(data, time.monotonic() - began)
            self.breaker.failed()
            if not (status == 0 or status == 429 or status >= 500):
                raise TeacherError(f"the endpoint refused the request: HTTP {status}")
            if attempt < self.limits.retries:
                self._sleep(self._wait(attempt, after))
        raise TeacherError("the endpoint did not answer: " + (f"HTTP {status}" if status else data))

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled.

        Raises:
            TypeError: Always: a client holds sockets.
        """
        raise TypeError("a client of an endpoint is not saved; make a new one")

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _post_any_form(self, body: dict[str, Any], schema: dict[str, Any]) -> tuple[int, str, str]:
        """Post; where the endpoint knows no schemas, fall back and remember what it knows."""
        while True:
            form = self.form
            status, data, after = self._post({**body, **_format(form, schema)})
            if status != 400 or form == FORMS[-1]:
                return status, data, after
            with self._lock:
                if self.form == form:
                    self.form = FORMS[FORMS.index(form) + 1]

    def _post(self, body: dict[str, Any]) -> tuple[int, str, str]:
        """Status (0 without an answer), text or what went wrong, and Retry-After.

        No exception leaves this function: those of httpx hold the request with its headers.
        """
        deadline = time.monotonic() + self.limits.total_s
        key = os.environ.get(self.key_env, "") if self.key_env else ""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        url = f"{self.base_url}/chat/completions"
        read = bytearray()
        try:
            with self._http.stream("POST", url, json=body, headers=headers) as response:
                for chunk in response.iter_bytes():
                    read += chunk
                    if len(read) > LARGEST:
                        return 0, "an answer of more than a megabyte", ""
                    if time.monotonic() > deadline:
                        return 0, "time-out of the whole answer", ""
                status, after = response.status_code, response.headers.get("retry-after", "")
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            return 0, type(error).__name__, ""
        text = read.decode("utf-8", errors="replace")
        return status, text.replace(key, "[key]") if key else text, after

    def _wait(self, attempt: int, after: str) -> float:
        """Seconds to wait: as the server asks, else exponential with full jitter."""
        try:
            return min(max(float(after), 0.0), PATIENCE_S)
        except ValueError:
            with self._lock:
                return self._random.uniform(0.0, self.limits.backoff_s * 2**attempt)

    def _read(self, data: str, latency_s: float) -> Completion:
        try:
            body = json.loads(data)
            text = body["choices"][0]["message"]["content"]
            usage = body.get("usage") or {}
            asked, said = (int(usage.get(f"{k}_tokens") or 0) for k in ("prompt", "completion"))
            name, print_ = (str(body.get(k) or "")[:80] for k in ("model", "system_fingerprint"))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            # An answer came but is broken: the caller counts it as an invalid one.
            return Completion("", 0, 0, "", "", latency_s)
        plain = text if isinstance(text, str) else ""
        return Completion(plain, max(asked, 0), max(said, 0), name, print_, latency_s)


def _format(form: str, schema: dict[str, Any]) -> dict[str, Any]:
    if form == "json_schema":
        named = {"name": "advice", "strict": True, "schema": schema}
        return {"response_format": {"type": form, "json_schema": named}}
    return {"response_format": {"type": form}} if form == "json_object" else {}


def _checked(base_url: str, with_key: bool) -> str:
    """The address without a last slash.

    Raises:
        ScenarioError: If it is none, or holds a password, or would send a key unencrypted.
    """
    try:
        url = httpx.URL(base_url)
    except (httpx.InvalidURL, TypeError):
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        raise ScenarioError("base_url", base_url, "an address like http://127.0.0.1:8000/v1")
    if url.userinfo:
        raise ScenarioError("base_url", "(hidden)", "an address without a user or a password")
    if with_key and url.scheme == "http" and not _here(url.host):
        raise ScenarioError("base_url", base_url, "https: a key is not sent unencrypted")
    return base_url.rstrip("/")


def _here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
