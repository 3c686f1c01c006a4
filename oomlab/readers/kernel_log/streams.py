"""What one host and one printk caller say: the event that is open there, a line not yet over."""

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
