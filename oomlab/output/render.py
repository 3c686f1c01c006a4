"""Turn tables into text: for people, for spreadsheets, for documents."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

from .escape import cut, harmless_cell, printable, width
from .layout import GAP, Screen, coloured, laid_out, wrapped
from .tables import Column, Table


def render_table(table: Table[Any], screen: Screen) -> str:
    """Render for people, fitted to the screen."""
    columns, left_out = _fitting(table, screen)
    if left_out and table.stacked:
        from .stacked import render_stacked

        return render_stacked(table, screen)
    body = _cells(columns, table.rows, screen)
    lines = wrapped(table.heading, screen)
    if table.heading and table.rows:
        lines.append("")
    if table.rows:
        lines += coloured(laid_out(columns, body), table, screen)
    if left_out:
        names = ", ".join(column.name for column in left_out)
        lines += ["", f"Not shown for lack of width: {names}."]
    lines += wrapped(table.footer, screen)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def render_lines(screen: Screen, *sentences: str) -> str:
    """Render sentences fitted to the screen."""
    return render_table(Table(columns=(), rows=(), heading=sentences), screen)


def render_markdown(table: Table[Any], screen: Screen) -> str:  # noqa: ARG001
    """Render as a Markdown table with the heading above it."""
    from tabulate import tabulate

    body = [[_markdown_cell(c.text(row)) for c in table.columns] for row in table.rows]
    text = tabulate(
        body,
        headers=[column.header for column in table.columns],
        tablefmt="github",
        disable_numparse=True,
        colalign=["left" if c.left else "right" for c in table.columns] if body else None,
    )
    heading = "\n".join(f"{_markdown_cell(line)}  " for line in table.heading)
    return f"{heading}\n\n{text}\n" if heading else f"{text}\n"


def render_csv(table: Table[Any], screen: Screen) -> str:  # noqa: ARG001
    """Render machine values as CSV with a header line; unknown is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column.csv_name for column in table.columns])
    for row in table.rows:
        writer.writerow([_csv_cell(column.value(row)) for column in table.columns])
    return out.getvalue()


FORMATS: dict[str, Callable[[Table[Any], Screen], str]] = {
    "table": render_table,
    "csv": render_csv,
    "markdown": render_markdown,
}
"""Renderers of tables by name; ``json`` is rendered from a document by render_json()."""


def render_json(document: Any) -> str:
    """Render a document of dicts and lists as indented ASCII JSON."""
    return json.dumps(document, indent=2) + "\n"


def render_line(document: Any) -> str:
    """Render a document as one line of ASCII JSON."""
    return json.dumps(document, separators=(",", ":")) + "\n"


def _csv_cell(value: Any) -> Any:
    return harmless_cell(value) if isinstance(value, str) else value


def _markdown_cell(text: str) -> str:
    escaped = printable(text)
    for char in "\\|<>`*_[]":
        escaped = escaped.replace(char, f"\\{char}")
    return escaped


def _cells(columns: Sequence[Column[Any]], rows: Sequence[Any], screen: Screen) -> list[list[str]]:
    body = [[printable(column.text(row)) for column in columns] for row in rows]
    if screen.columns is None:
        return body
    over = sum(_widths(columns, body)) + GAP * (len(columns) - 1) - screen.columns
    flexible = [index for index, column in enumerate(columns) if column.flexible]
    while over > 0 and flexible:
        # The widest gives way first, down to the next widest, and none beyond its minimum.
        widths = {index: _widths(columns, body)[index] for index in flexible}
        widest = max(flexible, key=lambda index: widths[index])
        others = [size for index, size in widths.items() if index != widest]
        least = columns[widest].least
        floor = max([least, len(columns[widest].header), *others])
        room = max(widths[widest] - over, floor if widths[widest] > floor else least)
        if room >= widths[widest]:
            break
        for cells in body:
            cells[widest] = cut(cells[widest], room)
        over -= widths[widest] - room
    return body


def _widths(columns: Sequence[Column[Any]], body: Sequence[Sequence[str]]) -> list[int]:
    return [
        max([width(column.header), *(width(cells[index]) for cells in body)])
        for index, column in enumerate(columns)
    ]


def _fitting(table: Table[Any], screen: Screen) -> tuple[list[Column[Any]], list[Column[Any]]]:
    """Return the columns that fit the screen and those left out, the least needed first."""
    columns, left_out = list(table.columns), []
    if screen.columns is None or table.fixed:
        return columns, []
    body = [[printable(column.text(row)) for column in columns] for row in table.rows]
    needed = {
        column.name: min(size, column.least) if column.flexible else size
        for column, size in zip(columns, _widths(columns, body), strict=True)
    }
    while sum(needed[c.name] + GAP for c in columns) - GAP > screen.columns:
        droppable = [column for column in columns if column.keep < 9]
        if not droppable:
            break
        least = min(droppable, key=lambda column: column.keep)
        columns.remove(least)
        left_out.append(least)
    return columns, left_out
