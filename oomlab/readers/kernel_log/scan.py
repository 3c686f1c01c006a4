"""Find the events of a log of any size, in bounded memory.

Between events only two markers are searched for, at the speed of memory; lines are taken
apart from the first marker on until the event has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ...report import OomReport
from .assemble import Assembler

TRIGGER = b"invoked oom-killer"
MARKERS = (TRIGGER, b"Killed process ")
"""What begins or ends an event; one of them stands in every report that tells of a kill."""
RARE_MARKERS = (
    b"oom-killer: gfp_mask",
    b"oom-kill:constraint=",
    b"Kill process ",
    b"kill process ",
    # «oom-kill» as a journal's JSON writes lines that are not plain text: byte by byte.
    b"111,111,109,45,107,105,108,108",
    b"111, 111, 109, 45, 107, 105, 108, 108",
)
"""Searched for as well where the log is small: remains of reports that were cut at both ends."""

CHUNK_BYTES = 1 << 20
MAX_LINE_BYTES = 1 << 16
LOOK_BACK_BYTES = 1 << 17
EXPORT_BYTES = 1 << 12
"""A journal's export writes an entry's time and host on the lines before its message."""
SMALL_BYTES = 32 << 20
"""Up to here into a log the rare markers are searched for too."""

ReadInto = Callable[[memoryview], int]


def scan(read_into: ReadInto, source: str) -> Iterator[OomReport]:
    """Yield the events of a byte stream as they end.

    ``read_into`` fills a buffer and returns how many bytes it put there, 0 at the end.
    """
    scanner = _Scanner(source)
    buffer = bytearray(CHUNK_BYTES + MAX_LINE_BYTES)
    view = memoryview(buffer)
    kept = 0
    while True:
        count = read_into(view[kept : kept + CHUNK_BYTES])
        end = kept + count
        if not count:
            if kept:
                buffer[end : end + 1] = b"\n"
                scanner.take(buffer, end + 1)
            break
        whole = buffer.rfind(b"\n", 0, end) + 1
        if not whole and end < MAX_LINE_BYTES:
            kept = end
            continue
        # A line without end is cut into pieces.
        whole = whole or end
        if end - whole >= MAX_LINE_BYTES:
            whole = end
        scanner.take(buffer, whole)
        yield from scanner.finished()
        kept = end - whole
        buffer[:kept] = buffer[whole:end]
    scanner.close()
    yield from scanner.finished()


class _Scanner:
    def __init__(self, source: str) -> None:
        self._assembler = Assembler(source)
        self._number = 1
        self._taken = 0
        self._before = b""
        """The end of the last buffer, to look back into; empty after an event."""

    def finished(self) -> Iterator[OomReport]:
        return self._assembler.finished()

    def close(self) -> None:
        self._assembler.close()

    def take(self, buffer: bytearray, end: int) -> None:
        """Take whole lines, ``end`` bytes of them."""
        position, assembler = 0, self._assembler
        fresh = 0
        while position < end:
            if not assembler.busy:
                mark = self._next_mark(buffer, position, end)
                if mark < 0:
                    break
                start = buffer.rfind(b"\n", position, mark) + 1 or position
                self._number += buffer.count(b"\n", position, start)
                reach = LOOK_BACK_BYTES
                if buffer.startswith(TRIGGER, mark):
                    reach = EXPORT_BYTES if buffer.startswith(b"MESSAGE=", start) else 0
                if reach:
                    self._look_back(bytes(buffer[max(fresh, start - reach) : start]), reach)
                position = start
            while True:
                stop = buffer.find(b"\n", position, end) + 1 or end
                line = buffer[position : min(stop, position + MAX_LINE_BYTES)]
                assembler.feed(line.decode("utf-8", "surrogateescape"), self._number)
                self._number += 1
                position = fresh = stop
                self._before = b""
                if position >= end or not assembler.busy:
                    break
        self._number += buffer.count(b"\n", position, end)
        self._before = bytes(buffer[max(fresh, end - LOOK_BACK_BYTES) : end])
        self._taken += end

    def _next_mark(self, buffer: bytearray, position: int, end: int) -> int:
        markers = MARKERS if self._taken > SMALL_BYTES else MARKERS + RARE_MARKERS
        nearest = -1
        for marker in markers:
            found = buffer.find(marker, position, end if nearest < 0 else nearest)
            nearest = found if found >= 0 else nearest
        return nearest

    def _look_back(self, before: bytes, reach: int) -> None:
        """Feed the lines just before a marker: a report whose head is lost may stand there."""
        lines = (self._before + before)[-reach:].split(b"\n")
        self._before = b""
        texts = [line[:MAX_LINE_BYTES].decode("utf-8", "surrogateescape") for line in lines[:-1]]
        self._assembler.look_back(texts, self._number - len(texts))
