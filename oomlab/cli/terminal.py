"""A listing that is drawn again in place, without flicker and with nothing to restore.

No alternate screen and no hidden cursor: whatever ends the program, the last view stays and the
terminal is as it was.
"""

from __future__ import annotations

import os
import shutil
import sys

_CLEAR_SCREEN = "\x1b[2J\x1b[H"
_END_OF_LINE = "\x1b[K"
_END_OF_SCREEN = "\x1b[J"


def is_smart() -> bool:
    """Tell whether the terminal can move its cursor."""
    return os.environ.get("TERM", "dumb") != "dumb"


def drop_output() -> None:
    """Throw away what is still to be written: whoever read it has left."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Redrawn:
    """Draws each text over the one before, in a single write."""

    def __init__(self) -> None:
        self._lines = 0
        self._size = shutil.get_terminal_size()

    def show(self, text: str) -> None:
        """Draw ``text``, cut to the lines that the terminal has."""
        size = shutil.get_terminal_size()
        lines = text.splitlines()
        # What scrolls off the top could not be drawn over: the cursor needs the last line.
        if len(lines) >= size.lines:
            lines = lines[: max(size.lines - 1, 1)]
        up = f"\x1b[{self._lines}A\r" if self._lines else ""
        if size != self._size:
            up = _CLEAR_SCREEN  # a terminal that was resized has wrapped the old lines anew
        body = "".join(f"{line}{_END_OF_LINE}\n" for line in lines)
        sys.stdout.write(f"{up}{body}{_END_OF_SCREEN}")
        sys.stdout.flush()
        self._lines, self._size = len(lines), size
