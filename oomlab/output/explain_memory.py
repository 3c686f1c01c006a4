"""Where a process's memory is, as text: kinds, what a death frees, largest, top's sizes."""

from __future__ import annotations

from collections.abc import Iterator

from ..analysis.composition import KindTotal, largest, total
from ..analysis.explain import Explanation
from ..analysis.freeing import Freeing
from ..analysis.mappings import MEANINGS, Kind
from ..mappings import Mapping
from ..units import human, human_range, pages_to_bytes
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


def _range(low: int, high: int) -> str:
    return f"up to {human(high)}" if not low and high else human_range(low, high)


def freeing_text(one: Explanation, screen: Screen) -> str:
    """Say what its death would free, part by part, and what would stay."""
    freeing = one.freeing
    if freeing is None:
        return ""
    parts = [("frees", part) for part in freeing.freed if part.high]
    if freeing.swap is not None and freeing.swap.high:
        parts.append(("frees", freeing.swap))
    parts += [("keeps", part) for part in freeing.kept]
    sizes = [_range(part.low, part.high) for _, part in parts]
    widest = max(map(len, sizes), default=0)
    lines = (
        f"  {verb} {size:>{widest}}  {part.name}{f' ({part.why})' if part.why else ''}"
        for (verb, part), size in zip(parts, sizes, strict=True)
    )
    return render_lines(screen, _freed_sentence(one, freeing), *lines)


def _freed_sentence(one: Explanation, freeing: Freeing) -> str:
    task = one.task
    pages = (task.rss_pages or 0) + (task.swap_pages or 0)
    charged = pages * one.page_size + (task.pagetable_bytes or 0)
    text = f"Killing it would free {_range(freeing.low, freeing.high)} of RAM"
    return f"{text}; it is charged for {human(charged)} (RSS, swap and page tables):"


_Entry = tuple[Mapping, Kind]
_LARGEST: tuple[Column[_Entry], ...] = (
    Column(
        name="address",
        header="ADDRESS",
        help="where it begins",
        value=lambda e: f"{e[0].start:x}",
        left=True,
        keep=4,
    ),
    Column(
        name="size", header="SIZE", help="", value=lambda e: e[0].size,
        show=lambda e: human(e[0].size),
    ),
    Column(
        name="rss", header="RSS", help="", value=lambda e: e[0].sizes.rss if e[0].sizes else None,
        show=lambda e: shown_size(e[0].sizes.rss if e[0].sizes else None),
    ),
    Column(name="kind", header="KIND", help="", value=lambda e: e[1].value, left=True),
    Column(
        name="path", header="FILE", help="", value=lambda e: e[0].path, left=True, flexible=True
    ),
)  # fmt: skip


def largest_text(one: Explanation, screen: Screen, count: int) -> str:
    """Return the table of the ``count`` largest mappings."""
    if one.space is None or not one.space.mappings or not count:
        return ""
    rows = largest(one.space, one.kinds, count)
    return render_table(
        Table(columns=_LARGEST, rows=rows, heading=("Its largest mappings:",)), screen
    )


def sizes_text(one: Explanation, screen: Screen) -> str:
    """Say what VIRT, RES, SHR and PSS of it are, and why they differ."""
    vitals = one.files.vitals if one.files else None
    if vitals is None or not vitals.total_vm_pages or one.space is None:
        return ""
    page = one.page_size
    virt, res = vitals.total_vm_pages * page, (vitals.resident_pages or 0) * page
    shr = (vitals.shared_pages or 0) * page
    lines = ["Why top's sizes differ:", f"  VIRT {human(virt):>5}  {_virt(one)}"]
    lines.append(f"  RES  {human(res):>5}  in memory now; pages shared with others count whole")
    elsewhere = ""
    shared = [total(one.space, name) for name in ("shared_clean", "shared_dirty")]
    if None not in shared:
        now = sum(value or 0 for value in shared)
        elsewhere = f"; {human(now)} of RES is mapped elsewhere too now"
    lines.append(f"  SHR  {human(shr):>5}  file and shmem pages, which may be shared{elsewhere}")
    pss = total(one.space, "pss")
    if pss is not None:
        lines.append(f"  PSS  {human(pss):>5}  RES with each page divided by its users")
    return render_lines(screen, *lines)


def _virt(one: Explanation) -> str:
    if not one.totals:
        return "all address space, used or not"
    closed = sum(k.size for k in one.totals if k.kind is Kind.RESERVED)
    closed += sum(m.size for m, _ in _closed_arenas(one))
    text = "all address space"
    if closed:
        text += f": {human(closed)} reserved without access"
    assert one.space is not None
    rss, swap = total(one.space, "rss"), total(one.space, "swap")
    if rss is None:
        return text
    untouched = sum(k.size for k in one.totals) - closed - rss - (swap or 0)
    return f"{text}, {human(max(0, untouched))} never touched or given back"


def _closed_arenas(one: Explanation) -> Iterator[_Entry]:
    assert one.space is not None
    for entry in zip(one.space.mappings or (), one.kinds, strict=True):
        if entry[1] is not Kind.RESERVED and not entry[0].accessible:
            yield entry
