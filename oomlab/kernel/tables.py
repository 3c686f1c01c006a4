"""Page tables: which of them an era counts, and what a kernel of another era shows of them.

Up to 4.14 VmPTE is the last level alone and VmPMD (4.0 on) the level above; from 4.15 on VmPTE
is the sum of all levels. A snapshot asked with the rules of another era lacks a part: it lies
between bounds. Every table has an entry, so no level has more tables than the one below it,
but for huge pages of hugetlb, which have no tables below.
"""

from __future__ import annotations

from collections.abc import Callable

from ..errors import InputError
from ..snapshot import Machine, Task
from .facts import Facts, PageTables
from .release import parse_release

_ENTRY_BYTES = {32: 4, 64: 8}

Pages = Callable[[Task], int | None]
Spread = Callable[[Task], tuple[int, int] | None]
"""How far the counted pages may lie below (negative) and above what table_reader() says."""


def table_reader(facts: Facts, machine: Machine) -> tuple[Pages, bool]:
    """Return a function from a task to its counted table pages, and whether it is exact."""
    wanted, page_size = facts.page_tables, machine.page_size

    def none(_task: Task) -> int | None:
        return 0

    def tables(task: Task) -> int | None:
        return None if task.pagetable_bytes is None else task.pagetable_bytes // page_size

    def with_pmds(task: Task) -> int | None:
        pages = tables(task)
        if pages is None or task.pmd_bytes is None:
            return pages
        return pages + task.pmd_bytes // page_size

    shown = shown_tables(machine, wanted)
    reader = {"none": none, "ptes": tables}.get(wanted, with_pmds)
    return reader, wanted in ("none", shown) or (wanted, shown) == ("ptes", "ptes+pmds")


def shown_tables(machine: Machine, unless_known: PageTables) -> PageTables:
    """Return which page tables the snapshot's own kernel shows."""
    from .eras import facts_at

    try:
        facts = facts_at(parse_release(machine.release or ""))
    except InputError:
        return unless_known
    # Before page tables counted for anything VmPTE was there: the last level.
    return "ptes" if facts.page_tables == "none" else facts.page_tables


def table_bounds(facts: Facts, machine: Machine) -> Spread:
    """Return a function from a task to the error of what table_reader() says of it.

    Source: mm_pgtables_bytes() in include/linux/mm.h; af5b0f6a09e4 (in v4.15) put the levels
    into one counter.
    """
    shown, page_size = shown_tables(machine, facts.page_tables), machine.page_size
    entries = page_size // _ENTRY_BYTES.get(machine.word_bits, 8)
    levels_missing = 2 if (facts.page_tables, shown) == ("bytes", "ptes") else 1

    def missing_above(task: Task) -> tuple[int, int] | None:
        if facts.page_tables == "ptes+pmds" and task.pmd_bytes is not None:
            return 0, 0  # a distribution's kernel shows them although its release would not
        known = task.pagetable_bytes if task.pmd_bytes is None else task.pmd_bytes
        return None if known is None else (0, levels_missing * (known // page_size))

    def sum_of_all(task: Task) -> tuple[int, int] | None:
        if task.pagetable_bytes is None:
            return None
        # Anonymous pages, huge ones too, and swap entries each need an entry of a last table.
        filled = (task.rss_anon_pages or 0) + (task.swap_pages or 0)
        every = task.pagetable_bytes // page_size
        return min(0, -(-filled // entries) - every), 0

    return sum_of_all if shown == "bytes" else missing_above
