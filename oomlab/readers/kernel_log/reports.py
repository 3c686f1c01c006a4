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

_CALLED = {
    "trigger": "invoked oom-killer",
    "buddy": "free blocks",
    "stats": "statistics",
    "cut_summary": "oom-kill",
    "announce": "Kill process",
    "kill": "Killed process",
}
"""What the gaps call a line that was cut, where the name of its kind would say little."""


def _elision(report: OomReport, m: Match) -> None:
    # MIPS prints the stack's words up to a line of dots.
    if report.registers and not report.stack and m[0] == "...":
        return
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
        report.gaps.append(f"cut or damaged: {_CALLED.get(line.kind, line.kind)} line")
