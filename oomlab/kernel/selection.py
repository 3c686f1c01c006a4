"""Who is passed over, which score a task gets in a scope, and which of equals is chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from operator import is_not, itemgetter
from typing import Any

from ..snapshot import Machine, Task
from .adjust import oom_score_adj_of
from .badness import OOM_SCORE_ADJ_MIN, badness_formula, badness_range, oom_score_formula
from .eras import Era
from .scope import Scope
from .score import Score, TaskScorer
from .usage import usage_reader

CAP_SYS_ADMIN = 1 << 21


def why_unkillable(task: Task, init_pid: int | None) -> str | None:
    """Return why the kernel never chooses this task, or None (2.6.36 and newer).

    Source: oom_unkillable_task() and oom_badness() in mm/oom_kill.c.
    """
    if task.kernel_thread:
        return "kernel thread"
    if task.pid == init_pid:
        return "init"
    if task.has_mm is False:
        return "no memory (zombie)" if task.state in ("Z", "X") else "no memory map"
    if task.oom_score_adj == OOM_SCORE_ADJ_MIN or (
        task.oom_score_adj is None and oom_score_adj_of(task) == OOM_SCORE_ADJ_MIN
    ):
        return "oom_score_adj -1000"
    if task.passed_over:
        return "passed over (vfork, or already reaped)"
    return None


def scorer(era: Era, scope: Scope, machine: Machine) -> TaskScorer:
    """Return what scores tasks under ``era`` in ``scope``."""
    if era.facts.formula != "legacy":
        return Scorer(era, scope, machine)
    from .legacy_scores import LegacyScorer  # only saved snapshots and questions need it

    return LegacyScorer(era, scope, machine)


class Scorer:
    """Scores tasks under one era from 2.6.36 on in one scope."""

    def __init__(self, era: Era, scope: Scope, machine: Machine) -> None:
        facts, bits = era.facts, machine.word_bits
        # oom_score always divides by the machine's RAM plus swap, whatever the scope.
        self._machine_pages = machine.totalpages or scope.totalpages
        self._facts = facts
        self._badness = badness_formula(facts, scope.totalpages, bits)
        self._machine_badness = badness_formula(facts, self._machine_pages, bits)
        self._printed = oom_score_formula(facts, self._machine_pages, bits)
        self._usage = usage_reader(facts, machine)
        self._init_pid = machine.init_pid
        self._bonus = facts.root_bonus != "none"
        self._machine_wide = self._machine_pages == scope.totalpages

    def score(self, task: Task) -> Score:
        """Return the task's score, with the bounds of what can't be seen from userland."""
        why_not = why_unkillable(task, self._init_pid)
        if why_not is not None:
            return Score(task, None, None, None, 0, 0, 0, why_not)
        usage, adj = self._usage(task), task.oom_score_adj
        if adj is None:
            adj = oom_score_adj_of(task)
        if usage is None or adj is None:
            return self._unknown(task)
        root = self._bonus and has_root_bonus(task)
        pages, low, high = usage
        points = self._badness(pages, adj, root)
        printed = self._oom_score(pages, adj, root, points)
        if low == high:
            return Score(task, points, points, points, printed, printed, printed, None)
        low_points, high_points = self._badness(low, adj, root), self._badness(high, adj, root)
        return Score(
            task,
            points,
            low_points,
            high_points,
            printed,
            self._oom_score(low, adj, root, low_points),
            self._oom_score(high, adj, root, high_points),
            None,
        )

    def with_pages(self, task: Task, more_pages: int) -> int | None:
        """Return the badness of ``task`` if it used ``more_pages`` more; None where unknown."""
        usage, adj = self._usage(task), oom_score_adj_of(task)
        if usage is None or adj is None:
            return None
        return self._badness(usage[0] + more_pages, adj, has_root_bonus(task))

    def pages_of(self, task: Task) -> tuple[int, int, int] | None:
        """Return the pages that count against a task: as read, lowest, highest; or None."""
        return self._usage(task)

    def by_adj(self, task: Task, pages: int) -> Callable[[int], int]:
        """Return the badness of ``task`` with ``pages`` pages as a function of oom_score_adj.

        It never falls as oom_score_adj rises. -1000 is no value of it: that is unkillable.
        """
        badness, root = self._badness, self._bonus and has_root_bonus(task)
        return lambda oom_score_adj: badness(pages, oom_score_adj, root)

    def _oom_score(self, pages: int, adj: int, root: bool, points: int) -> int:
        """Return /proc/PID/oom_score, which knows nothing of cgroup limits."""
        if not self._machine_wide:
            points = self._machine_badness(pages, adj, root)
        return self._printed(points)

    def _unknown(self, task: Task) -> Score:
        """Bound a task whose memory can't be read by the kernel's own printed score."""
        printed, bounds = task.kernel_oom_score, None
        if printed is not None and self._machine_wide:
            bounds = badness_range(self._facts, printed, self._machine_pages)
        low, high = bounds or (None, None)
        return Score(task, None, low, high, None, printed, printed, None)


def has_root_bonus(task: Task) -> bool:
    """Tell whether the era's root bonus, if it has one, goes to this task.

    Effective CAP_SYS_ADMIN in the initial user namespace; an unknown namespace counts as it.
    """
    return bool((task.cap_effective or 0) & CAP_SYS_ADMIN) and task.in_init_userns is not False


def in_order_of_choice(
    scores: Iterable[Score], *, last_wins: bool, choice_bits: int = 64
) -> list[Score]:
    """Return scores (given in scan order) with the kernel's choice first.

    Among equals the earlier or the later of the scan goes first, as the era has it; tasks that
    can't be killed come last. A task of unknown memory stands in the middle of its bounds.
    With ``choice_bits`` 32 the scan compares what is left of the points in 32 bits.
    """
    killable: list[Score] = []
    spared: list[Score] = []
    for score in scores:
        (killable if score[-1] is None else spared).append(score)
    if last_wins:
        killable.reverse()
        spared.reverse()
    if choice_bits == 64 and all(map(_BADNESS_KNOWN, map(_BADNESS, killable))):
        killable.sort(key=_BADNESS, reverse=True)
    else:
        mask = (1 << choice_bits) - 1
        wraps = choice_bits == 32
        killable.sort(key=lambda s: _points(s) & mask if wraps else _points(s), reverse=True)
    return killable + spared


_BADNESS: Callable[[Score], Any] = itemgetter(1)
_BADNESS_KNOWN = partial(is_not, None)


def _points(score: Score) -> int:
    if score.badness is not None:
        return score.badness
    if score.low is None or score.high is None:
        return 0
    return (score.low + score.high) // 2
