"""A table: columns declared once, each with its machine value and its human text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ..errors import InputError
from ..units import human

Row = TypeVar("Row")
Value = int | float | str | bool | None


def _plain(value: Value) -> str:
    return "?" if value is None else str(value)


def shown_size(size_bytes: int | None) -> str:
    """Return a human size, unknown as a question mark."""
    return "?" if size_bytes is None else human(size_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column(Generic[Row]):
    """One column of a listing of ``Row`` objects."""

    name: str
    """As --columns and --sort call it."""
    header: str
    help: str
    value: Callable[[Row], Value]
    """The machine's value, in bytes or counts: CSV shows it, sorting compares it."""
    key: str = ""
    """What CSV calls the value, unit included; the name where empty."""
    show: Callable[[Row], str] | None = None
    """The human's text; the value itself where None."""
    left: bool = False
    keep: int = 9
    """Columns of the lowest number go first where a terminal is too narrow; 9 always stays."""
    flexible: bool = False
    """Cut to what width is left."""
    least: int = 12
    """A flexible column is never cut to less than this: others go first, or it goes itself."""

    def text(self, row: Row) -> str:
        """Return the cell as a human reads it; unknown is a question mark."""
        return self.show(row) if self.show is not None else _plain(self.value(row))

    @property
    def csv_name(self) -> str:
        """Return the name that CSV puts at the column's head."""
        return self.key or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(Generic[Row]):
    """Rows, the columns to show of them, and sentences above and below."""

    columns: Sequence[Column[Row]]
    rows: Sequence[Row]
    heading: Sequence[str] = ()
    footer: Sequence[str] = ()
    marked: frozenset[int] = field(default=frozenset())
    """Indexes of rows that a terminal shows in colour."""
    fixed: bool = False
    """The user chose the columns: none is left out for lack of width."""
    stacked: int = 0
    """Where columns would be left out, so many stand in the line and the others beneath it."""


def choose(columns: Sequence[Column[Any]], names: str) -> list[Column[Any]]:
    """Return the columns of a comma-separated list. Raises InputError listing what there is."""
    by_name = {column.name: column for column in columns}
    chosen = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in chosen if name not in by_name]
    if unknown or not chosen:
        what = f"no column {unknown[0]!r}" if unknown else "no column named"
        raise InputError(f"{what}; there are: {', '.join(by_name)}")
    return [by_name[name] for name in chosen]


def sort_rows(rows: Sequence[Row], columns: Sequence[Column[Row]], order: str) -> list[Row]:
    """Sort by a column: numbers from the largest, text from a; a leading ``-`` turns it round.

    Unknown values come last either way. Raises InputError for a column that there isn't.
    """
    column = choose(columns, order.removeprefix("-"))[0]
    known = [row for row in rows if column.value(row) is not None]
    descending = (
        any(isinstance(column.value(row), int) for row in known) and column.name not in _ASCENDING
    )
    if order.startswith("-"):
        descending = not descending
    known.sort(key=lambda row: column.value(row), reverse=descending)  # type: ignore[arg-type,return-value]
    return known + [row for row in rows if column.value(row) is None]


_ASCENDING = frozenset({"rank", "pid", "ppid", "uid", "now"})
"""Numbers that name or place something are read from the smallest."""
