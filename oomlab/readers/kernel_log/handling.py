"""What the rooms of line handlers share: the type of a handler, and what lines lack."""

from __future__ import annotations

import re
from collections.abc import Callable

from ...report import OomReport
from ...report_memory import MemcgState, MemoryState

MAX_UNPARSED = 500

Match = re.Match[str]
Handlers = dict[str, Callable[[OomReport, Match], None]]
"""By the kind of a line (``lines.py``): what adds it to a report."""


def number(text: str | None) -> int | None:
    """Return a number of a line, None where the line has none."""
    return None if text is None else int(text)


def memory_of(report: OomReport) -> MemoryState:
    """Return the report's Mem-Info block, which begins where nothing of it was seen before."""
    if report.memory is None:
        report.memory = MemoryState()
    return report.memory


def memcg_of(report: OomReport) -> MemcgState:
    """Return the report's memory cgroup block, which begins likewise."""
    if report.memcg is None:
        report.memcg = MemcgState()
    return report.memcg


def note(report: OomReport, m: Match) -> None:
    """Keep a line that says in words what no field holds."""
    report.notes.append(m[0])


def add_unparsed(report: OomReport, text: str) -> None:
    """Keep a line that nothing recognises; a flood of them is counted, not kept."""
    if len(report.unparsed) < MAX_UNPARSED:
        report.unparsed.append(text[:2000])
    elif len(report.unparsed) == MAX_UNPARSED:
        report.unparsed.append(f"(more than {MAX_UNPARSED} lines, the others are left out)")
