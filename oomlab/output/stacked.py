"""A table too wide for the screen: some columns in the line, the others beneath it by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .escape import printable, width
from .layout import Screen, coloured, laid_out, wrapped
from .tables import Column, Table

_INDENT = 5
_BETWEEN = 3
"""Blanks between two texts on one line."""


def render_stacked(table: Table[Any], screen: Screen) -> str:
    """Render every cell in full: no column is left out and no text cut.

    The first ``table.stacked`` columns make a line for each row; the others follow beneath it
    as "header: text", as many on a line as fit.
    """
    first, others = table.columns[: table.stacked], table.columns[table.stacked :]
    body = [[printable(column.text(row)) for column in first] for row in table.rows]
    lines = coloured(laid_out(first, body), table, screen)
    shown = [*wrapped(table.heading, screen), "", lines[0]] if table.rows else []
    for line, row in zip(lines[1:], table.rows, strict=True):
        shown += [line, *_beneath(others, row, screen.columns or 80)]
    shown += wrapped(table.footer, screen)
    return "".join(f"{line.rstrip()}\n" for line in shown)


def _beneath(columns: Sequence[Column[Any]], row: Any, screen_columns: int) -> list[str]:
    """Return the named texts of a row, filled into lines; empty ones are left out."""
    from textwrap import wrap

    room = max(20, screen_columns - _INDENT)
    lines: list[str] = []
    open_line = False
    for column in columns:
        text = printable(column.text(row))
        if not text:
            continue
        named = f"{column.header.lower()}: {text}"
        if open_line and width(lines[-1]) + _BETWEEN + width(named) <= room:
            lines[-1] += " " * _BETWEEN + named
            continue
        own = wrap(named, room, subsequent_indent="  ")
        # Nothing follows on a line that another text has run over to.
        open_line = len(own) == 1
        lines += own
    return [" " * _INDENT + line for line in lines]
