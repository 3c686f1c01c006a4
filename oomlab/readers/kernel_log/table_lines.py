"""The task table: its header names the columns, its rows fill them."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from ...report import OomReport, TaskRow
from .handling import Handlers, Match

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

MAX_TASKS = 1 << 22


def _state(report: OomReport, _m: Match) -> None:
    report.tasks_state_line = True


def _columns(report: OomReport, m: Match) -> None:
    report.columns = ("uid", "tgid", *m["columns"].split())


@lru_cache(maxsize=32)
def row_pattern(columns: tuple[str, ...]) -> tuple[re.Pattern[str], Callable[[Match], TaskRow]]:
    """Return the pattern of a table's rows, and what makes a TaskRow of a match."""
    pattern = re.compile(r"\[ *(\d+)\]" + r" +(-?\d+)" * len(columns) + r"(?: (.*))?")
    fields = TaskRow._fields[2:]
    wanted = [COLUMNS.get(name) for name in columns]
    places = [wanted.index(name) + 1 if name in wanted else None for name in fields]
    last = len(columns) + 1

    def make(match: Match) -> TaskRow:
        groups = match.groups()
        numbers = [int(text) for text in groups[:last]]
        values = [None if place is None else numbers[place] for place in places]
        return TaskRow(numbers[0], groups[last] or "", *values)

    return pattern, make


def _row(report: OomReport, m: Match) -> None:
    if report.columns is None or len(report.tasks) >= MAX_TASKS:
        report.unparsed.append(m[0])
        return
    pattern, make = row_pattern(report.columns)
    found = pattern.fullmatch(m[0])
    if found is None:
        report.unparsed.append(m[0])
    else:
        report.tasks.append(make(found))


TABLE: Handlers = {"state": _state, "columns": _columns, "row": _row}
