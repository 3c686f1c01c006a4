"""What the rules of another kernel would change for a machine's processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..kernel.adjust import oom_score_adj_of
from ..kernel.eras import Era
from ..kernel.selection import has_root_bonus
from ..snapshot import Snapshot, Task


class Difference(NamedTuple):
    """One rule that differs, and how many of the machine's processes it bears on."""

    fact: str
    before: object
    after: object
    processes: int | None
    """None where a snapshot can't tell, or the rule is not about single processes."""


def differences(before: Era, after: Era, snapshot: Snapshot) -> list[Difference]:
    """Return the rules that differ between two eras, in the order of ``Facts``."""
    users = [task for task in snapshot.tasks if task.has_mm and not task.kernel_thread]
    return [
        Difference(fact, old, new, _bears_on(fact, users))
        for fact, old, new in zip(before.facts._fields, before.facts, after.facts, strict=True)
        if old != new
    ]


def _bears_on(fact: str, tasks: Sequence[Task]) -> int | None:
    count = _COUNTS.get(fact)
    return None if count is None else count(tasks)


def _rooted(tasks: Sequence[Task]) -> int:
    return sum(map(has_root_bonus, tasks))


def _parents(tasks: Sequence[Task]) -> int:
    parents = {task.ppid for task in tasks if task.ppid is not None}
    return sum(task.pid in parents and task.pid != 1 for task in tasks)


def _every(tasks: Sequence[Task]) -> int:
    return len(tasks)


def _adjusted(tasks: Sequence[Task]) -> int:
    return sum(bool(oom_score_adj_of(task)) for task in tasks)


_COUNTS: dict[str, Callable[[Sequence[Task]], int]] = {
    "formula": _every,
    "page_tables": _every,
    "root_bonus": _rooted,
    "child_rule": _parents,
    "oom_score_adj_file": _adjusted,
    "oom_adj_read_factor": _adjusted,
}
