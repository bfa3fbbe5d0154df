"""Tables in written pages, kept equal to what a command prints.

A page holds a block between ``<!-- table: hybridrl ... -->`` and ``<!-- end of table -->``; running
``python -P -m hybridrl.benchmarks.pages README.md`` in the repository fills it again.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

BLOCK = re.compile(
    r"(<!-- table: hybridrl (?P<command>[^>]*?) -->\n).*?(<!-- end of table -->)", re.DOTALL
)


def refreshed(text: str, run: Callable[[list[str]], str]) -> str:
    """A page with every block filled by its command.

    Args:
        text: The page.
        run: From a command's words to what it prints.
    """

    def fill(block: re.Match[str]) -> str:
        printed = run(shlex.split(block["command"])).strip("\n")
        return f"{block[1]}{printed}\n{block[3]}" if printed else f"{block[1]}{block[3]}"

    return BLOCK.sub(fill, text)


def run_hybridrl(words: Sequence[str]) -> str:
    """What a ``hybridrl`` command prints.

    Raises:
        subprocess.CalledProcessError: If it fails.
    """
    command = [sys.executable, "-P", "-m", "hybridrl", *words]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def main(files: Sequence[str]) -> None:
    """Fill the blocks of some pages."""
    for file in map(Path, files):
        file.write_text(refreshed(file.read_text("utf-8"), run_hybridrl), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
