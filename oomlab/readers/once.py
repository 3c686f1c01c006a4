"""Sources that can be read only once: a pipe that was looked into is handed on, not reopened."""

from __future__ import annotations

import stat
import sys
from pathlib import Path
from typing import Any, BinaryIO

STDIN = "-"
_looked_into: dict[str, Any] = {}


def peek(source: str, count: int) -> bytes:
    """Return a source's first bytes without taking them from who reads it next.

    Raises OSError.
    """
    stream = open_source(source)
    start = bytes(stream.peek(count)[:count])
    if source != STDIN:
        if stat.S_ISREG(Path(source).stat().st_mode):
            stream.close()
        else:
            _looked_into[source] = stream
    return start


def open_source(source: str) -> Any:
    """Open a file or "-", standard input, as a buffered stream. Raises OSError."""
    if source == STDIN:
        return sys.stdin.buffer
    kept: BinaryIO | None = _looked_into.pop(source, None)
    return kept or Path(source).open("rb")
