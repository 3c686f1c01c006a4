"""The task table: its header names the columns, its rows fill them."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter

from ...report import OomReport, TaskRow
from .handling import Handlers, Match, add_unparsed

COLUMNS = {
    "uid": "uid",
    "tgid": "tgid",
    "total_vm": "total_vm_pages",
    "rss": "rss_pages",
    "rss_anon": "rss_anon_pages",
    "rss_file": "rss_file_pages",
    "rss_shmem": "rss_shmem_pages",
    "nr_ptes": "table_pages",
    "nr_pmds": "pmd_pages",
    "nr_puds": "pud_pages",
    "pgtables_bytes": "pagetable_bytes",
    "swapents": "swap_pages",
    "cpu": "cpu",
    "oom_adj": "oom_adj",
    "oom_score_adj": "oom_score_adj",
}
"""Columns of the task table by the header's names, and the TaskRow fields that they fill."""

MAX_TASKS = 1 << 18
"""As many rows as are kept: 100 MB of them."""
_MAX_ROW_CHARACTERS = 200
"""No kernel prints a longer one."""


def _state(report: OomReport, _m: Match) -> None:
    report.tasks_state_line = True


def _columns(report: OomReport, m: Match) -> None:
    report.columns = ("uid", "tgid", *m["columns"].split())


@lru_cache(maxsize=32)
def row_reader(columns: tuple[str, ...]) -> tuple[re.Pattern[str], Callable[[Match], TaskRow]]:
    """Return the pattern of a table's rows, and what makes a TaskRow of a match."""
    pattern = re.compile(r"\[ *(\d{1,19})\]" + r" +(-?\d{1,19})" * len(columns) + r"(?: (.*))?")
    wanted = [COLUMNS.get(name) for name in columns]
    last = len(columns) + 1
    # One more than there are numbers: there the None stands for columns that this table lacks.
    places = [wanted.index(name) + 1 if name in wanted else last for name in TaskRow._fields[2:]]
    chosen = itemgetter(*places)

    def make(match: Match) -> TaskRow:
        groups = match.groups()
        numbers: list[int | None] = [*map(int, groups[:last]), None]
        return TaskRow(int(groups[0]), groups[last] or "", *chosen(numbers))

    return pattern, make


def match_row(columns: tuple[str, ...], text: str, start: int = 0) -> Match | None:
    """Return the match of a row of a table with these columns, from ``start`` to the end."""
    return row_reader(columns)[0].fullmatch(text, start)


def row_match(columns: tuple[str, ...], match: Match) -> Match | None:
    """Return the like of a row that was recognised in any way."""
    return match if match.re is row_reader(columns)[0] else match_row(columns, match[0])


def add_row(report: OomReport, m: Match) -> None:
    """Add a row to its table."""
    is_row = len(m[0]) <= _MAX_ROW_CHARACTERS
    if report.columns is None and is_row and len(report.headless_rows) < MAX_TASKS:
        report.headless_rows.append(m[0])
        return
    if report.columns is None or len(report.tasks) >= MAX_TASKS:
        add_unparsed(report, m[0])
        return
    found = row_match(report.columns, m)
    if found is None:
        add_unparsed(report, m[0])
    else:
        report.tasks.append(row_reader(report.columns)[1](found))


TABLE: Handlers = {"state": _state, "columns": _columns, "row": add_row}
