"""Find the events of a log of any size, in bounded memory.

Between events only marks are searched for, at the speed of memory; lines are taken apart from
the first mark on until the event has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ...report import OomReport
from .assemble import Assembler
from .marks import TRIGGER, WEAK_MARKS, Haystack

CHUNK_BYTES = 1 << 18
"""As much of a stream as is searched at once: it must stay in the CPU's own cache."""
MAX_LINE_BYTES = 1 << 16
_USUAL_LINE_BYTES = 1 << 9
LOOK_BACK_BYTES = 1 << 17
EXPORT_BYTES = 1 << 12
"""A journal's export writes an entry's time and host on the lines before its message."""

_NEWLINE = 10

ReadInto = Callable[[memoryview], int]
ReadAt = Callable[[int, int], bytes]
"""Reads from a place on so many bytes."""


def scan(
    read_into: ReadInto, source: str, *, chunk_bytes: int = CHUNK_BYTES
) -> Iterator[OomReport]:
    """Yield the events of a byte stream as they end.

    ``read_into`` fills a buffer and returns how many bytes it put there, 0 at the end.
    """
    scanner = Scanner(source, chunk_bytes)
    while count := read_into(scanner.room()):
        scanner.take(count)
        yield from scanner.finished()
    scanner.close()
    yield from scanner.finished()


class Scanner:
    """Takes a log's bytes piece by piece, finds marks and feeds lines to an assembler.

    Where ``read_at`` can read the log at any place, what stands before a mark is read again
    when it is wanted; else it is kept.
    """

    def __init__(self, source: str, chunk_bytes: int, read_at: ReadAt | None = None) -> None:
        self._assembler = Assembler(source)
        self._chunk_bytes = chunk_bytes
        self._read_at = read_at
        self._haystack = Haystack(MAX_LINE_BYTES + chunk_bytes)
        self._buffer = self._haystack.buffer
        self._view = memoryview(self._buffer)
        self._kept = 0
        """Bytes of a line at the buffer's beginning that has not ended yet."""
        self._number = 1
        """Number of the line at the buffer's beginning."""
        self._before = b""
        """Lines just before it that no assembler has seen, where they can't be read again."""
        self._base = 0
        """Where in the log the buffer's first byte comes from."""
        self.used = 0
        """Where in the log the last line ends that was fed to the assembler."""

    @property
    def place(self) -> int:
        """Return where in the log the next bytes come from."""
        return self._base + self._kept

    @property
    def wants_more(self) -> bool:
        """Tell whether the log's next bytes count even without a mark in them."""
        return self._assembler.busy or (self._kept > 0 and self._haystack.is_marked(0, self._kept))

    def finished(self) -> Iterator[OomReport]:
        """Yield the events that have ended since the last call."""
        return self._assembler.finished()

    def room(self) -> memoryview:
        """Return where the log's next bytes are to be put."""
        return self._view[self._kept : self._kept + self._chunk_bytes]

    def take(self, count: int) -> None:
        """Take ``count`` bytes that were put into the room."""
        end = self._kept + count
        whole = self._buffer.rfind(b"\n", 0, end) + 1
        if not whole and end < MAX_LINE_BYTES:
            self._kept = end
            return
        # A line without end is taken in pieces.
        if not whole or end - whole >= MAX_LINE_BYTES:
            whole = end
        self._take_lines(whole)
        self._base += whole
        self._kept = end - whole
        self._buffer[: self._kept] = self._buffer[whole:end]

    def go_to(self, place: int, lines: int) -> None:
        """Go on at another place of the log, after so many lines."""
        if self.place == place:
            return
        rest = self._line_before(place)
        self._number = lines + 1
        self._kept = len(rest)
        self._buffer[: self._kept] = rest
        self._base = place - self._kept

    def _line_before(self, place: int) -> bytes:
        """Return what stands in a line before a place inside it."""
        assert self._read_at is not None
        for reach in (_USUAL_LINE_BYTES, MAX_LINE_BYTES - 1):
            start = max(self.used, place - reach)
            before = self._read_at(start, place - start)
            begun = before.rfind(b"\n") + 1
            if begun or start == self.used:
                break
        return before[begun:]

    def close(self) -> None:
        """End the log: a last line without newline is a line too."""
        self._take_lines(self._kept)
        if not self.used and self._read_at is None and WEAK_MARKS.search(self._before):
            for number, line in enumerate(self._before.split(b"\n"), self._number_of_before()):
                self._assembler.feed(line.decode("utf-8", "surrogateescape"), number)
        self._assembler.close()

    def _number_of_before(self) -> int:
        """Return the number of the first line of those that no assembler has seen."""
        return self._number - self._before.count(b"\n")

    def _take_lines(self, end: int) -> None:
        """Take the buffer's lines up to ``end``."""
        buffer, assembler, find = self._buffer, self._assembler, self._haystack
        position = seen = 0
        while position < end:
            if not assembler.busy:
                mark = find.next_mark(position, end) if find.is_marked(position, end) else -1
                if mark < 0:
                    break
                start = buffer.rfind(b"\n", position, mark) + 1 or position
                self._number += buffer.count(b"\n", position, start)
                self._look_back(seen, start, mark)
                position = max(start, mark - MAX_LINE_BYTES // 2)
            position = seen = self._feed(position, end)
        self._number += buffer.count(b"\n", position, end)
        if seen:
            self.used = self._base + seen
        if self._read_at is None:
            unseen = buffer[max(seen, end - LOOK_BACK_BYTES - 1) : end]
            self._before = (self._before + unseen)[-LOOK_BACK_BYTES - 1 :]

    def _feed(self, position: int, end: int) -> int:
        """Feed lines until the event has ended; return where the next line begins."""
        buffer, assembler = self._buffer, self._assembler
        self._before = b""
        while position < end:
            stop = buffer.find(b"\n", position, end) + 1 or end
            line = buffer[position : min(stop, position + MAX_LINE_BYTES)]
            assembler.feed(line.decode("utf-8", "surrogateescape"), self._number)
            self._number += buffer[stop - 1] == _NEWLINE
            position = stop
            if not assembler.busy:
                break
        return position

    def _look_back(self, seen: int, start: int, mark: int) -> None:
        """Feed the lines just before a marked one: a report whose head is lost may stand there."""
        reach = LOOK_BACK_BYTES
        if self._buffer.startswith(TRIGGER, mark):
            reach = EXPORT_BYTES if self._buffer.startswith(b"MESSAGE=", start) else 0
            if not reach and not self._buffer[start:mark].strip(b" \t>"):
                reach = _USUAL_LINE_BYTES  # the name was broken off, and stands on the line before
        if not reach:
            return
        # One byte more tells whether there is more.
        first = max(seen, start - reach - 1)
        if self._read_at is None:
            before = self._before + self._buffer[first:start]
        else:
            place = self._base + first if seen else max(self.used, self._base + start - reach - 1)
            before = self._read_at(place, self._base + start - place)
        if len(before) > reach:
            before = before[before.find(b"\n", len(before) - reach) + 1 :]
        lines = before.split(b"\n")[:-1]
        texts = [line[:MAX_LINE_BYTES].decode("utf-8", "surrogateescape") for line in lines]
        self._assembler.look_back(texts, self._number - len(texts))
