"""What is left of a log's line when its wrapping is off."""

from __future__ import annotations

from typing import NamedTuple


class Wrapped(NamedTuple):
    """A kernel line without its wrapping, and what the wrapping told."""

    text: str
    marked: bool = False
    """Something in front shows that a new kernel line begins here."""
    time: str | None = None
    uptime_seconds: float | None = None
    host: str | None = None
    caller: str | None = None
    foreign: bool = False
    """Another program's line in a common log."""
    columns: int = 0
    """Columns that the wrapping took in front."""
