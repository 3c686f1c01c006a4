"""The JSON document ``oomlab.report/1``: events with all that their reports say, in bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from ..analysis.asking import purpose_of
from ..analysis.distribution import distribution_of
from ..analysis.events import Event
from ..kernel.gfp import flag_names
from ..report import OomReport, TaskRow, Victim
from ..units import kib_to_bytes, pages_to_bytes
from .report_memory import memory_entry

SCHEMA = "oomlab.report/1"


def render_events(events: Iterable[Event]) -> Iterator[str]:
    """Yield the document's text event by event, indented: no more than one is held."""
    yield f'{{\n  "schema": "{SCHEMA}",\n  "events": ['
    separator = "\n"
    for event in events:
        text = json.dumps(event_entry(event), indent=2)
        # No string has a line break of its own: JSON escapes it.
        yield separator + "    " + text.replace("\n", "\n    ")
        separator = ",\n"
    yield "]\n}\n" if separator == "\n" else "\n  ]\n}\n"


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
        "distribution": distribution_of(report.release),
        "era": event.ranking.era.family if event.ranking is not None else None,
        "rules_of": reported.rules_of if reported is not None else None,
        "evidence": reported.evidence if reported is not None else None,
        "constraint": report.constraint,
        "oom_memcg": report.oom_memcg,
        "task_memcg": report.task_memcg,
        "cpuset": report.cpuset,
        "mems_allowed": report.mems_allowed,
        "hardware": report.hardware,
        "context": _context_entry(report),
        "trigger": _trigger_entry(report),
        "stack": report.stack,
        "registers": report.registers,
        "announced": [
            {"pid": a.pid, "comm": a.comm, "score": a.score} for a in report.announcements
        ],
        "victims": [_victim_entry(victim) for victim in report.victims],
        "group": report.group_memcg,
        "no_killable": report.no_killable,
        "panic": report.panic,
        "predicted": _predicted_entry(event),
        "page_size": event.page_size if event.page_size_known else None,
        "totalpages": event.ranking.scope.totalpages if event.ranking is not None else None,
        "tasks": [_task_entry(row, event.page_size) for row in report.tasks],
        "memory": memory_entry(report, event.page_size),
        "diagnosis": [
            {"cause": c.cause, "evidence": list(c.evidence), "advice": c.advice}
            for c in event.causes
        ],
        "complete": report.complete,
        "gaps": list(event.gaps),
        "notes": report.notes,
        "unparsed": report.unparsed,
    }


def _context_entry(report: OomReport) -> dict[str, Any]:
    context = report.context
    return {
        "cpu": None if context is None else context.cpu,
        "pid": None if context is None else context.pid,
        "uid": None if context is None else context.uid,
        "comm": None if context is None else context.comm,
        "taint": None if context is None else context.taint,
        "taint_reasons": report.taint_reasons,
        "build": None if context is None else context.build,
        "workqueue": report.workqueue,
        "policy": report.policy,
    }


def _trigger_entry(report: OomReport) -> dict[str, Any] | None:
    trigger = report.trigger
    if trigger is None:
        return None
    return {
        "comm": trigger.comm,
        "pid": trigger.pid,
        "gfp_mask": None if trigger.gfp_mask is None else f"{trigger.gfp_mask:#x}",
        "gfp_flags": list(
            flag_names(trigger.gfp_mask or 0, trigger.gfp_flags, report.release) or ()
        ),
        "order": trigger.order,
        "nodemask": trigger.nodemask,
        "oom_score_adj": trigger.oom_score_adj,
        "oom_adj": trigger.oom_adj,
        "purpose": purpose_of(report.stack),
    }


def _victim_entry(victim: Victim) -> dict[str, Any]:
    return {
        "pid": victim.pid,
        "comm": victim.comm,
        "uid": victim.uid,
        "total_vm_bytes": kib_to_bytes(victim.total_vm_kib),
        "rss_anon_bytes": kib_to_bytes(victim.rss_anon_kib),
        "rss_file_bytes": kib_to_bytes(victim.rss_file_kib),
        "rss_shmem_bytes": kib_to_bytes(victim.rss_shmem_kib),
        "pagetable_bytes": kib_to_bytes(victim.pagetable_kib),
        "oom_score_adj": victim.oom_score_adj,
        "printed_score": victim.printed_score,
        "reaped": victim.reaped,
    }


def _predicted_entry(event: Event) -> dict[str, Any]:
    verdict = event.verdict
    reported = event.snapshot.reported if event.snapshot is not None else None
    fitted = reported is not None and reported.is_fitted
    return {
        "pid": verdict.pid,
        "comm": verdict.comm,
        "badness": verdict.badness,
        "agrees": verdict.agrees,
        "why_not": verdict.why_not,
        "certain": verdict.certain,
        "printed_score": verdict.printed_score,
        "modelled_score": verdict.modelled_score,
        "modelled_range": verdict.modelled_range,
        "score_checks": None if verdict.printed_score is None else not fitted,
    }


def _task_entry(row: TaskRow, page_size: int) -> dict[str, Any]:
    def size(pages: int | None) -> int | None:
        return pages_to_bytes(pages, page_size)

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
        "pud_bytes": size(row.pud_pages),
        "swap_bytes": size(row.swap_pages),
        "cpu": row.cpu,
        "oom_adj": row.oom_adj,
        "oom_score_adj": row.oom_score_adj,
    }
