"""The tasks of an event whose ranking can't be known, by what they hold."""

from __future__ import annotations

from collections.abc import Callable

from ..analysis.events import Event
from ..report import TaskRow
from ..units import pages_to_bytes
from .layout import Screen
from .render import render_table
from .tables import Column, Table, shown_size


def unranked_tasks(event: Event, screen: Screen, count: int) -> str:
    """Return the first ``count`` processes of the report's table, the largest first."""
    page = event.page_size
    rows = sorted(event.report.processes, key=lambda row: -(row.rss_pages or 0))
    if not rows or not count:
        return ""
    columns: list[Column[TaskRow]] = [
        Column(name="pid", header="PID", help="", value=lambda row: row.pid),
        Column(name="user", header="USER", help="", value=lambda row: row.uid),
        Column(name="adj", header="ADJ", help="", value=lambda row: _adj(row)),
        _size("rss", "RSS", lambda row: pages_to_bytes(row.rss_pages, page)),
        _size("swap", "SWAP", lambda row: pages_to_bytes(row.swap_pages, page)),
        _size("pgtbl", "PGTBL", lambda row: _tables(row, page)),
        Column(name="name", header="NAME", help="", value=lambda row: row.comm, left=True),
    ]
    body = render_table(Table(columns=columns, rows=rows[:count]), screen)
    left = len(rows) - count
    tail = f"and {left} more (-n {len(rows)}).\n" if left > 0 else ""
    return f"\nTasks by what they hold, unranked:\n{body}{tail}"


def _adj(row: TaskRow) -> int | None:
    return row.oom_adj if row.oom_score_adj is None else row.oom_score_adj


def _tables(row: TaskRow, page: int) -> int | None:
    return (
        pages_to_bytes(row.table_pages, page)
        if row.pagetable_bytes is None
        else row.pagetable_bytes
    )


def _size(name: str, header: str, value: Callable[[TaskRow], int | None]) -> Column[TaskRow]:
    return Column(
        name=name, header=header, help="", value=value, show=lambda row: shown_size(value(row))
    )
