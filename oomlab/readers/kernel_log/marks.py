"""What betrays an event in a log of any size: a few byte strings, searched for as fast as may be.

Lines are taken apart only near a mark, so the speed of a scan is the speed of this search.
``bytes.find`` and ``bytes.count`` look at every byte; the C library's ``memmem`` skips most of
them, and is used where there is one.
"""

from __future__ import annotations

import re
from collections.abc import Callable

TRIGGER = b"invoked oom-killer"
MARKS = (
    TRIGGER,
    b"Killed process ",
    b"oom-killer: gfp_mask",
    b"oom-kill:constraint=",
    b"Kill process ",
    b"kill process ",
    b"OOM killed process ",
)
"""What begins, chooses or ends an event; one of them stands in every report of a kill."""
_NEEDLES = (b"oom-kill", b"illed process ", b"ill process ")
"""One of them is in each of the marks."""


def _as_numbers(text: bytes) -> tuple[bytes, bytes]:
    """Return how JSON writes text that is not plain: byte by byte, without blanks or with."""
    numbers = [str(byte) for byte in text]
    return ",".join(numbers).encode(), ", ".join(numbers).encode()


JSON_MARKS = (*_as_numbers(b"oom-kill"), *_as_numbers(b"Killed process "))
_JSON_WITHIN = 4096
"""A part of a log that holds lines of JSON has a brace among so many bytes at its beginning."""
WEAK_MARKS = re.compile(rb"killed as a result of limit of|no killable processes")
"""What is left of an event where nobody kept its first line nor its kill; for small logs only."""
LONGEST = max(map(len, (*MARKS, *JSON_MARKS)))

Find = Callable[[bytes, int, int], int]


class Haystack:
    """A buffer that is filled and searched again and again."""

    def __init__(self, size: int) -> None:
        self.buffer = bytearray(size)
        self.find: Find = _memmem(self.buffer) or self.buffer.find

    def is_marked(self, start: int, end: int) -> bool:
        """Tell whether something in this part may be a mark: rarely without being one."""
        return any(self.find(needle, start, end) >= 0 for needle in _NEEDLES) or any(
            self.find(mark, start, end) >= 0 for mark in self._json_marks(start, end)
        )

    def next_mark(self, start: int, end: int) -> int:
        """Return where the next mark begins, or -1."""
        nearest = -1
        for mark in (*MARKS, *self._json_marks(start, end)):
            found = self.find(mark, start, end if nearest < 0 else min(end, nearest + len(mark)))
            if found >= 0 and (nearest < 0 or found < nearest):
                nearest = found
        return nearest

    def _json_marks(self, start: int, end: int) -> tuple[bytes, ...]:
        brace = self.buffer.find(b"{", start, min(end, start + _JSON_WITHIN))
        return () if brace < 0 else JSON_MARKS


def _memmem(buffer: bytearray) -> Find | None:
    """Return a search of ``buffer`` by the C library; None where it has none."""
    try:
        import ctypes

        search = ctypes.CDLL(None).memmem
        search.restype = ctypes.c_void_p
        search.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
        held = ctypes.c_char.from_buffer(buffer)
    except (ImportError, OSError, AttributeError, TypeError):
        return None
    first = ctypes.addressof(held)

    # While ``held`` lives the buffer can't be resized and keeps its place.
    def find(needle: bytes, start: int, end: int, _held: object = held) -> int:
        if end - start < len(needle):
            return -1
        place = search(first + start, end - start, needle, len(needle))
        return -1 if place is None else int(place) - first

    return find
