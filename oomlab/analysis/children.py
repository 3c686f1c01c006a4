"""What a process's children hold together: they may matter more than the process itself."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from ..kernel.facts import Facts
from ..kernel.usage import killer_rss_pages
from ..snapshot import Task
from .ranking import Ranking


class Children(NamedTuple):
    """A process's children: how many, and the pages of RSS and swap that they hold together.

    ``pages`` is None where any child's memory is unknown.
    """

    number: int
    pages: int | None


NO_CHILDREN = Children(0, 0)


def children_of(ranking: Ranking, parents: Collection[int]) -> dict[int, Children]:
    """Return the direct children of each of ``parents`` (pids) that has any."""
    facts = ranking.era.facts
    counts: dict[int, int] = {}
    pages: dict[int, int | None] = {}
    for task in ranking.snapshot.tasks:
        parent = task.ppid
        if parent in parents and parent is not None:
            counts[parent] = counts.get(parent, 0) + 1
            held, before = _held_pages(task, facts), pages.get(parent, 0)
            pages[parent] = None if held is None or before is None else before + held
    return {parent: Children(count, pages[parent]) for parent, count in counts.items()}


def _held_pages(task: Task, facts: Facts) -> int | None:
    if task.has_mm is False:
        return 0
    rss, swap = killer_rss_pages(task, facts), task.swap_pages
    return None if rss is None or swap is None else rss + swap
