"""Choosing among the events of a log: by time, victim and cgroup."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..errors import InputError
from ..report import OomReport


class Selection(NamedTuple):
    """What --since, --until, --victim and --cgroup ask for."""

    since: str | None = None
    until: str | None = None
    victim: str | None = None
    cgroup: str | None = None


_TIME = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(?:Z|[+-]\d\d:?\d\d)?", re.ASCII
)
_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def check_times(selection: Selection) -> None:
    """Raise InputError where a bound is no time, before any log is read."""
    for bound in (selection.since, selection.until):
        if bound is None or _SECONDS.fullmatch(bound):
            continue
        if not _TIME.fullmatch(bound) or _moment(bound, bound) is None:
            raise InputError(
                f"{bound[:40]!r} is no time: write 2025-06-20T12:47:02, or seconds since boot"
            )


def is_chosen(report: OomReport, selection: Selection) -> bool:
    """Tell whether an event is asked for, by bounds that ``check_times`` has passed."""
    return (
        _after(report, selection.since)
        and not (selection.until is not None and not _before(report, selection.until))
        and _names(report, selection.victim)
        and _is_in(report, selection.cgroup)
    )


def _after(report: OomReport, bound: str | None) -> bool:
    if bound is None:
        return True
    order = _compare(report, bound)
    return order is not None and order >= 0


def _before(report: OomReport, bound: str) -> bool:
    order = _compare(report, bound)
    return order is not None and order <= 0


def _compare(report: OomReport, bound: str) -> int | None:
    """Return whether the event is before (-1), at or after a time; None where it has none."""
    if _SECONDS.fullmatch(bound):
        return None if report.uptime_seconds is None else _sign(report.uptime_seconds, float(bound))
    if report.time is None:
        return None
    moment, limit = _moment(report.time, bound), _moment(bound, bound)
    return None if moment is None or limit is None else _sign(moment, limit)


def _sign(one: float, other: float) -> int:
    return (one > other) - (one < other)


def _moment(text: str, bound: str) -> float | None:
    """Return a time as seconds. A log's time without a year is taken to be of the bound's."""
    from datetime import UTC, datetime

    from ..readers.kernel_log.times import normal_time

    if not text[:4].isdecimal():
        text = normal_time(f"{bound[:4]} {text}")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    # Without a zone both are local to whoever wrote the log: compared as they stand.
    return moment.timestamp() if moment.tzinfo else moment.replace(tzinfo=UTC).timestamp()


def _names(report: OomReport, victim: str | None) -> bool:
    return victim is None or any(victim in (v.comm, str(v.pid)) for v in report.victims)


def _is_in(report: OomReport, cgroup: str | None) -> bool:
    paths = (report.oom_memcg, report.task_memcg, report.group_memcg)
    return cgroup is None or any(cgroup in path for path in paths if path is not None)
