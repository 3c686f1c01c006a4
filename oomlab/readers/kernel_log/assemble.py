"""From the lines of a log to events: what each line is, and which go together to one line."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...report import OomReport
from .belonging import OPENERS, belongs
from .events import Events
from .joining import EXTENDABLE, fitted, is_complete, read_whole
from .lines import Line, classify, looks_important
from .passing_by import may_begin_cut_head, may_follow_kill
from .row_run import RowRun
from .streams import Held, Stream
from .table_lines import match_row
from .unwrap import Unwrapper
from .wrapped import Wrapped

MAX_HELD = 24
"""So many lines may be held until it is known whether they are pieces of one."""
_RESCUE = re.compile(
    r"(?:[^\s\[\]]{1,15} invoked )?oom-killer: gfp_mask=.*"
    r"|(?:Out of [Mm]emory|Memory cgroup out of memory): Kill(?:ed)? process \d+ .*"
)
_BROKEN_OR_PROSE = re.compile(r"invoked oom-killer|(?!.* invoked ).*[a-z] oom-killer: ")
"""No other CPU's line: the name stands on the line before, or a sentence tells of it."""


class Assembler:
    """Makes reports of the lines of one log."""

    def __init__(self, source: str) -> None:
        self._unwrapper = Unwrapper()
        self._events = Events(source)
        self._only_epilogue = False
        self._run: RowRun | None = None
        self._passed = ""
        self._begun: Wrapped | None = None
        """The line just before, if it is of no event: a mail program may have broken it."""

    @property
    def busy(self) -> bool:
        """Tell whether an event is open, so that every line counts."""
        return bool(self._events.streams)

    def finished(self) -> Iterator[OomReport]:
        """Yield the events that have ended since the last call."""
        return self._events.finished()

    def look_back(self, lines: list[str], number: int) -> None:
        """Feed the lines before a kill line that no report's head was seen for."""
        self._events.cut_head = True
        for offset, line in enumerate(lines):
            self.feed(line, number + offset)
        # What is whole does not wait for the marked line to go on: that one is no such head.
        for one in list(self._events.streams.values()):
            if one.held is not None and one.held.whole:
                self._events.flush(one)
        self._events.cut_head = False

    def feed(self, raw: str, number: int) -> None:
        """Take one line of the file."""
        if self._only_epilogue and not self._unwrapper.awaits_more:
            begins_cut = self._events.cut_head and not self._events.streams
            if not (may_begin_cut_head(raw) if begins_cut else may_follow_kill(raw)):
                self._passed = raw
                self._events.pass_by()
                return
        if self._run is not None:
            if self._run.take(raw, number):
                return
            self._end_run()
        self._go_on(raw, number)
        self._only_epilogue = self._events.are_over()
        if self._events.last is not None and self._events.last.held is not None:
            self._begin_run(self._events.last, self._events.last.held, raw, number)

    def _go_on(self, raw: str, number: int) -> None:
        for wrapped in self._unwrapper.unwrap(raw):
            self._take(wrapped, number)

    def _begin_run(self, stream: Stream, held: Held, raw: str, number: int) -> None:
        """Begin a run of rows with this line, if it is one and no more can be said of it."""
        report, wrapping = stream.report, self._unwrapper.usual
        if held.line is None or held.line.kind != "row" or len(held.texts) > 1:
            return
        if report is None or wrapping is None or len(self._events.streams) > 1 or not held.whole:
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

    def close(self) -> None:
        """End all events: the log is over, or nothing has been said of them for long."""
        self._end_run()
        if self._unwrapper.awaits_more:
            self._go_on("", 0)
        self._events.close()

    def _take(self, wrapped: Wrapped, number: int) -> None:
        text = wrapped.text.strip()
        if not text:
            return
        if wrapped.marked:
            self._events.flush_all()
        line = self._row(text) or classify(text)
        if line is None and not wrapped.marked and looks_important(text):
            line, wrapped, number = self._broken_off(text, wrapped, number)
            text = text if line is None else line.match[0]
        self._begun, self._passed = None, ""
        line = line or _rescued(text, wrapped)
        stream = self._events.stream_of(wrapped, line)
        if stream is None:
            self._begun = wrapped if wrapped.marked and line is None else None
            self._events.pass_by()
            return
        if line is None and wrapped.foreign:
            self._events.aside(stream, text)
            return
        held = stream.held
        whole = False
        if line is not None:
            if line.kind == "row":
                line = fitted(line, stream.report)
                self._events.flush(stream)
                held = None
            whole = is_complete(line, stream.report)
        if held is not None and not (whole or wrapped.marked or len(held.texts) >= MAX_HELD):
            held.texts.append(text)
            self._events.pass_by()
            return
        self._events.flush(stream)
        if whole and line is not None and line.kind not in EXTENDABLE:
            self._events.commit(stream, line, wrapped, number)
        else:
            stream.held = Held([text], line, whole, wrapped, number)

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
        report = None if self._events.last is None else self._events.last.report
        if text[0] != "[" or report is None or report.columns is None:
            return None
        match = match_row(report.columns, text)
        line = None if match is None else Line("row", match)
        return line if line is not None and is_complete(line, report) else None


def _rescued(text: str, wrapped: Wrapped) -> Line | None:
    """Find a report line that begins in the middle of another CPU's unfinished line."""
    if wrapped.foreign or not looks_important(text):
        return None
    if not wrapped.marked and _BROKEN_OR_PROSE.match(text):
        return None
    found = _RESCUE.search(text)
    return None if found is None else classify(found[0])
