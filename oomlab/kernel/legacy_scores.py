"""Scores under the rules before 2.6.36, which need a task's children and age beside its size."""

from __future__ import annotations

from ..snapshot import Machine, Task
from .adjust import OOM_DISABLE, oom_adj_reader
from .eras import Era
from .legacy import legacy_formula
from .legacy_inputs import LegacyRange, legacy_reader
from .scope import Scope
from .score import Score


class LegacyScorer:
    """Scores tasks under an era from 2.6.11 to 2.6.35; the scope bears on who is skipped only."""

    def __init__(self, era: Era, scope: Scope, machine: Machine) -> None:
        self._can_disable = era.facts.oom_adj_minimum == OOM_DISABLE
        self._init_pid = machine.init_pid
        self._oom_adj = oom_adj_reader(era.facts)
        self._badness = legacy_formula(era.facts, machine.word_bits)
        self._inputs = legacy_reader(era.facts, machine, scope.everyone or scope.tasks)

    def score(self, task: Task) -> Score:
        """Return the task's score, with the bounds of what can't be seen from userland.

        /proc/PID/oom_score was the same badness, also of a task that is never chosen.
        """
        why_not = self._why_not(task)
        if why_not and _has_no_mm(task):
            return Score(task, None, None, None, 0, 0, 0, why_not)
        inputs = self._inputs(task)
        if inputs is None:
            seen = task.kernel_oom_score
            low = high = None if why_not is not None else seen
            return Score(task, None, low, high, None, seen, seen, why_not)
        points = self._badness(inputs.seen)
        low, high = self._bounds(inputs, points)
        if why_not is not None:
            return Score(task, None, None, None, points, low, high, why_not)
        return Score(task, points, low, high, points, low, high, None)

    def with_pages(self, task: Task, more_pages: int) -> int | None:
        """Return the badness of ``task`` if it mapped ``more_pages`` more; None where unknown."""
        inputs = self._inputs(task)
        if inputs is None:
            return None
        seen = inputs.seen
        larger = seen._replace(total_vm_pages=seen.total_vm_pages + more_pages)
        return self._badness(larger)

    def _bounds(self, inputs: LegacyRange, points: int) -> tuple[int, int]:
        """Return the least and the most badness that the inputs may mean."""
        if inputs.least is inputs.most:
            return points, points
        one, other = self._badness(inputs.least), self._badness(inputs.most)
        # A word that wraps, or a bump from 0, can turn them round.
        if one <= points <= other:
            return one, other
        return min(points, one, other), max(points, one, other)

    def _why_not(self, task: Task) -> str | None:
        """Return why the scan skips a task, or None. Source: select_bad_process()."""
        if task.kernel_thread:
            return "kernel thread"
        if task.pid == self._init_pid:
            return "init"
        if _has_no_mm(task):
            return "no memory (main thread has exited)" if task.state in ("Z", "X") else "no memory"
        if self._can_disable and self._oom_adj(task) == OOM_DISABLE:
            return "oom_adj -17"
        return None


def _has_no_mm(task: Task) -> bool:
    """Tell whether the one task that these kernels look at, the main thread, has no memory map."""
    return task.has_mm is False or task.kernel_thread or task.state in ("Z", "X")
