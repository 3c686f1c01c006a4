"""The JSON documents of rankings, and the entries that other documents share with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..analysis.ranking import Ranking, cautions
from ..snapshot import Snapshot
from .rank_rows import RankRow, needs_bytes, rss_pages

RANK_SCHEMA = "oomlab.rank/1"


def rank_document(ranking: Ranking, rows: Sequence[RankRow]) -> dict[str, Any]:
    """Return the JSON document ``oomlab.rank/1``: sizes in bytes, badness in pages."""
    return {
        "schema": RANK_SCHEMA,
        "kernel": kernel_entry(ranking),
        "scope": scope_entry(ranking),
        "cautions": cautions(ranking),
        "tasks": [task_entry(row) for row in rows],
        "gaps": gap_entries(ranking.snapshot),
    }


def kernel_entry(ranking: Ranking) -> dict[str, Any]:
    """Return which kernel's rules were used, and why."""
    return {
        "release": ranking.snapshot.machine.release,
        "era": ranking.era.family,
        "rules_of": ranking.era.release,
        "evidence": ranking.era.evidence,
    }


def scope_entry(ranking: Ranking) -> dict[str, Any]:
    """Return whose limit was asked about."""
    return {
        "constraint": ranking.scope.constraint,
        "memcg": ranking.scope.memcg,
        "totalpages": ranking.scope.totalpages,
        "page_size": ranking.snapshot.machine.page_size,
    }


def gap_entries(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Return what could not be read."""
    return [{"what": gap.what, "why": gap.why, "pids": list(gap.pids)} for gap in snapshot.gaps]


def task_entry(row: RankRow) -> dict[str, Any]:
    """Return one task of a ranking as JSON has it."""
    score, task = row.score, row.task
    best, worst = row.ranking.places(score) if score.killable else (None, None)
    return {
        "rank": row.place if score.killable else None,
        "rank_best": best,
        "rank_worst": worst,
        "pid": task.pid,
        "ppid": task.ppid,
        "comm": task.comm,
        "cmdline": None if task.cmdline is None else list(task.cmdline),
        "user": task.user,
        "uid": task.uid,
        "oom_score_adj": task.oom_score_adj,
        "rss_bytes": row.bytes_of(rss_pages(row)),
        "swap_bytes": row.bytes_of(task.swap_pages),
        "pagetable_bytes": task.pagetable_bytes,
        "badness": score.badness,
        "badness_low": score.low,
        "badness_high": score.high,
        "oom_score": score.oom_score,
        "oom_score_low": score.oom_score_low,
        "oom_score_high": score.oom_score_high,
        "kernel_oom_score": task.kernel_oom_score,
        "needs_bytes": needs_bytes(row),
        "children": row.children.number,
        "children_bytes": row.bytes_of(row.children.pages),
        "killable": score.killable,
        "why_not": score.why_not,
    }
