"""The listing of a log's events, and the JSON document ``oomlab.report/1``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..analysis.events import Event
from ..report import OomReport, TaskRow, Victim, Zone
from ..units import KIB, human
from .tables import Column, Table

SCHEMA = "oomlab.report/1"


def size_kib(kib: int | None) -> str:
    """Return kB as a human size, unknown as a question mark."""
    return "?" if kib is None else human(kib * KIB)


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
    """Return the first cause, or a question mark."""
    return event.causes[0].cause if event.causes else "?"


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
    kib = None if victim is None else victim_rss_kib(victim)
    return None if kib is None else kib * KIB


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
        show=lambda e: size_kib(None if (b := _victim_bytes(e)) is None else b // KIB),
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
    Column(name="why", header="WHY", help="the first cause", value=why, left=True, keep=8),
    Column(
        name="source",
        header="SOURCE",
        help="the log",
        value=lambda e: e.report.source,
        left=True,
        keep=1,
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
    columns = [c for c in COLUMNS if c.name != "source" or sources > 1]
    footer = ["", "One in full: --event N."] if events else []
    return Table(columns=columns, rows=events, heading=heading, footer=footer)


def report_document(events: Sequence[Event]) -> dict[str, Any]:
    """Return the JSON document ``oomlab.report/1``: memory in bytes."""
    return {"schema": SCHEMA, "events": [event_entry(event) for event in events]}


def event_entry(event: Event) -> dict[str, Any]:
    """Return one event as JSON has it."""
    report = event.report
    reported = event.snapshot.reported if event.snapshot is not None else None
    return {
        "index": event.index,
        "source": report.source,
        "line": report.line,
        "time": report.time,
        "uptime_seconds": report.uptime_seconds,
        "host": report.host,
        "kernel": report.release,
        "era": event.ranking.era.family if event.ranking is not None else None,
        "rules_of": reported.rules_of if reported is not None else None,
        "evidence": reported.evidence if reported is not None else None,
        "constraint": report.constraint,
        "oom_memcg": report.oom_memcg,
        "task_memcg": report.task_memcg,
        "cpuset": report.cpuset,
        "mems_allowed": report.mems_allowed,
        "hardware": report.hardware,
        "trigger": _trigger_entry(report),
        "stack": report.stack,
        "victims": [_victim_entry(victim) for victim in report.victims],
        "group": report.group_memcg,
        "panic": report.panic,
        "predicted": _predicted_entry(event),
        "page_size": event.page_size if event.page_size_known else None,
        "totalpages": event.ranking.scope.totalpages if event.ranking is not None else None,
        "tasks": [_task_entry(row, event.page_size) for row in report.tasks],
        "memory": _memory_entry(event),
        "diagnosis": [
            {"cause": c.cause, "evidence": list(c.evidence), "advice": c.advice}
            for c in event.causes
        ],
        "complete": report.complete,
        "gaps": list(event.gaps),
        "notes": report.notes,
        "unparsed": report.unparsed,
    }


def _trigger_entry(report: OomReport) -> dict[str, Any] | None:
    from ..kernel.gfp import flag_names

    trigger = report.trigger
    if trigger is None:
        return None
    return {
        "comm": trigger.comm,
        "pid": trigger.pid,
        "gfp_mask": f"{trigger.gfp_mask:#x}",
        "gfp_flags": list(flag_names(trigger.gfp_mask, trigger.gfp_flags, report.release) or ()),
        "order": trigger.order,
        "nodemask": trigger.nodemask,
        "oom_score_adj": trigger.oom_score_adj,
        "oom_adj": trigger.oom_adj,
    }


def _bytes(kib: int | None) -> int | None:
    return None if kib is None else kib * KIB


def _victim_entry(victim: Victim) -> dict[str, Any]:
    return {
        "pid": victim.pid,
        "comm": victim.comm,
        "uid": victim.uid,
        "total_vm_bytes": _bytes(victim.total_vm_kib),
        "rss_anon_bytes": _bytes(victim.rss_anon_kib),
        "rss_file_bytes": _bytes(victim.rss_file_kib),
        "rss_shmem_bytes": _bytes(victim.rss_shmem_kib),
        "pagetable_bytes": _bytes(victim.pagetable_kib),
        "oom_score_adj": victim.oom_score_adj,
        "printed_score": victim.printed_score,
        "reaped": victim.reaped,
    }


def _predicted_entry(event: Event) -> dict[str, Any]:
    verdict = event.verdict
    return {
        "pid": verdict.pid,
        "comm": verdict.comm,
        "badness": verdict.badness,
        "agrees": verdict.agrees,
        "why_not": verdict.why_not,
        "certain": verdict.certain,
        "printed_score": verdict.printed_score,
        "modelled_score": verdict.modelled_score,
    }


def _task_entry(row: TaskRow, page_size: int) -> dict[str, Any]:
    def size(pages: int | None) -> int | None:
        return None if pages is None else pages * page_size

    tables = row.pagetable_bytes if row.pagetable_bytes is not None else size(row.table_pages)
    return {
        "pid": row.pid,
        "tgid": row.tgid,
        "uid": row.uid,
        "comm": row.comm,
        "total_vm_bytes": size(row.total_vm_pages),
        "rss_bytes": size(row.rss_pages),
        "rss_anon_bytes": size(row.rss_anon_pages),
        "rss_file_bytes": size(row.rss_file_pages),
        "rss_shmem_bytes": size(row.rss_shmem_pages),
        "pagetable_bytes": tables,
        "pmd_bytes": size(row.pmd_pages),
        "swap_bytes": size(row.swap_pages),
        "oom_adj": row.oom_adj,
        "oom_score_adj": row.oom_score_adj,
    }


def _memory_entry(event: Event) -> dict[str, Any]:
    report, size = event.report, event.page_size
    found: dict[str, Any] = {}
    memory, memcg = report.memory, report.memcg
    if memory is not None:
        found |= {
            "totals": {name: pages * size for name, pages in memory.totals_pages.items()},
            "nodes": {str(number): _all_bytes(kib) for number, kib in memory.nodes_kib.items()},
            "zones": [_zone_entry(zone, size) for zone in memory.zones],
            "hugepages": [pool._asdict() for pool in memory.hugepages],
            "pages": memory.counts_pages,
            "swap_free_bytes": _bytes(memory.swap_free_kib),
            "swap_total_bytes": _bytes(memory.swap_total_kib),
            "swap_cache": memory.swap_cache,
            "slabs": [
                {"name": s.name, "used_bytes": s.used_kib * KIB, "total_bytes": s.total_kib * KIB}
                for s in memory.slabs
            ],
            "allocations": memory.allocations,
        }
    if memcg is not None:
        found["memcg"] = {
            "usage": {
                name: {
                    "usage_bytes": u.usage_kib * KIB,
                    "limit_bytes": u.limit_kib * KIB,
                    "failcnt": u.failcnt,
                }
                for name, u in memcg.usage.items()
            },
            "stats": memcg.stats,
            "min_protection_bytes": _bytes(memcg.min_protection_kib),
            "low_protection_bytes": _bytes(memcg.low_protection_kib),
        }
    return found


_COUNTS = frozenset({"pages_scanned"})
"""Fields of zones and nodes that are counts, not sizes."""


def _all_bytes(fields: dict[str, int]) -> dict[str, int]:
    return {name: v if name in _COUNTS else v * KIB for name, v in fields.items()}


def _zone_entry(zone: Zone, page_size: int) -> dict[str, Any]:
    reserve = zone.lowmem_reserve_pages
    blocks = zone.free_blocks
    return {
        "node": zone.node,
        "zone": zone.name,
        "fields": _all_bytes(zone.fields_kib),
        "all_unreclaimable": zone.all_unreclaimable,
        "lowmem_reserve_bytes": None if reserve is None else [n * page_size for n in reserve],
        "free_blocks": None
        if blocks is None
        else [
            {"count": b.number, "size_bytes": b.size_kib * KIB, "types": b.types} for b in blocks
        ],
    }
