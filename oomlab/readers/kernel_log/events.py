"""Events that are open: whose a line is, what it adds to the report, and when a report ends.

A line that nothing recognises alone may go on from the line before (mail programs wrap, even
inside a number): it is joined where the whole is a report line in all strictness, and else kept
as unparsed.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...report import OomReport
from .belonging import CUT_HEAD, OPENERS, begins_another, belongs, is_over, repeats
from .handling import add_unparsed
from .joining import join, read_whole
from .lines import Line, classify, looks_important
from .lost_header import is_row, read_headless
from .reports import add_line
from .streams import LOST_AFTER_LINES, Key, Stream, Streams
from .wrapped import Wrapped

QUIET_LINES = 400
"""An event ends when so many lines in a row say nothing of it."""
QUIET_AFTER_KILL = 100
"""And so many once somebody has been killed: more deaths and oom_reaper's word come soon."""
MAX_LINES = 1 << 15
"""Lines other than rows that an event may have: the largest machines print half as many."""
MAX_STREAMS = 64
"""Hosts and callers with an open event at a time; the one quiet for longest makes room."""
_MOST_IN_VAIN = 4
"""Broken lines come in a row; where so many could not be joined, it is another text."""


class Events:
    """The open events of one log, by who prints them, and those that have ended."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._done: list[OomReport] = []
        self.streams = Streams()
        self.last: Stream | None = None
        """Whose line came last: the next one is its too, if nothing is in front of it."""
        self.cut_head = False
        """An event's first lines are lost: it may begin with any that is surely a report's."""

    def finished(self) -> Iterator[OomReport]:
        """Yield the events that have ended since the last call."""
        done, self._done = self._done, []
        yield from sorted(done, key=lambda report: report.line or 0)

    def are_over(self) -> bool:
        """Tell whether of no event more than its aftermath can come."""
        for one in self.streams.values():  # noqa: SIM110  # for every line: no generator
            if not one.is_epilogue:
                return False
        return True

    def close(self) -> None:
        """End all events: the log is over, or nothing has been said of them for long."""
        for stream in list(self.streams.values()):
            self.flush(stream)
            self._finish(stream)
        self.streams.clear()
        self.last = None

    def stream_of(self, wrapped: Wrapped, line: Line | None) -> Stream | None:
        """Return the stream of a line; None where it has nothing to do with any event."""
        key = (wrapped.host, wrapped.caller, 0)
        if line is not None and line.kind == "reaper":
            owner = self._owner(int(line.match["pid"]))
            if owner is not None:
                return owner
        if not wrapped.marked and self.last is not None:
            return self.last
        stream = self.streams.by_clock(key, wrapped, line)
        if stream is not None and self.streams[key].unheard > LOST_AFTER_LINES:
            self._end(key)
        if stream is None and line is not None and line.kind != "trigger":
            stream = self.streams.only_one(wrapped)
        if stream is None and line is None and wrapped.foreign:
            stream = next((s for (h, *_), s in self.streams.items() if h == wrapped.host), None)
        if stream is None:
            opens = line is not None and self._opens(line)
            if not opens and not (line is None and _may_open(wrapped)):
                return None
            if len(self.streams) >= MAX_STREAMS:
                self._end(max(self.streams, key=lambda one: self.streams[one].quiet))
            stream = self.streams[key] = Stream(clock=wrapped.uptime_seconds)
        self.last = stream
        return stream

    def _opens(self, line: Line) -> bool:
        """Tell whether a line may be an event's first."""
        if self.cut_head and line.kind == "row":
            return is_row(line.match[0])
        return line.kind in (CUT_HEAD if self.cut_head else OPENERS)

    def _owner(self, pid: int) -> Stream | None:
        for stream in list(self.streams.values()):
            if stream.holds_kill:
                self.flush(stream)
            report = stream.report
            if report is not None and any(victim.pid == pid for victim in report.victims):
                return stream
        return None

    def flush_all(self) -> None:
        """Commit what is held: only an unmarked line goes on from another, and follows at once."""
        for one in [stream for stream in self.streams.values() if stream.held is not None]:
            self.flush(one)

    def flush(self, stream: Stream) -> None:
        """Commit the held line, joined with what goes on from it."""
        held, stream.held = stream.held, None
        if held is None:
            return
        texts, columns, whole = held.texts, held.wrapped.columns, held.whole
        line, in_vain = held.line, 0
        while texts:
            used = 1
            if len(texts) > 1 and in_vain < _MOST_IN_VAIN:
                line, used = join(texts, line, stream.report, columns)
                in_vain += used == 1
            if used == 1 and not whole:
                line = read_whole(texts[0], stream.report) or line
            if line is None:
                self.aside(stream, texts[0])
            else:
                self.commit(stream, line, held.wrapped, held.number)
            texts = texts[used:]
            columns, whole = 0, False
            line = classify(texts[0]) if texts else None

    def commit(self, stream: Stream, line: Line, wrapped: Wrapped, number: int) -> None:
        """Add a line to its stream's event, or begin an event with it."""
        report = stream.report
        if report is None or begins_another(report, line):
            if not self._opens(line):
                self.pass_by()
                return
            self._finish(stream)
            report = stream.report = OomReport(
                source=self._source,
                line=number,
                time=wrapped.time,
                uptime_seconds=wrapped.uptime_seconds,
                host=wrapped.host,
            )
        elif not belongs(report, line):
            self.pass_by()
            return
        elif repeats(report, line):
            report.is_mixed = True
        stream.quiet = 0
        if not is_over(report):
            for text in stream.tail:
                add_unparsed(report, text)
        stream.tail.clear()
        if report.time is None:
            report.time = wrapped.time
        if line.kind != "row":
            stream.lines += 1
            if stream.lines > MAX_LINES:
                add_unparsed(report, line.match[0])
                return
        add_line(report, line)

    def aside(self, stream: Stream, text: str) -> None:
        """Put a line aside that is not known to be the event's."""
        if len(stream.tail) < QUIET_LINES:
            stream.tail.append(text)
        self.pass_by()

    def pass_by(self) -> None:
        """Count a line that says nothing of any event, and end those quiet for long."""
        for key, one in list(self.streams.items()):
            one.quiet += 1
            if one.quiet > (QUIET_AFTER_KILL if one.is_epilogue else QUIET_LINES):
                self._end(key)

    def _end(self, key: Key) -> None:
        """End a stream and its event; of two logs of one host and caller the first goes first."""
        first, second = (*key[:2], 0), (*key[:2], 1)
        if key == second and first in self.streams:
            self._end(first)
            key = first
        one = self.streams[key]
        self.flush(one)
        self._finish(one)
        self.streams.pop(key, None)
        if second in self.streams:
            self.streams[first] = self.streams.pop(second)
        self.last = None if self.last is one else self.last

    def _finish(self, stream: Stream) -> None:
        report, stream.report = stream.report, None
        stream.quiet = stream.lines = 0
        if report is None:
            stream.tail.clear()
            return
        for text in stream.tail:
            if looks_important(text) and not is_over(report):
                add_unparsed(report, text)
        stream.tail.clear()
        read_headless(report)
        self._done.append(report)


def _may_open(wrapped: Wrapped) -> bool:
    """Tell whether an event may begin with a line that is not whole."""
    return "oom-kill" in wrapped.text or (wrapped.marked and looks_important(wrapped.text))
