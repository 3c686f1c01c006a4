"""The listing of a log's events, and how one is named: when, where, why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..analysis.events import Event
from ..report import OomReport, Victim
from ..units import kib_to_bytes
from .tables import Column, Table, shown_size


def when(report: OomReport) -> str:
    """Return the event's time as the log tells it."""
    if report.time is not None:
        return report.time
    return "?" if report.uptime_seconds is None else f"[{report.uptime_seconds:.6f}]"


def victim_rss_kib(victim: Victim) -> int | None:
    """Return what a killed process held in memory, None where its line does not say."""
    parts = (victim.rss_anon_kib, victim.rss_file_kib, victim.rss_shmem_kib)
    return None if parts[0] is None else sum(part or 0 for part in parts)


def where(report: OomReport) -> str:
    """Return whose memory ran out: the machine's or a memory cgroup's."""
    if report.is_memcg:
        return report.oom_memcg or "(a memory cgroup)"
    return "machine"


def why(event: Event) -> str:
    """Return the first cause that says more than whose limit it was, or a question mark."""
    names = [cause.cause for cause in event.causes]
    more = [name for name in names if name not in _LIMITS]
    return next(iter(more or names), "?")


_LIMITS = ("a memory cgroup's limit", "the cgroup may use no swap")
"""Beside the cgroup's path they say nothing new."""


def _victim(event: Event) -> Victim | None:
    return event.report.victims[0] if event.report.victims else None


def _victim_pid(event: Event) -> int | None:
    victim = _victim(event)
    return None if victim is None else victim.pid


def _victim_name(event: Event) -> str:
    victims = event.report.victims
    if not victims:
        return "(panic)" if event.report.panic else "(nobody)" if event.report.no_killable else "?"
    more = f" and {len(victims) - 1} more" if len(victims) > 1 else ""
    return victims[0].comm + more


def _victim_bytes(event: Event) -> int | None:
    victim = _victim(event)
    return None if victim is None else kib_to_bytes(victim_rss_kib(victim))


def _model(event: Event) -> str:
    agrees = event.verdict.agrees
    if agrees is None:
        return "?"
    return "agrees" if agrees else f"{event.verdict.pid} ({event.verdict.comm})"


def _trigger(event: Event) -> str | None:
    trigger = event.report.trigger
    return None if trigger is None else trigger.comm


COLUMNS: tuple[Column[Event], ...] = (
    Column(name="event", header="#", help="number for --event", value=lambda e: e.index),
    Column(
        name="time",
        header="TIME",
        help="as the log tells it; seconds since boot in brackets",
        value=lambda e: when(e.report),
        left=True,
    ),
    Column(
        name="kernel",
        header="KERNEL",
        help="kernel release",
        value=lambda e: e.report.release,
        left=True,
        keep=3,
        flexible=True,
    ),
    Column(
        name="constraint",
        header="CONSTRAINT",
        help="the kernel's word for whose memory ran out",
        value=lambda e: e.report.constraint,
        show=lambda e: (e.report.constraint or "?").removeprefix("CONSTRAINT_"),
        left=True,
        keep=4,
    ),
    Column(
        name="memcg",
        header="OUT OF MEMORY",
        help="the machine, or the memory cgroup whose limit was hit",
        value=lambda e: where(e.report),
        left=True,
        keep=6,
        flexible=True,
    ),
    Column(
        name="trigger",
        header="TRIGGER",
        help="who asked for memory",
        value=_trigger,
        left=True,
        keep=2,
    ),
    Column(name="pid", header="PID", help="the killed process", value=_victim_pid),
    Column(
        name="victim",
        header="KILLED",
        help="its name, and how many more",
        value=_victim_name,
        left=True,
        flexible=True,
    ),
    Column(
        name="rss",
        header="RSS",
        help="its memory when it was killed",
        key="rss_bytes",
        value=_victim_bytes,
        show=lambda e: shown_size(_victim_bytes(e)),
        keep=7,
    ),
    Column(
        name="model",
        header="MODEL",
        help="whether the model chooses the same, or whom",
        value=_model,
        left=True,
        keep=5,
    ),
    Column(
        name="why",
        header="WHY",
        help="the first cause",
        value=why,
        left=True,
        keep=8,
        flexible=True,
    ),
    Column(
        name="source",
        header="SOURCE",
        help="the log",
        value=lambda e: e.report.source,
        show=lambda e: e.report.source.rpartition("/")[2],
        left=True,
        keep=4,
        flexible=True,
    ),
    Column(
        name="line",
        header="LINE",
        help="its first line there",
        value=lambda e: e.report.line,
        keep=1,
    ),
)


def events_table(events: Sequence[Event], *, sources: int) -> Table[Event]:
    """Return the listing of events."""
    heading = [f"{len(events)} out-of-memory event{'' if len(events) == 1 else 's'}."]
    if len(events) > _SUMMED_FROM:
        heading += _summary(events)
    left_out = set() if sources > 1 else {"source"}
    if any(event.report.line is None for event in events):
        left_out.add("line")
    columns = [column for column in COLUMNS if column.name not in left_out]
    footer = ["", "One in full: --event N."] if events else []
    return Table(columns=columns, rows=events, heading=heading, footer=footer)


_SUMMED_FROM, _SUMMED = 5, 5


def _summary(events: Sequence[Event]) -> list[str]:
    """Return who was killed most often, whose memory ran out most often, and why."""
    killed = [v.comm for event in events for v in event.report.victims]
    nobody = sum(not event.report.victims for event in events)
    places = [where(event.report) for event in events]
    return [
        f"Killed: {_most(killed)}." + (f" Nobody in {nobody} events." if nobody else ""),
        f"Out of memory: {_most(places)}.",
        f"Why: {_most([why(event) for event in events])}.",
    ]


def _most(names: Sequence[str]) -> str:
    """Return the most frequent names with their numbers, and how many others there are."""
    counted = Counter(names).most_common()
    shown = ", ".join(f"{name} {count}" for name, count in counted[:_SUMMED])
    left = len(counted) - _SUMMED
    return (shown or "nobody") + (f" and {left} others" if left > 0 else "")
