"""oom_adj and oom_score_adj: how each era turns one into the other, and who may write what.

Source: oom_adjust_read(), oom_adjust_write(), oom_score_adj_write() in fs/proc/base.c.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from ..snapshot import Task
from .badness import OOM_SCORE_ADJ_MAX, OOM_SCORE_ADJ_MIN, c_divide
from .facts import Facts

OOM_DISABLE = -17
OOM_ADJUST_MAX = 15


def to_oom_score_adj(oom_adj: int) -> int:
    """Return the oom_score_adj that writing ``oom_adj`` sets (2.6.36 and newer).

    >>> [to_oom_score_adj(oom_adj) for oom_adj in (-17, -1, 1, 15)]
    [-1000, -58, 58, 1000]
    """
    if oom_adj == OOM_ADJUST_MAX:
        return OOM_SCORE_ADJ_MAX
    return c_divide(oom_adj * OOM_SCORE_ADJ_MAX, -OOM_DISABLE)


def to_oom_adj(oom_score_adj: int, facts: Facts) -> int:
    """Return what oom_adj reads after ``oom_score_adj`` was written.

    Kernels before 2.6.36 have no oom_score_adj: for them it is what today's kernels show.
    """
    if facts.oom_score_adj_file and facts.oom_adj_read_factor == 15:
        disabled = oom_score_adj == OOM_SCORE_ADJ_MIN
        return OOM_DISABLE if disabled else c_divide(oom_score_adj * OOM_ADJUST_MAX, 1000)
    if oom_score_adj == OOM_SCORE_ADJ_MAX:
        return OOM_ADJUST_MAX
    shown = c_divide(oom_score_adj * -OOM_DISABLE, OOM_SCORE_ADJ_MAX)
    unclamped = facts.oom_score_adj_file and not facts.oom_adj_read_clamped
    return shown if unclamped else min(shown, OOM_ADJUST_MAX)


def oom_score_adj_of(task: Task) -> int | None:
    """Return a task's oom_score_adj, by way of oom_adj where only that is known."""
    if task.oom_score_adj is not None or task.oom_adj is None:
        return task.oom_score_adj
    return to_oom_score_adj(task.oom_adj)


def oom_adj_of(task: Task, facts: Facts) -> int | None:
    """Return a task's oom_adj, by way of oom_score_adj where only that is known."""
    if task.oom_adj is not None or task.oom_score_adj is None:
        return task.oom_adj
    return to_oom_adj(task.oom_score_adj, facts)


def oom_adj_reader(facts: Facts) -> Callable[[Task], int | None]:
    """Return ``oom_adj_of`` for many tasks under one era: their few values are converted once."""
    shown: dict[int | None, int | None] = {}

    def read(task: Task) -> int | None:
        if task.oom_adj is not None:
            return task.oom_adj
        adj = task.oom_score_adj
        if adj not in shown:
            shown[adj] = oom_adj_of(task, facts)
        return shown[adj]

    return read


File = Literal["oom_adj", "oom_score_adj"]
Refusal = Literal["ENOENT", "EINVAL", "EPERM", "EACCES"]


def value_range(facts: Facts, file: File) -> tuple[int, int]:
    """Return the lowest and highest value that the file takes."""
    if file == "oom_adj":
        return facts.oom_adj_minimum, OOM_ADJUST_MAX
    return OOM_SCORE_ADJ_MIN, OOM_SCORE_ADJ_MAX


def refusal(
    facts: Facts,
    file: File,
    value: int,
    *,
    now: Task,
    minimum: int = 0,
    privileged: bool = False,
) -> Refusal | None:
    """Return the error of writing ``value`` to a task's file, or None where it is allowed.

    ``now`` has the current values (unknown counts as 0); ``minimum`` is oom_score_adj_min: what
    a writer with CAP_SYS_RESOURCE last wrote, 0 at first; ``privileged``: the writer has
    CAP_SYS_RESOURCE. The ordinary permissions of the file come before all this.
    """
    if file == "oom_score_adj" and not facts.oom_score_adj_file:
        return "ENOENT"
    low, high = value_range(facts, file)
    if not low <= value <= high:
        return "EINVAL"
    if privileged:
        return None
    if file == "oom_adj" and facts.oom_adj_write == "always":
        return "EPERM"
    return "EACCES" if value < _floor(facts, file, value, now, minimum) else None


def _floor(facts: Facts, file: File, value: int, now: Task, minimum: int) -> int:
    """Return the least value that needs no capability, in the unit of ``value``."""
    if file == "oom_score_adj":
        below = facts.oom_score_adj_write == "below minimum"
        return minimum if below else oom_score_adj_of(now) or 0
    if facts.oom_adj_write == "lower oom_adj":
        return oom_adj_of(now, facts) or 0
    # From 3.7 on the converted value is compared, so equal oom_adj values may still differ.
    return value if to_oom_score_adj(value) >= (oom_score_adj_of(now) or 0) else value + 1
