"""Choose the era by what the data shows first, by the release number second.

Distributions backport, so a release string alone may lie. The kernel's own scores are the
witnesses: the rules that reproduce all of them win over rules that do not.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from ..errors import InputError
from ..snapshot import Machine, Reported, Snapshot, Task
from .eras import ASKED_FOR, Era, era_of, with_facts
from .scope import Scope, system_scope
from .score import Score, TaskScorer
from .selection import scorer

_LARGEST, _SPREAD = 32, 32
"""Witnesses asked: the largest tell the formulas apart, a spread of others the idle score."""

_NEWEST = "7.2"
_RIVALS = ("6.1", _NEWEST, "5.4", "4.16", "4.14", "3.16", "3.10", "3.2.71", "3.2", "3.1", "2.6.36")
"""One release of each formula that oom_score can tell from the others."""

_FORMULA = ("family", "formula", "points_type", "page_tables", "root_bonus")
_COUNTERS = ("killer_counters", "status_counters")


def pick_era(snapshot: Snapshot, kernel: str | None = None) -> Era:
    """Return the rules that apply to a snapshot, and by what evidence.

    ``kernel`` overrides both evidence and release. Raises InputError where nothing tells.
    """
    if kernel is not None:
        return era_of(kernel, evidence=ASKED_FOR)
    if snapshot.reported is not None:
        return reported_era(snapshot.reported)
    witnesses = _witnesses(snapshot)
    try:
        era = _by_marks(era_of(snapshot.machine.release or "", evidence="release"), snapshot)
    except InputError:
        era = None
    if era is not None and _explains(era, snapshot, witnesses) is not False:
        return _with_counters(era, snapshot)
    rival = _best_rival(era, snapshot, witnesses)
    if rival is not None:
        return rival
    if era is None:
        raise InputError(
            "the kernel's release is unknown; give --kernel, for example --kernel 5.10"
        )
    return _with_counters(era, snapshot)


def _best_rival(era: Era | None, snapshot: Snapshot, witnesses: Sequence[Task]) -> Era | None:
    """Return the first rules that reproduce the witnesses' scores, which ``era`` does not.

    A distribution takes over a formula, and with it the rest of that kernel's OOM killer
    or not: all other facts stay those of the release where it is known.
    """
    # Without a release the newest rules are as good as any; a known one is older than they are.
    for release in _RIVALS if era is not None else (_NEWEST, *_RIVALS):
        rival = era_of(release, evidence=f"oom_score of {len(witnesses)} processes fits {release}")
        if era is not None:
            taken = _FORMULA + (_COUNTERS if release == _NEWEST else ())
            facts = {name: getattr(rival.facts, name) for name in taken}
            rival = with_facts(era, f"release, but {rival.evidence}", **facts)
        if _explains(rival, snapshot, witnesses):
            return rival
    return None


def _by_marks(era: Era, snapshot: Snapshot) -> Era:
    """Correct ``era`` by the files that its release alone would not have.

    oom_score_adj came with 2.6.36's formula, which RHEL 6 took over into its 2.6.32; VmPMD
    was shown by 4.0 to 4.14 only, which counted it.
    """
    facts = era.facts
    if facts.formula == "legacy" and any(t.oom_score_adj is not None for t in snapshot.tasks):
        return with_facts(
            era_of("2.6.38", evidence="release")._replace(release=era.release),
            "release, but it has oom_score_adj",
        )
    if facts.page_tables == "ptes" and any(task.pmd_bytes for task in snapshot.tasks):
        return with_facts(era, "release, but it shows VmPMD", page_tables="ptes+pmds")
    return era


def reported_era(reported: Reported) -> Era:
    """Return the rules that a report shows. Its table prints the counters that the killer reads."""
    era = era_of(reported.rules_of, evidence=reported.evidence)
    bonus = reported.root_bonus or era.facts.root_bonus
    return with_facts(
        era, reported.evidence, killer_counters="same", status_counters="same", root_bonus=bonus
    )


def witness_pids(scores: Sequence[Score]) -> list[int]:
    """Return the pids of tasks to ask for the kernel's own score, of a ranking's killable ones.

    The first tell the formulas apart, a spread of the others the idle score.
    """
    spread = scores[_LARGEST :: max(1, len(scores) // _SPREAD)]
    return [score.task.pid for score in (*scores[:_LARGEST], *spread)]


def _witnesses(snapshot: Snapshot) -> list[Task]:
    """Return tasks whose kernel score can be compared; a printed 0 may mean many things."""
    tasks = [
        task
        for task in snapshot.tasks
        if task.kernel_oom_score and task.pid != 1 and not task.passed_over
    ]
    if len(tasks) <= 2 * (_LARGEST + _SPREAD):
        return tasks
    largest = heapq.nlargest(_LARGEST, tasks, key=lambda task: task.rss_pages or 0)
    return largest + tasks[:: max(1, len(tasks) // _SPREAD)]


def _explains(era: Era, snapshot: Snapshot, witnesses: Sequence[Task]) -> bool | None:
    """Tell whether the era reproduces the witnesses' scores within its bounds.

    A few that moved between two reads don't speak against an era: a wrong formula misses most
    of the largest or most of the idle. None where no witness can tell.
    """
    if not witnesses or snapshot.machine.totalpages is None:
        return None
    scored = scorer(era, system_scope(snapshot), snapshot.machine)
    missed = told = 0
    for task in witnesses:
        score = scored.score(task)
        if score.oom_score is None or score.oom_score_low is None or score.oom_score_high is None:
            continue
        assert task.kernel_oom_score is not None
        told += 1
        missed += not score.oom_score_low <= task.kernel_oom_score <= score.oom_score_high
    return missed * 10 <= told if told else None


def _with_counters(era: Era, snapshot: Snapshot) -> Era:
    """Note when status shows exact sums beside approximate ones although the release had not.

    Then the killer's reading of swap is known only within the counters' error.
    """
    if era.facts.status_counters == "exact":
        return era
    sized = [t for t in snapshot.tasks if t.rss_pages is not None and t.rss_stat_pages is not None]
    differing = sum(task.rss_pages != task.rss_stat_pages for task in sized)
    # Without per-CPU counters only a race makes the two differ.
    if differing == 0 or (era.facts.killer_counters == "same" and differing * 10 <= len(sized)):
        return era
    return with_facts(
        era,
        f"release, but status and stat differ for {differing} processes",
        killer_counters="approximate",
        status_counters="exact",
    )


def mark_passed_over(tasks: Sequence[Task], era: Era, machine: Machine) -> list[bool]:
    """Tell of each task whether the kernel's 0 betrays that it is passed over.

    MMF_OOM_SKIP and a vfork in progress are not visible; but the kernel prints 0 for such a
    task where its own formula could not give 0.
    """
    # Before 2.6.36 a 0 was an ordinary score.
    if machine.totalpages is None or era.facts.formula == "legacy":
        return [False] * len(tasks)
    scope = Scope("CONSTRAINT_NONE", machine.totalpages, ())
    scored = scorer(era, scope, machine)
    return [task.kernel_oom_score == 0 and _is_positive(scored, task) for task in tasks]


def _is_positive(scored: TaskScorer, task: Task) -> bool:
    score = scored.score(task)
    return score.killable and score.oom_score_low is not None and score.oom_score_low > 0
