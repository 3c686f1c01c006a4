"""From recognised lines to an OomReport: one small function for each kind of line."""

from __future__ import annotations

from ...report import OomReport
from .cgroup_lines import CGROUP
from .handling import Handlers, Match, add_unparsed
from .head_lines import HEAD
from .kill_lines import KILL
from .lines import Line
from .memory_lines import MEMORY
from .table_lines import TABLE


def _elision(report: OomReport, m: Match) -> None:
    report.gaps.append(f"shortened by hand: {m[0][:60]!r}")


def _lost(report: OomReport, m: Match) -> None:
    report.gaps.append(m[0].strip("* "))


def _nothing(_report: OomReport, _m: Match) -> None:
    """Take a line that is part of a report and tells nothing more."""


HANDLERS: Handlers = {
    **HEAD,
    **MEMORY,
    **CGROUP,
    **TABLE,
    **KILL,
    "elision": _elision,
    "grepped": _elision,
    "lost": _lost,
}


def add_line(report: OomReport, line: Line) -> None:
    """Add what a line says to its report."""
    HANDLERS.get(line.kind, _nothing)(report, line.match)
    if line.leftover:
        add_unparsed(report, line.leftover)
        report.gaps.append(f"a {line.kind} line is cut or damaged")
