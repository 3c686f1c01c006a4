"""Rows of a task table whose header is lost: their columns told by the kernel's own printf widths.

Eras print the same number of columns for other things, so counting them would be a guess. But
each pads its numbers in its own way: the rows are printed again in each layout, and read only
where one gives rows back to the letter, and no other a row that this one does not.
"""

from __future__ import annotations

import re

from ...report import OomReport
from .handling import add_unparsed
from .table_lines import row_reader

_HEAD = "[%5d] %5d %5d %8d %8d"
_HEAD_419 = "[%7d] %5d %5d %8d %8d"
_LAYOUTS = (
    # 2.6.25, 2.6.36, 3.6, 4.0, 4.15, 4.19, 6.8: mm/oom_kill.c, dump_tasks()
    ("cpu oom_adj", f"{_HEAD} %3d     %3d %s"),
    ("cpu oom_adj oom_score_adj", f"{_HEAD} %3d     %3d         %5d %s"),
    ("nr_ptes swapents oom_score_adj", f"{_HEAD} %7d %8d         %5d %s"),
    ("nr_ptes nr_pmds swapents oom_score_adj", f"{_HEAD} %7d %7d %8d         %5d %s"),
    ("pgtables_bytes swapents oom_score_adj", f"{_HEAD} %8d %8d         %5d %s"),
    ("pgtables_bytes swapents oom_score_adj", f"{_HEAD_419} %8d %8d         %5d %s"),
    (
        "rss_anon rss_file rss_shmem pgtables_bytes swapents oom_score_adj",
        f"{_HEAD_419} %8d %8d %9d %8d %8d         %5d %s",
    ),
)
_ASKED = 500
_COMM_BYTES = 15
_ENOUGH = 3
"""Rows that are padded as a kernel pads them; the others may be broken, as by a mail program."""
_ROW = re.compile(r"\[ *\d{1,10}\](?: +-?\d{1,19}){6,10}(?: .*)?")


def columns_of(rows: list[str]) -> tuple[str, ...] | None:
    """Return the columns of rows without header, None where the widths don't tell them.

    Of a large table some rows are asked, from all of it.
    """
    rows = rows[:: len(rows) // _ASKED + 1]
    fitting: dict[str, set[str]] = {}
    for columns, layout in _LAYOUTS:
        rows_so = {row for row in rows if _is_printed_so(row, columns, layout)}
        fitting.setdefault(columns, set()).update(rows_so)
    columns, rows_so = max(fitting.items(), key=lambda one: len(one[1]))
    if len(rows_so) < min(_ENOUGH, len(set(rows))):
        return None
    # Numbers too large for their column make a row fit two layouts, but not all rows.
    if any(others >= rows_so or others - rows_so for c, others in fitting.items() if c != columns):
        return None
    return ("uid", "tgid", "total_vm", "rss", *columns.split())


def is_row(text: str) -> bool:
    """Tell whether a line is a row of some kernel's task table, as that kernel pads it."""
    return _ROW.fullmatch(text) is not None and any(_is_printed_so(text, *one) for one in _LAYOUTS)


def _is_printed_so(row: str, columns: str, layout: str) -> bool:
    pattern, _ = row_reader(("uid", "tgid", "total_vm", "rss", *columns.split()))
    match = pattern.fullmatch(row)
    if match is None:
        return False
    *numbers, comm = match.groups()
    # A name is no longer, and what begins with a blank is the next column's padding.
    comm = comm or ""
    if comm[:1] == " " or len(comm.encode("utf-8", "surrogateescape")) > _COMM_BYTES:
        return False
    return (layout % (*map(int, numbers), comm)).rstrip() == row


def read_headless(report: OomReport) -> None:
    """Fill a report's task table from rows that came without a header, where that is certain."""
    rows, report.headless_rows = report.headless_rows, []
    if not rows:
        return
    columns = columns_of(rows) if report.columns is None else None
    if report.columns is not None and not report.tasks:
        # All rows stand before the header: the log has its newest lines first.
        columns, report.is_reversed = report.columns, True
        rows.reverse()
    if columns is None:
        for row in rows:
            add_unparsed(report, row)
        return
    pattern, make = row_reader(columns)
    report.columns, report.header_is_lost = columns, not report.is_reversed
    for row in rows:
        match = pattern.fullmatch(row)
        if match is None:
            add_unparsed(report, row)
        else:
            report.tasks.append(make(match))
