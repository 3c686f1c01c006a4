"""What the score that the kernel printed tells beside the report's columns: a witness.

Distributions take over single rules (3.10 of EL7 has the root bonus of 3.14), the table does not
say who has CAP_SYS_ADMIN, and a memory cgroup's report leaves out total swap. The printed score
of the chosen task settles what it can.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ...kernel.evidence import reported_era
from ...kernel.scope import Scope
from ...kernel.selection import Scorer
from ...report import OomReport
from ...snapshot import FITTED, Reported, Snapshot, Task
from .totals import NODE_CONSTRAINTS, node_totalpages_bounds, nodes_with_memory

_BONUSES = {
    "pages": ("3% usage", "none", "30 adj"),
    "permille": ("30 points", "3% points", "none"),
}


def refined(report: OomReport, snapshot: Snapshot) -> Snapshot:
    """Return the snapshot with the rules under which the printed score comes out exactly.

    Unchanged where none do: the verdict then says that the score does not fit.
    """
    reported, said = snapshot.reported, report.announcements
    if reported is None or not said or not said[0].score or "allocating" in said[0].message:
        return snapshot
    if reported_era(reported).facts.formula == "legacy":
        return snapshot
    task = next((task for task in snapshot.tasks if task.pid == report.chosen_pid), None)
    if task is None or task.oom_score_adj is None:
        return snapshot
    if task.hidden_pages:
        return _nearest(report, snapshot, reported, task, said[0].score)
    for trial in _trials(report, snapshot, reported):
        fitting = _fitted(snapshot, trial, task, said[0].score)
        if fitting is not None:
            return snapshot if fitting == reported else replace(snapshot, reported=fitting)
    return snapshot


def _nearest(
    report: OomReport, snapshot: Snapshot, reported: Reported, task: Task, score: int
) -> Snapshot:
    """Choose the first rules whose bounds hold the score where the table hides pages.

    First the root bonus is asked: of the rules that give no more than the score, those that come
    nearest; then which node's pages the score was a share of.
    """
    within = []
    for trial in _trials(report, snapshot, reported):
        total = trial.totalpages_low or snapshot.machine.totalpages
        if not total:
            continue
        low = _score(snapshot, trial, task, trial.totalpages_high or total)
        most = task._replace(rss_pages=(task.rss_pages or 0) + (task.hidden_pages or 0))
        if low <= score <= _score(snapshot, trial, most, total):
            within.append((trial, low))
    if not within:
        return snapshot
    same = [pair for pair in within if pair[0].constraint == within[0][0].constraint]
    best = max(same, key=lambda pair: pair[1])[0]
    if best.totalpages_low != best.totalpages_high:
        best = within[0][0]  # too much is open for the nearest to mean anything
    return (
        snapshot if best == reported else replace(snapshot, reported=_noted(snapshot, best, score))
    )


def _trials(report: OomReport, snapshot: Snapshot, reported: Reported) -> Iterator[Reported]:
    """Yield what may have been, the likeliest first: as it seems, another bonus, other nodes."""
    era = reported_era(reported)
    bonuses = _BONUSES.get(era.facts.formula, ()) if era.facts.root_bonus != "none" else ()
    variants = [reported, *(reported._replace(root_bonus=bonus) for bonus in bonuses)]
    yield from variants
    if reported.memcg is not None or reported.constraint in NODE_CONSTRAINTS:
        return
    for node in sorted(nodes_with_memory(report)):
        bounds = node_totalpages_bounds(report, era.facts, snapshot.machine, {node})
        if bounds is not None:
            for variant in variants:
                yield variant._replace(
                    constraint="CONSTRAINT_MEMORY_POLICY",
                    totalpages_low=bounds[0],
                    totalpages_high=bounds[1] or snapshot.machine.totalpages,
                )


def _fitted(snapshot: Snapshot, trial: Reported, task: Task, score: int) -> Reported | None:
    """Return the trial, its totalpages narrowed, if the score comes out; else None."""
    low, high = trial.totalpages_low, trial.totalpages_high
    if low is None:
        total = snapshot.machine.totalpages
        fits = total is not None and _score(snapshot, trial, task, total) == score
        return _noted(snapshot, trial, score) if fits else None
    if _score(snapshot, trial, task, low) == score and low == high:
        return _noted(snapshot, trial, score)
    if low == high or task.oom_score_adj or reported_era(trial).facts.formula != "pages":
        return None
    points = _points(snapshot, trial, task, low)
    # score is points * 1000 // totalpages, so totalpages lies in an interval.
    least, most = points * 1000 // (score + 1) + 1, points * 1000 // score
    least, most = max(least, low), most if high is None else min(most, high)
    if least > most:
        return None
    return _noted(snapshot, trial._replace(totalpages_low=least, totalpages_high=most), score)


def _points(snapshot: Snapshot, trial: Reported, task: Task, total: int) -> int:
    scope = Scope(constraint="CONSTRAINT_NONE", totalpages=total, tasks=())
    badness = Scorer(reported_era(trial), scope, snapshot.machine).score(task).badness
    return badness or 0


def _score(snapshot: Snapshot, trial: Reported, task: Task, total: int) -> int:
    points = _points(snapshot, trial, task, total)
    in_pages = reported_era(trial).facts.formula == "pages"
    return points * 1000 // (total or 1) if in_pages else points


def _noted(snapshot: Snapshot, trial: Reported, score: int) -> Reported:
    found, before = [], snapshot.reported
    if before is not None and trial.constraint != before.constraint:
        found.append("its totalpages are one node's")
    elif before is not None and trial.totalpages_high != before.totalpages_high:
        found.append("how much swap counts")
    if trial.root_bonus is not None:
        found.append(f"root bonus: {trial.root_bonus}")
    if not found:
        return trial
    return trial._replace(evidence=f"{trial.evidence}; {FITTED} {score} shows: {', '.join(found)}")
