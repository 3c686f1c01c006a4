"""The pages that count against a task, and how far what userland sees may be from them.

From 6.2 on the four counters of a memory map are per-CPU: a central count plus a local one
for each CPU. A local count is folded into the central one when it reaches the batch, so a
reader of the central count alone is off by at most (batch - 1) for each online CPU.
Source: f1a7941243c1 ("mm: convert mm's rss stats into percpu_counter") (in v6.2),
include/linux/percpu_counter.h, lib/percpu_counter.c.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter

from ..snapshot import Machine, Task
from .facts import Facts
from .tables import table_bounds, table_reader

_RSS_COUNTERS = 3
"""RSS is the sum of the file, anon and shmem counters; swap entries are the fourth."""


def counter_error_pages(cpus: int) -> int:
    """Return the largest error of one approximately read counter, in pages.

    >>> [counter_error_pages(cpus) for cpus in (1, 2, 64, 256)]
    [31, 62, 8128, 130816]
    """
    return (max(32, 2 * cpus) - 1) * cpus


def killer_rss_pages(task: Task, facts: Facts) -> int | None:
    """Return the RSS that the OOM killer reads, or the nearest that the source holds."""
    preferred, other = task.rss_pages, task.rss_stat_pages
    if facts.killer_counters == "approximate":
        preferred, other = other, preferred
    return other if preferred is None else preferred


def is_exact(facts: Facts, machine: Machine) -> bool:
    """Tell whether the files show the very counters that the killer reads, tables included."""
    differ = facts.killer_counters == "approximate" and facts.status_counters == "exact"
    # No file shows an approximate count of swap entries; one that never changed is exact.
    if differ and machine.swapped_out_pages != 0:
        return False
    return table_reader(facts, machine)[1]


UsageReader = Callable[[Task], tuple[int, int, int] | None]
"""A task to the pages that count: (as read, lowest, highest); None where they are unknown."""


def usage_reader(facts: Facts, machine: Machine) -> UsageReader:
    """Return a function that counts a task's pages under one era on one machine.

    The killer's own value lies between the lowest and the highest; all three are equal
    where the files show the very counters that it reads.
    """
    table_pages, tables_exact = table_reader(facts, machine)
    approximate = facts.killer_counters == "approximate"
    # Unknown CPU count: the kernel supports no more than 8192.
    error = counter_error_pages(machine.cpus or 8192)
    # The killer's approximate RSS stands in stat; an exact sum, if it reads one, in status.
    # Whichever is missing is replaced by the other, with the error between the two.
    first, second = (_stat_rss, _status_rss) if approximate else (_status_rss, _stat_rss)
    differ = facts.status_counters == "exact"
    second_error = _RSS_COUNTERS * error if differ else 0
    # No file shows an approximate count of swap entries; one that never changed is exact.
    swap_error = error if approximate and differ and machine.swapped_out_pages != 0 else 0
    no_swap = 0 if machine.swap_pages == 0 or machine.swapped_out_pages == 0 else None

    def read(task: Task) -> tuple[int, int, int] | None:
        tables = table_pages(task)
        swap = task.swap_pages
        if swap is None:
            swap = no_swap
        rss, rss_error = first(task), 0
        if rss is None:
            rss, rss_error = second(task), second_error
        if rss is None or swap is None or tables is None:
            hidden = task.hidden_pages
            if rss is None or hidden is None:
                return None
            seen = rss + (swap or 0) + (tables or 0)
            return seen, seen, seen + hidden
        pages = rss + swap + tables
        if not rss_error and not swap_error:
            return pages, pages, pages
        # Each counter is clamped at 0 on its own when it is read.
        low = max(0, rss - rss_error) + max(0, swap - swap_error) + tables
        return pages, low, pages + rss_error + swap_error

    if tables_exact:
        return read
    bounds = table_bounds(facts, machine)

    def read_with_tables(task: Task) -> tuple[int, int, int] | None:
        pages, around = read(task), bounds(task)
        if pages is None or around is None:
            return None
        return pages[0], pages[1] + around[0], pages[2] + around[1]

    return read_with_tables


_status_rss = attrgetter("rss_pages")
_stat_rss = attrgetter("rss_stat_pages")
