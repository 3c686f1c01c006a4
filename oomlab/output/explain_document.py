"""The JSON document ``oomlab.explain/1``."""

from __future__ import annotations

from typing import Any

from ..analysis.cgroups import cgroup_of
from ..analysis.composition import KindTotal, largest, total
from ..analysis.explain import Explanation
from ..analysis.freeing import Freeing, Part
from ..mappings import SmapsSizes
from ..snapshot import Task
from ..units import pages_to_bytes
from .documents import gap_entries, kernel_entry, scope_entry
from .rank_rows import ranking_rows
from .standing import standing_document, standing_rows

EXPLAIN_SCHEMA = "oomlab.explain/1"


def explain_document(one: Explanation, count: int) -> dict[str, Any]:
    """Return all of an explanation: sizes in bytes, badness and its shares in pages."""
    from .documents import task_entry

    place = one.ranking.scores.index(one.score) + 1
    row = ranking_rows(one.ranking, place)[-1]
    vitals = one.files.vitals if one.files else None
    return {
        "schema": EXPLAIN_SCHEMA,
        "kernel": kernel_entry(one.ranking),
        "scope": scope_entry(one.ranking),
        "task": task_entry(row),
        "shares": _shares(one),
        "rollup": _rollup(one),
        "kinds": [
            {
                "kind": k.kind.name.lower(),
                "mappings": k.mappings,
                **{f"{name}_bytes": getattr(k, name) for name in KindTotal._fields[2:]},
            }
            for k in one.totals
        ]
        or None,
        "killing_frees": _freeing(one.freeing),
        "largest": _largest(one, count),
        "virt_bytes": _bytes(one, vitals.total_vm_pages if vitals else one.task.total_vm_pages),
        "res_bytes": _bytes(one, vitals.resident_pages if vitals else one.task.rss_pages),
        "shr_bytes": _bytes(one, vitals.shared_pages) if vitals else None,
        "faults": _faults(one),
        "allocators": [found._asdict() for found in one.allocators] if one.space else None,
        "tunables": [tunable._asdict() for tunable in one.tunables] if one.space else None,
        "scopes": _scopes(one),
        "setting": _setting(one),
        "gaps": [
            *gap_entries(one.ranking.snapshot),
            *({"what": g.what, "why": g.why, "pids": list(g.pids)} for g in one.gaps),
        ],
    }


def _bytes(one: Explanation, pages: int | None) -> int | None:
    return pages_to_bytes(pages, one.page_size)


def _shares(one: Explanation) -> list[dict[str, Any]] | None:
    if one.shares is None:
        return None
    return [
        {"share": share.name, "pages": share.pages, "bytes": share.pages * one.page_size}
        for share in one.shares
    ]


def _rollup(one: Explanation) -> dict[str, int | None] | None:
    """Return all mappings together, each size by its own name."""
    if one.space is None or not one.space.has_sizes:
        return None
    names = SmapsSizes._fields
    return {f"{name}_bytes": total(one.space, name) for name in names}


def _part(part: Part) -> dict[str, Any]:
    return {"what": part.name, "low_bytes": part.low, "high_bytes": part.high, "why": part.why}


def _freeing(freeing: Freeing | None) -> dict[str, Any] | None:
    if freeing is None:
        return None
    return {
        "low_bytes": freeing.low,
        "high_bytes": freeing.high,
        "freed": [_part(part) for part in freeing.freed],
        "kept": [_part(part) for part in freeing.kept],
        "swap": None if freeing.swap is None else _part(freeing.swap),
    }


def _largest(one: Explanation, count: int) -> list[dict[str, Any]] | None:
    if one.space is None or not one.space.mappings:
        return None
    return [
        {
            "start": f"{mapping.start:x}",
            "end": f"{mapping.end:x}",
            "permissions": mapping.permissions,
            "kind": kind.name.lower(),
            "path": mapping.path or None,
            "size_bytes": mapping.size,
            "rss_bytes": mapping.sizes.rss if mapping.sizes else None,
            "pss_bytes": mapping.sizes.pss if mapping.sizes else None,
            "swap_bytes": mapping.sizes.swap if mapping.sizes else None,
        }
        for mapping, kind in largest(one.space, one.kinds, count)
    ]


def _faults(one: Explanation) -> dict[str, Any] | None:
    vitals = one.files.vitals if one.files else None
    if vitals is None:
        return None
    rates = one.rates
    return {
        "minor": vitals.minor_faults,
        "major": vitals.major_faults,
        "measured": rates.measured if rates else None,
        "seconds": rates.seconds if rates else None,
        "minor_per_second": rates.minor if rates else None,
        "major_per_second": rates.major if rates else None,
    }


def _scopes(one: Explanation) -> Any:
    snapshot = one.ranking.snapshot
    rows = standing_rows(snapshot, one.task, one.scopes)
    return standing_document(snapshot, one.task, rows)["scopes"]


def _setting(one: Explanation) -> dict[str, Any]:
    origin = one.origin
    setting = one.files.unit_setting if one.files else None

    def named(task: Task | None) -> dict[str, Any] | None:
        return None if task is None else {"pid": task.pid, "comm": task.comm}

    return {
        "oom_score_adj": origin.oom_score_adj,
        "same_as": [named(task) for task in origin.same],
        "differs_from": named(origin.above),
        "unit": origin.unit.name if origin.unit is not None else None,
        "unit_of_uid": origin.unit.uid if origin.unit is not None else None,
        "unit_setting": None
        if setting is None
        else setting._asdict() | {"unit": setting.unit.name},
        "container": origin.container,
        "cgroup": cgroup_of(one.task),
    }
