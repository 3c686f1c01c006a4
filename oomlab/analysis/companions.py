"""Whose choice would take a process along: it is spared only if they are spared, too."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from ..kernel.badness import OOM_SCORE_ADJ_MIN
from ..kernel.sacrifice import group_killed, group_of
from ..kernel.sharing import likely_share_mm
from ..snapshot import Task
from .cgroups import name_of
from .places import place_of
from .ranking import Ranking

ON_ONE_MAP = "on the memory map of"
Shared = Collection[frozenset[int]]
"""Sets of pids known to be on one memory map each; a set of one is known to be alone on it."""


def by_map(shared: Shared) -> dict[int, frozenset[int]]:
    """Return for each pid whose map is known all that are on it."""
    return {pid: pids for pids in shared for pid in pids}


def companions(ranking: Ranking, protected: Iterable[Task], shared: Shared) -> dict[int, str]:
    """Return the pids whose choice would kill one of ``protected``, each with the rule.

    The members of its memory.oom.group, the processes on its memory map, and until 5.0 the
    parents of all of these, for whom a child dies. None of ``protected`` is among them.
    """
    facts, found = ranking.era.facts, {task.pid: "" for task in protected}
    by_pid = {task.pid: task for task in ranking.scope.everyone or ranking.scope.tasks}
    waiting, maps = list(protected), by_map(shared)
    while waiting:
        task = waiting.pop()
        for other, why in (*_group_mates(ranking, task), *_partners(ranking, task, maps)):
            if other not in found and other in by_pid:
                found[other] = why
                waiting.append(by_pid[other])
    if facts.child_rule != "none":
        for pid in list(found):
            parent = by_pid[pid].ppid
            if parent in by_pid and parent not in found:
                found[parent] = f"until 5.0 a child dies in its place, and {pid} is its child"
    return {pid: why for pid, why in found.items() if why}


def _group_mates(ranking: Ranking, task: Task) -> list[tuple[int, str]]:
    if task.oom_score_adj == OOM_SCORE_ADJ_MIN:
        return []  # it survives its group
    facts, scope = ranking.era.facts, ranking.scope
    group = group_of(facts, task, ranking.snapshot.memcgs or (), scope)
    if group is None:
        return []
    name = name_of(ranking.snapshot, place_of(group))
    why = f"memory.oom.group of {name} kills {task.pid} with it"
    mates = group_killed(facts, group, scope.everyone, ranking.snapshot.machine.init_pid)
    return [(mate.pid, why) for mate in mates]


def _partners(
    ranking: Ranking, task: Task, maps: Mapping[int, frozenset[int]]
) -> list[tuple[int, str]]:
    if ranking.era.facts.mm_partners == "none":
        return []
    why = f"it is {ON_ONE_MAP} {task.pid}: they die together"
    return [(pid, why) for pid in sorted(maps.get(task.pid, ())) if pid != task.pid]


def lookalikes(tasks: Iterable[Task], others: Iterable[Task]) -> Iterator[tuple[Task, Task]]:
    """Yield the pairs that may be on one memory map, for no file tells who is.

    Processes on one map also show one command line, which lies in it.
    """
    by_size: dict[tuple[int | None, int | None], list[Task]] = {}
    for other in (other for other in others if other.total_vm_pages):
        by_size.setdefault((other.total_vm_pages, other.pagetable_bytes), []).append(other)
    for task in tasks:
        for other in by_size.get((task.total_vm_pages, task.pagetable_bytes), ()):
            same_line = None in (task.cmdline, other.cmdline) or task.cmdline == other.cmdline
            if other.pid != task.pid and same_line and likely_share_mm(task, other):
                yield task, other
