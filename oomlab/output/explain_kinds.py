"""A process's memory by kind of mapping, as text: the table, and what all of it sums to."""

from __future__ import annotations

from collections.abc import Iterator

from ..analysis.composition import KindTotal, total
from ..analysis.explain import Explanation
from ..analysis.mappings import MEANINGS
from ..units import human, pages_to_bytes
from .layout import Screen
from .render import render_lines, render_table
from .tables import Column, Table, shown_size

KIND_COLUMNS: tuple[Column[KindTotal], ...] = (
    Column(name="kind", header="KIND", help="what for", value=lambda k: k.kind.value, left=True),
    Column(name="mappings", header="MAPPINGS", help="how many", value=lambda k: k.mappings, keep=3),
    Column(
        name="size",
        header="SIZE",
        key="size_bytes",
        help="address space",
        value=lambda k: k.size,
        show=lambda k: human(k.size),
    ),
    Column(
        name="rss",
        header="RSS",
        key="rss_bytes",
        help="in memory",
        value=lambda k: k.rss,
        show=lambda k: shown_size(k.rss),
    ),
    Column(
        name="pss",
        header="PSS",
        key="pss_bytes",
        help="shared pages divided by their users",
        value=lambda k: k.pss,
        show=lambda k: shown_size(k.pss),
    ),
    Column(
        name="private_dirty",
        header="PRIVATE DIRTY",
        key="private_dirty_bytes",
        help="written, and mapped nowhere else",
        value=lambda k: k.private_dirty,
        show=lambda k: shown_size(k.private_dirty),
    ),
    Column(
        name="swap",
        header="SWAP",
        key="swap_bytes",
        help="swapped out",
        value=lambda k: k.swap,
        show=lambda k: shown_size(k.swap),
    ),
    Column(
        name="huge",
        header="HUGE",
        key="huge_bytes",
        help="the part of RSS in transparent huge pages",
        value=lambda k: k.huge,
        show=lambda k: shown_size(k.huge),
        keep=2,
    ),
    Column(
        name="hugetlb",
        header="HUGETLB",
        key="hugetlb_bytes",
        help="in hugetlb pages, which are beside RSS",
        value=lambda k: k.hugetlb,
        show=lambda k: shown_size(k.hugetlb),
        keep=2,
    ),
    Column(
        name="locked",
        header="LOCKED",
        key="locked_bytes",
        help="the part of PSS that mlock(2) holds in memory",
        value=lambda k: k.locked,
        show=lambda k: shown_size(k.locked),
        keep=2,
    ),
    Column(
        name="meaning",
        header="WHAT IT IS",
        help="in words",
        value=lambda k: MEANINGS[k.kind],
        left=True,
        keep=1,
        flexible=True,
        least=24,
    ),
)


_ONLY_WHERE_USED = ("huge", "hugetlb", "locked")


def kinds_table(one: Explanation, *, used_only: bool = False) -> Table[KindTotal]:
    """Return the table of mappings by kind; ``used_only`` leaves out what is 0 in all of them."""
    columns = [
        column
        for column in KIND_COLUMNS
        if not used_only
        or column.name not in _ONLY_WHERE_USED
        or any(column.value(kind) for kind in one.totals)
    ]
    return Table(columns=columns, rows=one.totals, heading=("Its memory by kind of mapping:",))


def kinds_text(one: Explanation, screen: Screen) -> str:
    """Return the table of kinds and what they sum to; empty for a saved snapshot's process."""
    space = one.space
    if space is None:
        return ""
    if not space.mappings:
        denied = bool(space.gaps)
        why = (
            "its mappings may not be read (its user may, and root with CAP_SYS_PTRACE)"
            if denied
            else "it maps nothing"
        )
        return render_lines(screen, f"No memory by kind, no allocator: {why}.")
    return render_table(kinds_table(one, used_only=True), screen) + render_lines(
        screen, *_sums(one)
    )


def _sums(one: Explanation) -> Iterator[str]:
    """Say what all kinds sum to, and what the counters say of the same."""
    space = one.space
    assert space is not None
    if not space.has_sizes:
        yield "smaps could not be read: address space only."
        return
    rss, pss = total(space, "rss") or 0, total(space, "pss")
    counted = pages_to_bytes(one.task.rss_pages, one.page_size)
    same = "as VmRSS says" if counted == rss else f"VmRSS says {shown_size(counted)}"
    hugetlb = sum(kind.hugetlb or 0 for kind in one.totals)
    beside = f"; beside it {human(hugetlb)} in hugetlb pages" if hugetlb else ""
    yield f"Together {human(rss)} RSS ({same}), {shown_size(pss)} PSS{beside}."
    parts = {
        "locked in memory": total(space, "locked"),
        "anonymous in transparent huge pages": total(space, "anon_huge"),
        "shmem in transparent huge pages": total(space, "shmem_huge"),
        "file pages in transparent huge pages": total(space, "file_huge"),
        "given back with MADV_FREE but not yet taken": total(space, "lazyfree"),
        "merged by KSM or shared since fork": _shared_anon(one),
    }
    said = [f"{human(value)} {name}" for name, value in parts.items() if value]
    if said:
        yield f"Of that: {', '.join(said)}."


def _shared_anon(one: Explanation) -> int:
    if one.freeing is None:
        return 0
    return sum(part.low for part in one.freeing.kept if part.name.startswith("anonymous"))
