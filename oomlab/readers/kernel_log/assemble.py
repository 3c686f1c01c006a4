"""From lines in order to events: which line belongs to which report, and where one ends.

A stream is what one host and one printk caller say. A line that nothing recognises alone may
go on from the line before (mail programs wrap, even inside a number): it is joined where the
whole is a report line in all strictness, and else kept as unparsed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...report import OomReport
from .belonging import CUT_HEAD, OPENERS, begins_another, belongs, is_over, repeats
from .handling import add_unparsed
from .joining import EXTENDABLE, fitted, is_complete, join, read_whole
from .lines import Line, classify, looks_important
from .lost_header import is_row, read_headless
from .passing_by import may_begin_cut_head, may_follow_kill
from .reports import add_line
from .row_run import RowRun
from .streams import LOST_AFTER_LINES, Held, Key, Stream, Streams
from .table_lines import match_row
from .unwrap import Unwrapper
from .wrapped import Wrapped

QUIET_LINES = 400
"""An event ends when so many lines in a row say nothing of it."""
QUIET_AFTER_KILL = 100
"""And so many once somebody has been killed: more deaths and oom_reaper's word come soon."""
MAX_HELD = 24
_MOST_IN_VAIN = 4
"""Broken lines come in a row; where so many could not be joined, it is another text."""
MAX_LINES = 1 << 15
"""Lines other than rows that an event may have: the largest machines print half as many."""
MAX_STREAMS = 64
"""Hosts and callers with an open event at a time; the one quiet for longest makes room."""

_RESCUE = re.compile(
    r"(?:[^\s\[\]]{1,15} invoked )?oom-killer: gfp_mask=.*"
    r"|(?:Out of [Mm]emory|Memory cgroup out of memory): Kill(?:ed)? process \d+ .*"
)
_BROKEN_OR_PROSE = re.compile(r"invoked oom-killer|(?!.* invoked ).*[a-z] oom-killer: ")
"""No other CPU's line: the name stands on the line before, or a sentence tells of it."""


class Assembler:
    """Makes reports of the lines of one log."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._unwrapper = Unwrapper()
        self._streams = Streams()
        self._last: Stream | None = None
        self._done: list[OomReport] = []
        self._cut_head = False
        self._only_epilogue = False
        self._run: RowRun | None = None
        self._passed = ""
        self._begun: Wrapped | None = None
        """The line just before, if it is of no event: a mail program may have broken it."""

    @property
    def busy(self) -> bool:
        """Tell whether an event is open, so that every line counts."""
        return bool(self._streams)

    def finished(self) -> Iterator[OomReport]:
        """Yield the events that have ended since the last call."""
        done, self._done = self._done, []
        yield from sorted(done, key=lambda report: report.line or 0)

    def look_back(self, lines: list[str], number: int) -> None:
        """Feed the lines before a kill line that no report's head was seen for."""
        self._cut_head = True
        for offset, line in enumerate(lines):
            self.feed(line, number + offset)
        # What is whole does not wait for the marked line to go on: that one is no such head.
        for one in list(self._streams.values()):
            if one.held is not None and one.held.whole:
                self._flush(one)
        self._cut_head = False

    def feed(self, raw: str, number: int) -> None:
        """Take one line of the file."""
        if self._only_epilogue and not self._unwrapper.awaits_more:
            begins_cut = self._cut_head and not self._streams
            if not (may_begin_cut_head(raw) if begins_cut else may_follow_kill(raw)):
                self._passed = raw
                self._pass_by()
                return
        if self._run is not None:
            if self._run.take(raw, number):
                return
            self._end_run()
        self._go_on(raw, number)
        self._only_epilogue = self._are_over()
        if self._last is not None and self._last.held is not None:
            self._begin_run(self._last, self._last.held, raw, number)

    def _go_on(self, raw: str, number: int) -> None:
        for wrapped in self._unwrapper.unwrap(raw):
            self._take(wrapped, number)

    def _begin_run(self, stream: Stream, held: Held, raw: str, number: int) -> None:
        """Begin a run of rows with this line, if it is one and no more can be said of it."""
        report, wrapping = stream.report, self._unwrapper.usual
        if held.line is None or held.line.kind != "row" or len(held.texts) > 1:
            return
        if report is None or wrapping is None or len(self._streams) > 1 or not held.whole:
            return
        # The first time that a report tells is the report's.
        awaits_time = report.time is None and (held.wrapped.time or wrapping.times)
        if report.columns is None or awaits_time or not belongs(report, held.line):
            return
        run = RowRun(report, wrapping)
        if run.take(raw, number):
            # Kept back by the run, which gives it back in the end.
            self._run, stream.held = run, None

    def _end_run(self) -> None:
        if self._run is not None:
            kept_back, self._run = self._run.kept_back, None
            for raw, number in kept_back:
                self._go_on(raw, number)

    def _are_over(self) -> bool:
        """Tell whether of no event more than its aftermath can come."""
        for one in self._streams.values():  # noqa: SIM110  # for every line: no generator
            if not one.is_epilogue:
                return False
        return True

    def close(self) -> None:
        """End all events: the log is over, or nothing has been said of them for long."""
        self._end_run()
        if self._unwrapper.awaits_more:
            self._go_on("", 0)
        for stream in list(self._streams.values()):
            self._flush(stream)
            self._finish(stream)
        self._streams.clear()
        self._last = None

    def _take(self, wrapped: Wrapped, number: int) -> None:
        text = wrapped.text.strip()
        if not text:
            return
        if wrapped.marked:
            self._flush_all()
        line = self._row(text) or classify(text)
        if line is None and not wrapped.marked and looks_important(text):
            line, wrapped, number = self._broken_off(text, wrapped, number)
            text = text if line is None else line.match[0]
        self._begun, self._passed = None, ""
        line = line or _rescued(text, wrapped)
        stream = self._stream_of(wrapped, line)
        if stream is None:
            self._begun = wrapped if wrapped.marked and line is None else None
            self._pass_by()
            return
        if line is None and wrapped.foreign:
            self._aside(stream, text)
            return
        held = stream.held
        whole = False
        if line is not None:
            if line.kind == "row":
                line = fitted(line, stream.report)
                self._flush(stream)
                held = None
            whole = is_complete(line, stream.report)
        if held is not None and not (whole or wrapped.marked or len(held.texts) >= MAX_HELD):
            held.texts.append(text)
            self._pass_by()
            return
        self._flush(stream)
        if whole and line is not None and line.kind not in EXTENDABLE:
            self._commit(stream, line, wrapped, number)
        else:
            stream.held = Held([text], line, whole, wrapped, number)

    def _flush_all(self) -> None:
        """Commit what is held: only an unmarked line goes on from another, and follows at once."""
        for one in list(self._streams.values()):
            self._flush(one)

    def _broken_off(
        self, text: str, wrapped: Wrapped, number: int
    ) -> tuple[Line | None, Wrapped, int]:
        """Return the first line of an event that was broken, and how and where it began."""
        begun = self._begun
        if self._passed:
            begun = next(iter(self._unwrapper.unwrap(self._passed)), None)
        if begun is not None and begun.marked:
            joined = read_whole(f"{begun.text} {text}", None)
            if joined is not None and joined.kind in OPENERS:
                return joined, begun, number - 1
        return None, wrapped, number

    def _row(self, text: str) -> Line | None:
        """Return a row of the open table at once: most of a report's lines are its rows."""
        report = None if self._last is None else self._last.report
        if text[0] != "[" or report is None or report.columns is None:
            return None
        match = match_row(report.columns, text)
        line = None if match is None else Line("row", match)
        return line if line is not None and is_complete(line, report) else None

    def _stream_of(self, wrapped: Wrapped, line: Line | None) -> Stream | None:
        """Return the stream of a line; None where it has nothing to do with any event."""
        key = (wrapped.host, wrapped.caller, 0)
        if line is not None and line.kind == "reaper":
            owner = self._owner(int(line.match["pid"]))
            if owner is not None:
                return owner
        if not wrapped.marked and self._last is not None:
            return self._last
        stream = self._streams.by_clock(key, wrapped, line)
        if stream is not None and self._streams[key].unheard > LOST_AFTER_LINES:
            self._end(key)
        if stream is None and line is not None and line.kind != "trigger":
            stream = self._only_stream(wrapped)
        if stream is None and line is None and wrapped.foreign:
            stream = next((s for (h, *_), s in self._streams.items() if h == wrapped.host), None)
        if stream is None:
            opens = line is not None and self._opens(line)
            if not opens and not (line is None and _may_open(wrapped)):
                return None
            if len(self._streams) >= MAX_STREAMS:
                self._end(max(self._streams, key=lambda one: self._streams[one].quiet))
            stream = self._streams[key] = Stream(clock=wrapped.uptime_seconds)
        self._last = stream
        return stream

    def _opens(self, line: Line) -> bool:
        """Tell whether a line may be an event's first."""
        if self._cut_head and line.kind == "row":
            return is_row(line.match[0])
        return line.kind in (CUT_HEAD if self._cut_head else OPENERS)

    def _only_stream(self, wrapped: Wrapped) -> Stream | None:
        """Return the one open stream where a line lacks a part of the key."""
        fitting = [
            stream
            for (host, caller, _), stream in self._streams.items()
            if host in (None, wrapped.host) or wrapped.host is None
            if caller is None or wrapped.caller is None
        ]
        return fitting[0] if len(fitting) == 1 else None

    def _owner(self, pid: int) -> Stream | None:
        for stream in list(self._streams.values()):
            if stream.holds_kill:
                self._flush(stream)
            report = stream.report
            if report is not None and any(victim.pid == pid for victim in report.victims):
                return stream
        return None

    def _aside(self, stream: Stream, text: str) -> None:
        """Put a line aside that is not known to be the event's."""
        if len(stream.tail) < QUIET_LINES:
            stream.tail.append(text)
        self._pass_by()

    def _pass_by(self) -> None:
        """Count a line that says nothing of any event, and end those quiet for long."""
        for key, one in list(self._streams.items()):
            one.quiet += 1
            if one.quiet > (QUIET_AFTER_KILL if one.is_epilogue else QUIET_LINES):
                self._end(key)

    def _end(self, key: Key) -> None:
        """End a stream and its event; of two logs of one host and caller the first goes first."""
        first, second = (*key[:2], 0), (*key[:2], 1)
        if key == second and first in self._streams:
            self._end(first)
            key = first
        one = self._streams[key]
        self._flush(one)
        self._finish(one)
        self._streams.pop(key, None)
        if second in self._streams:
            self._streams[first] = self._streams.pop(second)
        self._last = None if self._last is one else self._last

    def _flush(self, stream: Stream) -> None:
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
                self._aside(stream, texts[0])
            else:
                self._commit(stream, line, held.wrapped, held.number)
            texts = texts[used:]
            columns, whole = 0, False
            line = classify(texts[0]) if texts else None

    def _commit(self, stream: Stream, line: Line, wrapped: Wrapped, number: int) -> None:
        report = stream.report
        if report is None or begins_another(report, line):
            if not self._opens(line):
                self._pass_by()
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
            self._pass_by()
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


def _rescued(text: str, wrapped: Wrapped) -> Line | None:
    """Find a report line that begins in the middle of another CPU's unfinished line."""
    if wrapped.foreign or not looks_important(text):
        return None
    if not wrapped.marked and _BROKEN_OR_PROSE.match(text):
        return None
    found = _RESCUE.search(text)
    return None if found is None else classify(found[0])
