"""The memory cgroup block: whose limit, how much is in use, the statistics of v1 and v2."""

from __future__ import annotations

import re

from ...report import OomReport
from ...report_memory import Usage
from ...units import KIB
from .handling import Handlers, Match, add_unparsed, memcg_of

_V1_STAT = re.compile(r"(\w+):(\d+)KB")


def _task_in(report: OomReport, m: Match) -> None:
    groups = m.groupdict()
    memcg_of(report)
    report.task_memcg = groups.get("task") or report.task_memcg
    if (groups.get("oom") or "/").startswith("/"):
        report.oom_memcg = groups.get("oom") or report.oom_memcg


def _path(report: OomReport, m: Match) -> None:
    """Take the third part of a «Task in» line that printk broke (3.15 to 3.17)."""
    if report.task_memcg is not None and report.oom_memcg is None:
        report.oom_memcg = m["path"]
    else:
        add_unparsed(report, m[0])


def _usage(report: OomReport, m: Match) -> None:
    values = (int(m[name]) for name in ("usage", "limit", "failcnt"))
    memcg_of(report).usage[m["what"]] = Usage(*values)


def _stats(report: OomReport, m: Match) -> None:
    found = {name: int(kib) * KIB for name, kib in _V1_STAT.findall(m["fields"])}
    path = m["path"] or report.oom_memcg or ""
    memcg_of(report).stats[path] = found
    if report.oom_memcg is None:
        report.oom_memcg = path or None


def _stat(report: OomReport, m: Match) -> None:
    if report.memcg is None or not report.memcg.stats:
        add_unparsed(report, m[0])
        return
    next(reversed(report.memcg.stats.values()))[m["name"]] = int(m["value"])


def _protection(report: OomReport, m: Match) -> None:
    state = memcg_of(report)
    state.min_protection_kib, state.low_protection_kib = int(m["min"]), int(m["low"])


CGROUP: Handlers = {
    "task_in": _task_in,
    "task_in_1": _task_in,
    "task_in_2": _task_in,
    "path": _path,
    "limit_reached": _task_in,
    "usage": _usage,
    "stats": _stats,
    "stat": _stat,
    "protection": _protection,
}
