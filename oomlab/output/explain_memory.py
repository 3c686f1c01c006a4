"""Where a process's memory is, as text: what a death frees, largest mappings, top's sizes."""

from __future__ import annotations

from collections.abc import Iterator

from ..analysis.composition import largest, total
from ..analysis.explain import Explanation
from ..analysis.freeing import Freeing
from ..analysis.mappings import Kind
from ..mappings import Mapping
from ..units import human, human_range
from .layout import Screen
from .render import render_lines, render_table
from .tables import Column, Table, shown_size


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
