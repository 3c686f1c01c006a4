"""A bar on stderr while a log is read: only on a terminal, only after a second."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

from ..output.escape import printable
from ..units import human

_SILENT_SECONDS = 1.0
_STEP_SECONDS = 0.1
_ERASE = "\r\x1b[K"


class Progress:
    """How much of one file after the other has been read."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self.wanted = self._stream.isatty()
        self._due = time.monotonic() + _SILENT_SECONDS
        self._name, self._size = "", 0
        self._drawn = False

    def file(self, name: str, size_bytes: int) -> None:
        """Begin a file; its size is 0 where that is not known."""
        self._name, self._size = printable(name), size_bytes

    def tell(self, done_bytes: int) -> None:
        """Draw the bar anew if it is time."""
        now = time.monotonic()
        if not self.wanted or now < self._due:
            return
        self._due = now + _STEP_SECONDS
        columns = shutil.get_terminal_size().columns
        self._stream.write(_ERASE + self._line(done_bytes, columns))
        self._stream.flush()
        self._drawn = True

    def clear(self) -> None:
        """Take the bar away, before anything else is written."""
        if self._drawn:
            self._stream.write(_ERASE)
            self._stream.flush()
            self._drawn = False

    def _line(self, done_bytes: int, columns: int) -> str:
        if not self._size:
            return f"{self._name[: columns // 2]} {human(done_bytes)}"
        share = min(1.0, done_bytes / self._size)
        end = f" {share:4.0%} of {human(self._size)}"
        name = self._name[: max(0, columns // 2 - len(end))]
        width = max(0, columns - len(name) - len(end) - 4)
        full = round(share * width)
        return f"{name} [{'#' * full}{'-' * (width - full)}]{end}"
