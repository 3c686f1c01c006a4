"""Rows of a task table that follow each other: most of a report's lines, so they get a short way.

A row that is wrapped like the one before it, and fills the same table, needs nothing of what
other lines need. The newest row is kept back: only the next line shows whether it was whole.
"""

from __future__ import annotations

from ...report import OomReport
from .handling import Match
from .joining import is_whole_row
from .learned import Learned
from .table_lines import add_row, match_row

_NOT_PLAIN = ("&", "\x1b", "\xa0", "\0", "\x1e", "#", "\\", ",ncfrag=", "<br", "</", "'", '"')
"""What may have to be cleaned, split or put together: such a line goes the long way."""
_CLOSING = ("|", "`", ">")
"""What may close something that was opened before the line."""


class RowRun:
    """The rows of one table, in one wrapping, by one host and caller."""

    def __init__(self, report: OomReport, wrapping: Learned) -> None:
        self._report, self._pattern = report, wrapping.pattern
        self._columns = report.columns or ()
        self._names = (*wrapping.hosts, *wrapping.callers)
        self._speaker: list[str | None] | None = None
        self._newest: Match | None = None
        self.kept_back: list[tuple[str, int]] = []
        """The newest row as the file has it, and its line's number."""

    def take(self, raw: str, number: int) -> bool:
        """Take a line of the file; False where it must go the long way."""
        for sign in _NOT_PLAIN:
            if sign in raw:
                return False
        text = raw.rstrip()
        wrapping = self._pattern.match(text)
        if wrapping is None or text.endswith(_CLOSING):
            return False
        speaker = [wrapping[name] for name in self._names]
        row = match_row(self._columns, text, wrapping.end())
        if row is None or not is_whole_row(row) or speaker != (self._speaker or speaker):
            return False
        if self._newest is not None:
            add_row(self._report, self._newest)
        self._speaker, self._newest = speaker, row
        self.kept_back = [(raw, number)]
        return True
