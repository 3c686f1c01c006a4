"""From lines in order to events: which line belongs to which report, and where one ends.

A stream is what one host and one printk caller say. A line that nothing recognises alone may
go on from the line before (mail programs wrap, even inside a number): it is joined where the
whole is a report line in all strictness, and else kept as unparsed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ...report import OomReport
from .lines import Line, classify, looks_important, mended
from .prefixes import Unwrapper, Wrapped
from .reports import add_line, add_unparsed
from .table_lines import row_pattern

QUIET_LINES = 400
"""An event ends when so many lines in a row say nothing of it."""
QUIET_AFTER_KILL = 100
"""And so many once somebody has been killed: more deaths and oom_reaper's word come soon."""
MAX_HELD = 24

_OPENERS = frozenset({"trigger", "summary", "announce", "kill", "columns", "state", "task_in"})
_CUT_HEAD = _OPENERS | {
    "meminfo",
    "totals",
    "node",
    "zone",
    "usage",
    "stats",
    "buddy",
    "count",
    "cpuset",
    "hugepages",
    "swap_free",
    "swap_total",
    "reserve",
    "swap_stats",
}
_AFTERWARDS = frozenset(
    {
        "kill",
        "announce",
        "reaper",
        "sharing",
        "group",
        "exiting",
        "pinned",
        "nobody",
        "panic",
        "elision",
    }
)
"""Lines that may follow the first kill line of an event."""
_BEGIN_ANEW = frozenset({"summary", "columns", "state", "task_in", "announce"})
"""Lines that after a kill can only belong to another event, whose head is missing."""
_EXTENDABLE = frozenset(
    {
        "kill",
        "trigger",
        "node",
        "zone",
        "totals",
        "stats",
        "hardware",
        "register",
        "cpu",
        "oldcpu",
        "swap_stats",
        "summary",
        "announce",
        "reaper",
        "trace_head",
        "task_in",
        "row",
        "limit_reached",
    }
)
_ANYTHING = frozenset(
    {
        "hardware",
        "register",
        "reaper",
        "swap_stats",
        "cpu",
        "oldcpu",
        "trace_head",
        "task_in",
        "row",
        "limit_reached",
    }
)
"""Lines that end in free text: only one that was full goes on in the next."""
_OF_ANY_OOPS = frozenset(
    {"trace", "trace_head", "register", "cpu", "oldcpu", "hardware", "workqueue", "taint"}
)
_FULL_LINE = 62
"""A mail program wraps at 66 to 80 columns, before a word that would not fit."""
_COMM_BYTES = 15
_EPILOGUE = ("ill", "oom", "OOM", "panic", "nfo:", "{", "__REALTIME", "_HOSTNAME")
"""A line without any of these is of no event that has had its kill, and begins none."""
_RESCUE = re.compile(
    r"(?:[^\s\[\]]{1,15} invoked )?oom-killer: gfp_mask=.*"
    r"|(?:Out of [Mm]emory|Memory cgroup out of memory): Kill(?:ed)? process \d+ .*"
)


@dataclass(slots=True)
class Stream:
    """What one host and caller say: the open event, and a line that may go on."""

    report: OomReport | None = None
    quiet: int = 0
    tail: list[str] = field(default_factory=list)
    """Unrecognised lines since the last recognised one: inside the event if another follows."""
    held: list[str] = field(default_factory=list)
    held_line: Line | None = None
    held_from: Wrapped | None = None
    held_number: int = 0

    @property
    def is_epilogue(self) -> bool:
        """Tell whether only what follows a kill can still come."""
        return self.report is not None and _is_over(self.report) and not self.held


class Assembler:
    """Makes reports of the lines of one log."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._unwrapper = Unwrapper()
        self._streams: dict[tuple[str | None, str | None], Stream] = {}
        self._last: Stream | None = None
        self._done: list[OomReport] = []
        self._cut_head = False
        self._only_epilogue = False

    @property
    def busy(self) -> bool:
        """Tell whether an event is open, so that every line counts."""
        return bool(self._streams)

    def finished(self) -> Iterator[OomReport]:
        """Yield the events that have ended since the last call."""
        done, self._done = self._done, []
        yield from sorted(done, key=lambda report: report.line)

    def look_back(self, lines: list[str], number: int) -> None:
        """Feed the lines before a kill line that no report's head was seen for."""
        self._cut_head = True
        for offset, line in enumerate(lines):
            self.feed(line, number + offset)
        self._cut_head = False

    def feed(self, raw: str, number: int) -> None:
        """Take one line of the file."""
        if self._only_epilogue and not any(word in raw for word in _EPILOGUE):
            self._pass_by()
            return
        for wrapped in self._unwrapper.unwrap(raw):
            self._take(wrapped, number)
        self._only_epilogue = all(one.is_epilogue for one in self._streams.values())

    def close(self) -> None:
        """End all events: the log is over, or nothing has been said of them for long."""
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
            # Only an unmarked line goes on from another, and it follows at once.
            for one in list(self._streams.values()):
                self._flush(one)
        line = classify(text) or _rescued(text, wrapped)
        stream = self._stream_of(wrapped, line)
        if stream is None:
            self._pass_by()
            return
        if line is None and wrapped.foreign:
            self._aside(stream, text)
            return
        if line is not None and line.kind == "row":
            self._flush(stream)
        partial = line is None or not _is_complete(line, stream.report)
        if partial and not wrapped.marked and 0 < len(stream.held) < MAX_HELD:
            stream.held.append(text)
            self._pass_by()
            return
        self._flush(stream)
        stream.held, stream.held_line = [text], line
        stream.held_from, stream.held_number = wrapped, number
        # A line that cannot go on needs no look at the next.
        if line is not None and not partial and line.kind not in _EXTENDABLE:
            self._flush(stream)

    def _stream_of(self, wrapped: Wrapped, line: Line | None) -> Stream | None:
        """Return the stream of a line; None where it has nothing to do with any event."""
        key = (wrapped.host, wrapped.caller)
        if line is not None and line.kind == "reaper":
            owner = self._owner(int(line.match["pid"]))
            if owner is not None:
                return owner
        if not wrapped.marked and self._last is not None:
            return self._last
        stream = self._streams.get(key)
        if stream is None and line is not None and line.kind != "trigger":
            stream = self._only_stream(wrapped)
        if stream is None and line is None and wrapped.foreign:
            stream = next((s for (h, _), s in self._streams.items() if h == wrapped.host), None)
        if stream is None:
            opens = line is not None and line.kind in (_CUT_HEAD if self._cut_head else _OPENERS)
            if not opens and not (line is None and "oom-kill" in wrapped.text):
                return None
            stream = self._streams[key] = Stream()
        self._last = stream
        return stream

    def _only_stream(self, wrapped: Wrapped) -> Stream | None:
        """Return the one open stream where a line lacks a part of the key."""
        fitting = [
            stream
            for (host, caller), stream in self._streams.items()
            if host in (None, wrapped.host) or wrapped.host is None
            if caller is None or wrapped.caller is None
        ]
        return fitting[0] if len(fitting) == 1 else None

    def _owner(self, pid: int) -> Stream | None:
        for stream in list(self._streams.values()):
            if stream.held_line is not None and stream.held_line.kind == "kill":
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
                self._flush(one)
                self._finish(one)
                self._streams.pop(key, None)
                self._last = None if self._last is one else self._last

    def _flush(self, stream: Stream) -> None:
        """Commit the held line, joined with what goes on from it."""
        if not stream.held:
            return
        texts, line, number = stream.held, stream.held_line, stream.held_number
        wrapped = stream.held_from
        stream.held, stream.held_line = [], None
        assert wrapped is not None
        used = 1
        if len(texts) > 1:
            line, used = _joined(texts, line, stream.report, wrapped.columns)
        if used == 1 and not (line is not None and _is_complete(line, stream.report)):
            line = _read(texts[0], stream.report) or line
        if line is None:
            self._aside(stream, texts[0])
        else:
            self._commit(stream, line, wrapped, number)
        for text in texts[used:]:
            again = classify(text)
            if again is not None and _is_complete(again, stream.report):
                self._commit(stream, again, wrapped, number)
            else:
                self._aside(stream, text)

    def _commit(self, stream: Stream, line: Line, wrapped: Wrapped, number: int) -> None:
        report = stream.report
        if report is None or self._begins_another(report, line):
            opens = line.kind in (_CUT_HEAD if self._cut_head else _OPENERS)
            if not opens:
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
        elif not _belongs(report, line):
            self._pass_by()
            return
        stream.quiet = 0
        if not _is_over(report):
            for text in stream.tail:
                add_unparsed(report, text)
        stream.tail.clear()
        if report.time is None:
            report.time = wrapped.time
        add_line(report, line)

    def _begins_another(self, report: OomReport, line: Line) -> bool:
        """Tell whether a line can't belong to the open event any more."""
        kind = line.kind
        if kind == "trigger":
            return report.trigger is not None or _is_over(report)
        if kind == "kill":
            return bool(report.victims) and not _is_more_of(report, line)
        if kind == "summary" and report.summary is not None:
            return True
        return _is_over(report) and kind in _BEGIN_ANEW

    def _finish(self, stream: Stream) -> None:
        report, stream.report = stream.report, None
        stream.quiet = 0
        if report is None:
            stream.tail.clear()
            return
        for text in stream.tail:
            if looks_important(text) and not _is_over(report):
                add_unparsed(report, text)
        stream.tail.clear()
        self._done.append(report)


def _is_over(report: OomReport) -> bool:
    return bool(report.victims) or report.no_killable or report.panic is not None


def _belongs(report: OomReport, line: Line) -> bool:
    """Tell whether a line is the open event's: what every oops prints is not, after its head."""
    if _is_over(report):
        return line.kind in _AFTERWARDS
    beyond_head = report.memory is not None or report.memcg is not None
    return not (beyond_head and line.kind in _OF_ANY_OOPS)


def _is_more_of(report: OomReport, line: Line) -> bool:
    """Tell whether one more kill line belongs to an event that has one."""
    if report.group_memcg is not None:
        return True
    pid = int(line.match["pid"])
    named = {a.pid for a in report.announcements} - {v.pid for v in report.victims}
    shares = any(f"process {pid} (" in note and "sharing" in note for note in report.notes)
    return pid in named or shares


def _is_complete(line: Line, report: OomReport | None) -> bool:
    if line.leftover:
        return False
    if line.kind == "row" and report is not None and report.columns is not None:
        found = row_pattern(report.columns)[0].fullmatch(line.match[0])
        name = None if found is None else found[found.re.groups]
        return name is not None and len(name.encode("utf-8", "surrogateescape")) <= _COMM_BYTES
    return True


def _read(text: str, report: OomReport | None) -> Line | None:
    """Return the complete line that ``text`` is, mended where that makes it one."""
    line = classify(text)
    if line is not None and _is_complete(line, report):
        return line
    repaired = mended(text)
    line = classify(repaired) if repaired != text else None
    return line if line is not None and _is_complete(line, report) else None


def _joined(
    texts: list[str], line: Line | None, report: OomReport | None, columns: int
) -> tuple[Line | None, int]:
    """Return the longest run of lines that is one report line, and how many lines it took."""
    alone = line is not None and _is_complete(line, report)
    if alone and line is not None and line.kind not in _EXTENDABLE:
        return line, 1
    best, used, whole = line, 1, texts[0]
    for count, text in enumerate(texts[1:], 2):
        width = len(texts[count - 2]) + len(text.split(None, 1)[0]) + (columns if count == 2 else 0)
        spaced = f"{whole} {text}"
        candidates = (spaced, whole + text, whole.removesuffix("=") + text)
        read = ((candidate, _read(candidate, report)) for candidate in candidates)
        whole, found = next(((c, one) for c, one in read if one is not None), (spaced, None))
        if found is None:
            continue
        if alone and found.kind in _ANYTHING and width < _FULL_LINE:
            break
        best, used = found, count
    return best, used


def _rescued(text: str, wrapped: Wrapped) -> Line | None:
    """Find a report line that begins in the middle of another CPU's unfinished line."""
    if wrapped.foreign or not looks_important(text):
        return None
    found = _RESCUE.search(text)
    return None if found is None else classify(found[0])
