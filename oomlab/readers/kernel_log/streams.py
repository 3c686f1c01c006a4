"""What one host and one printk caller say: the event that is open there, a line not yet over.

Where neither tells two logs apart, their clocks may: seconds since boot that lie far from each
other are of two machines.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ...report import OomReport
from .belonging import is_over
from .lines import Line
from .wrapped import Wrapped


@dataclass(slots=True)
class Held:
    """A line that may go on in the next ones, and what followed it so far."""

    texts: list[str]
    line: Line | None
    whole: bool
    """It is a report line as it stands."""
    wrapped: Wrapped
    number: int


@dataclass(slots=True)
class Stream:
    """What one host and caller say: the open event, and a line that may go on."""

    report: OomReport | None = None
    held: Held | None = None
    lines: int = 0
    """Lines of the event that are no rows."""
    quiet: int = 0
    """Lines since the last one that said something of the event."""
    clock: float | None = None
    """Seconds since boot at its last line that is a report's."""
    unheard: int = 0
    """Lines in a row that another log of the same host and caller said."""
    tail: list[str] = field(default_factory=list)
    """Unrecognised lines since the last recognised one: inside the event if another follows."""

    @property
    def is_epilogue(self) -> bool:
        """Tell whether only what follows a kill can still come."""
        return self.held is None and self.report is not None and is_over(self.report)

    @property
    def holds_kill(self) -> bool:
        """Tell whether the line that may go on is a kill line."""
        return (
            self.held is not None and self.held.line is not None and self.held.line.kind == "kill"
        )


Key = tuple[str | None, str | None, int]
"""Host, printk caller, and 1 for a second log of the same that another clock tells apart."""
CLOCKS_APART_SECONDS = 60.0
"""One report comes out within less, but for the slowest consoles."""
LOST_AFTER_LINES = 40
"""So many lines of the second log in a row: nothing more will come of the first one's event."""


class Streams(dict[Key, Stream]):
    """All that have an event open."""

    def by_clock(self, key: Key, wrapped: Wrapped, line: Line | None) -> Stream | None:
        """Return the stream of a host and caller that a line's clock goes on from."""
        first, now = self.get(key), wrapped.uptime_seconds
        if first is None or line is None or now is None:
            return first
        if len(self) == 1 and line.kind != "trigger":
            first.clock = now
            return first
        second = self.get((key[0], key[1], 1))
        if second is None:
            if not _begins_beside(first, line, now):
                first.clock = now
                return first
            second = self[key[0], key[1], 1] = Stream(clock=now)
            return second
        if _distance(first, now) < _distance(second, now):
            first.clock, first.unheard = now, 0
            return first
        second.clock = now
        first.unheard += 1
        return second

    def only_one(self, wrapped: Wrapped) -> Stream | None:
        """Return the one stream that fits where a line lacks a part of the key."""
        fitting = [
            stream
            for (host, caller, _), stream in self.items()
            if host in (None, wrapped.host) or wrapped.host is None
            if caller is None or wrapped.caller is None
        ]
        return fitting[0] if len(fitting) == 1 else None


def _begins_beside(first: Stream, line: Line, now: float) -> bool:
    """Tell whether a report begins by another clock while one is open that is not over."""
    if line.kind != "trigger" or first.report is None or is_over(first.report):
        return False
    return first.report.trigger is not None and _distance(first, now) > CLOCKS_APART_SECONDS


def _distance(stream: Stream, now: float) -> float:
    return abs(now - stream.clock) if stream.clock is not None else 0.0
