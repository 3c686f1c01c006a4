"""Rank the running machine at the price of its sizes: read in full only what is shown.

On a machine with ten thousand processes most of the time goes into reading them. Badness
needs three small files of each; names, owners and the kernel's own score are needed of the few
that are listed. Those few are read again, whole, and ranked again with what they then show.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import replace
from pathlib import Path

from ..analysis.ranking import Ranking, rank, rescored
from ..kernel.eras import Era
from ..kernel.evidence import mark_passed_over, pick_era, witness_pids
from ..readers.procfs import PROC, ProcScan
from ..snapshot import Gap, Snapshot

_ROUNDS = 8
"""Each round reads tasks that have come up into the listing; then the order is left alone."""


def rank_top(
    count: int | None,
    snapshot: Snapshot,
    *,
    proc: Path | None,
    kernel: str | None,
    details: Iterable[str],
) -> Ranking:
    """Return the ranking of a machine of which only the sizes were read.

    Its first ``count`` tasks (all for None) are known in full.
    """
    scan = ProcScan(proc or PROC, page_size=snapshot.machine.page_size, details=details)
    era = pick_era(snapshot, kernel)
    ranking = rank(snapshot, kernel=era)
    seen = _shown(ranking, count) | set(witness_pids(ranking.killable))
    snapshot = _reread(snapshot, scan, seen)
    # Only now the kernel's own scores are there to tell which rules it follows.
    own = pick_era(snapshot)
    era = era if kernel is not None else own
    snapshot = _marked(snapshot, own, seen)
    ranking = (
        rescored(ranking, snapshot, seen) if era == ranking.era else rank(snapshot, kernel=era)
    )
    for _ in range(_ROUNDS):
        fresh = _shown(ranking, count) - seen
        if not fresh:
            break
        seen |= fresh
        snapshot = _marked(_reread(snapshot, scan, fresh), own, fresh)
        ranking = rescored(ranking, snapshot, fresh)
    return ranking


def _shown(ranking: Ranking, count: int | None) -> set[int]:
    """Return the pids of the tasks that will be listed or named."""
    shown = [*ranking.killable[:count], *ranking.possible_victims[:count]]
    return {score.task.pid for score in shown}


def _reread(snapshot: Snapshot, scan: ProcScan, pids: Set[int]) -> Snapshot:
    """Read some tasks in full; those that have ended since are left out."""
    fresh = {task.pid: task for task in scan.read_some(pids)}
    gone = pids - fresh.keys()
    tasks = [fresh.get(task.pid, task) for task in snapshot.tasks]
    if gone:
        tasks = [task for task in tasks if task.pid not in gone]
    return replace(snapshot, tasks=tuple(tasks), gaps=_merged(snapshot, scan))


def _merged(snapshot: Snapshot, scan: ProcScan) -> tuple[Gap, ...]:
    known = {(gap.what, gap.why) for gap in scan.gaps()}
    return (*(g for g in snapshot.gaps if (g.what, g.why) not in known), *scan.gaps())


def _marked(snapshot: Snapshot, era: Era, pids: Set[int]) -> Snapshot:
    """Mark those of the tasks just read that the kernel passes over."""
    fresh = [task for task in snapshot.tasks if task.pid in pids]
    marks = mark_passed_over(fresh, era, snapshot.machine)
    passed_over = {task.pid for task, mark in zip(fresh, marks, strict=True) if mark}
    if not passed_over:
        return snapshot
    tasks = (t._replace(passed_over=True) if t.pid in passed_over else t for t in snapshot.tasks)
    return replace(snapshot, tasks=tuple(tasks))
