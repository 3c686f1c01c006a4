"""Tables of a heap: its arenas, its largest holes, its chunks by size."""

from __future__ import annotations

from ..analysis.heap import SizeClass, histogram
from ..glibc.heap import ArenaView, LargeHole, StretchView, Survey
from ..units import human
from .layout import Screen
from .render import render_table
from .tables import Column, Table, shown_size

_LEAST_HOLE = 64 << 10


ARENA_COLUMNS: list[Column[ArenaView]] = [
    Column(
        name="arena",
        header="ARENA",
        help="address of its malloc_state",
        key="address",
        value=lambda a: f"{a.address:#x}",
        show=lambda a: "main" if a.is_main else f"{a.address:#x}",
        left=True,
    ),
    Column(name="threads", header="THREADS", help="attached", value=lambda a: a.threads, keep=3),
    Column(name="heaps", header="HEAPS", help="mappings", value=lambda a: len(a.stretches), keep=1),
    Column(
        name="system",
        header="SYSTEM",
        help="arena of mallinfo2: taken from the system",
        key="arena",
        value=lambda a: a.info.arena if a.info else None,
        show=lambda a: shown_size(a.info.arena if a.info else None),
    ),
    Column(
        name="used",
        header="IN USE",
        help="uordblks of mallinfo2",
        key="uordblks",
        value=lambda a: a.info.uordblks if a.info else None,
        show=lambda a: shown_size(a.info.uordblks if a.info else None),
    ),
    Column(
        name="free",
        header="FREE",
        help="fordblks of mallinfo2",
        key="fordblks",
        value=lambda a: a.info.fordblks if a.info else None,
        show=lambda a: shown_size(a.info.fordblks if a.info else None),
    ),
    Column(
        name="ordblks",
        header="HOLES",
        help="ordblks of mallinfo2 without the top",
        key="ordblks",
        value=lambda a: a.info.ordblks if a.info else None,
        show=lambda a: str(a.info.ordblks - 1) if a.info else "?",
    ),
    Column(
        name="fastbins",
        header="FASTBINS",
        help="fsmblks of mallinfo2",
        key="fsmblks",
        value=lambda a: a.info.fsmblks if a.info else None,
        show=lambda a: shown_size(a.info.fsmblks if a.info else None),
        keep=2,
    ),
    Column(
        name="tcache",
        header="TCACHE",
        help="bytes in the threads' caches",
        key="tcache_bytes",
        value=lambda a: a.tcache_bytes,
        show=lambda a: human(a.tcache_bytes),
        keep=4,
    ),
    Column(
        name="top",
        header="TOP",
        help="the top chunk",
        key="top_bytes",
        value=lambda a: a.top_bytes,
        show=lambda a: human(a.top_bytes),
    ),
    Column(
        name="resident",
        header="IN MEMORY",
        help="of all its memory",
        key="resident_bytes",
        value=lambda a: a.resident.arena if a.resident else None,
        show=lambda a: shown_size(a.resident.arena if a.resident else None),
    ),
]


def arenas_table(one: Survey, count: int | None = None) -> Table[ArenaView]:
    """Return the arenas, main_arena first, then the largest."""
    rest = sorted(one.arenas[1:], key=lambda arena: -(arena.info.arena if arena.info else 0))
    rows = [one.arenas[0], *rest]
    shown = rows if count is None else rows[: count + 1]
    footer = (
        [f"and {len(rows) - len(shown)} more (-n shows more)"] if len(shown) < len(rows) else []
    )
    return Table(columns=ARENA_COLUMNS, rows=shown, footer=footer)


def holes_text(one: Survey, screen: Screen, count: int) -> str:
    """Return the ``count`` largest holes and what lies above each, nothing where none is large."""
    holes = [
        (view, hole)
        for arena in one.arenas
        for view in arena.stretches
        for hole in view.holes
        if hole.size >= _LEAST_HOLE
    ]
    holes.sort(key=lambda pair: -pair[1].size)
    columns: list[Column[tuple[StretchView, LargeHole]]] = [
        Column(
            name="heap",
            header="HEAP",
            help="",
            value=lambda p: f"{p[0].stretch.start:#x}",
            left=True,
            keep=1,
        ),
        Column(
            name="offset",
            header="OFFSET",
            help="",
            value=lambda p: f"{p[1].address - p[0].stretch.start:#x}",
        ),
        Column(name="hole", header="HOLE", help="", value=lambda p: human(p[1].size)),
        Column(
            name="resident",
            header="IN MEMORY",
            help="",
            value=lambda p: (
                None if p[1].returned_bytes is None else human(p[1].size - p[1].returned_bytes)
            ),
        ),
        Column(
            name="next", header="UNDER A CHUNK OF", help="", value=lambda p: human(p[1].next_size)
        ),
        Column(
            name="above", header="IN USE ABOVE", help="", value=lambda p: human(p[1].used_above)
        ),
    ]
    if not holes or count == 0:
        return ""
    return render_table(
        Table(columns=columns, rows=holes[:count], heading=["The largest holes:"]), screen
    )


def sizes_text(one: Survey, screen: Screen) -> str:
    """Return chunks in use and holes by powers of two of their size."""
    rows = histogram(one)
    columns: list[Column[SizeClass]] = [
        Column(
            name="size",
            header="CHUNKS OF",
            help="",
            value=lambda c: f"{human(c.low)} to {human(c.high)}",
            left=True,
        ),
        Column(name="used", header="IN USE", help="", value=lambda c: c.used_chunks),
        Column(name="used_bytes", header="BYTES", help="", value=lambda c: human(c.used_bytes)),
        Column(name="free", header="HOLES", help="", value=lambda c: c.free_chunks),
        Column(name="free_bytes", header="BYTES", help="", value=lambda c: human(c.free_bytes)),
    ]
    return render_table(Table(columns=columns, rows=rows), screen) if rows else ""
