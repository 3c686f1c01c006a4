"""Whether two processes use one memory map, as far as userland can tell."""

from __future__ import annotations

from ..snapshot import Task

FAULTED_BY_READING = 4
"""Reading a process's cmdline brings its arguments' pages in, so its RSS may grow meanwhile."""


def may_share_mm(one: Task, other: Task) -> bool:
    """Tell whether two processes may be on one memory map (clone(2) with CLONE_VM).

    No file says so. But the size of the map and of its page tables is then the same for both,
    so a difference rules it out. A forked child can look the same, too.
    """
    if not one.total_vm_pages or one.has_mm is False or other.has_mm is False:
        return False
    return (
        one.total_vm_pages == other.total_vm_pages
        and one.pagetable_bytes == other.pagetable_bytes
        and one.pmd_bytes == other.pmd_bytes
    )


def likely_share_mm(one: Task, other: Task) -> bool:
    """Tell whether two processes look as if they were on one memory map: RSS the same as well."""
    rss, other_rss = _rss(one), _rss(other)
    if not may_share_mm(one, other) or rss is None or other_rss is None:
        return False
    return abs(rss - other_rss) <= FAULTED_BY_READING


def mapped_rss(task: Task) -> int | None:
    """Return the RSS by which a memory map is told apart; None where it is not, or there is none.

    Equal total_vm, page tables and a difference of at most FAULTED_BY_READING in this figure
    are what likely_share_mm() asks for.
    """
    return _rss(task) if task.total_vm_pages and task.has_mm is not False else None


def _rss(task: Task) -> int | None:
    return task.rss_stat_pages if task.rss_pages is None else task.rss_pages
