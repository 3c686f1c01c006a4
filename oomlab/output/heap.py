"""A heap as text: what it consists of, its picture, what keeps it large, and advice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..analysis.heap import InMemory, Parts, in_memory, parts, pin_words, pins
from ..analysis.heap_advice import advise
from ..glibc.heap import StretchView, Survey
from ..units import human
from .heap_tables import arenas_table, holes_text, sizes_text
from .layout import Screen
from .render import render_lines, render_table
from .strip import Glyphs, strip
from .tables import Column, Table

_MAX_COLUMNS = 120
_STRIPS = 3


class _Part(NamedTuple):
    name: str
    chunks: int | None
    bytes: int
    resident: int | None
    note: str


def heap_text(
    one: Survey,
    name: str,
    screen: Screen,
    glyphs: Glyphs,
    count: int,
    beside: Sequence[str] = (),
) -> str:
    """Return the whole story of one heap, with ``count`` holes and arenas at most.

    ``beside`` are the allocators that the process has for itself beside malloc.
    """
    sections = [_answer(one, name, screen) + _beside(beside, screen), _parts(one, screen)]
    sections += [_strips(one, screen, glyphs), _advice(one, screen), _pins(one, screen)]
    if len(one.arenas) > 1:
        sections.append(render_table(arenas_table(one, count), screen))
    sections += [holes_text(one, screen, count), sizes_text(one, screen)]
    sections.append(_checks(one, screen))
    return "\n".join(section for section in sections if section)


def _beside(names: Sequence[str], screen: Screen) -> str:
    """Say whose memory is not to be looked for here."""
    if not names:
        return ""
    who = " and ".join(names)
    verb = "has" if len(names) == 1 else "have"
    text = f"{who} {verb} memory of its own beside this heap: only malloc's is shown here."
    return render_lines(screen, text[0].upper() + text[1:])


def _answer(one: Survey, name: str, screen: Screen) -> str:
    version = "glibc" + (f" {one.version[0]}.{one.version[1]}" if one.version else "")
    arenas = "one arena" if len(one.arenas) == 1 else f"{len(one.arenas)} arenas"
    whole, total = parts(one), one.total
    if total is None:
        late = any(view.why == "time" for arena in one.arenas for view in arena.stretches)
        why = " in that time (--timeout)" if late else ""
        return render_lines(
            screen, f"{name}: {version}, {arenas}; its figures could not be read{why}."
        )
    if whole is None:
        return render_lines(
            screen,
            f"{name}: {version}, {arenas}; {human(total.arena + total.hblkhd)} taken from the "
            f"system, {human(total.uordblks + total.hblkhd)} in use, caches of threads included. "
            "Not every chunk was seen: these figures are from malloc's own lists.",
        )
    taken = total.arena + total.hblkhd
    used = whole.used_bytes + whole.mmapped_bytes
    share = f" ({used / taken:.0%})" if taken else ""
    lines = [
        f"{name}: {version}, {arenas}; {human(taken)} taken from the system, "
        f"{human(used)} in use{share}."
    ]
    resident = in_memory(one)
    if resident is not None:
        free = resident.holes + resident.top
        lines.append(
            f"Freed but still in memory: {human(free)}. malloc_trim(0) would give back "
            f"{human(resident.trim)} now: {human(resident.trim_inside)} from holes, "
            f"{human(resident.trim_top)} from the top."
        )
    known = one.parameters
    if known is not None:
        how = "set: they don't adapt" if known.no_dyn_threshold else "they adapt"
        lines.append(
            f"M_MMAP_THRESHOLD is {human(known.mmap_threshold)}, M_TRIM_THRESHOLD "
            f"{human(known.trim_threshold)} ({how})."
        )
    return render_lines(screen, *lines)


def _parts(one: Survey, screen: Screen) -> str:
    whole = parts(one)
    if whole is None:
        return ""
    columns: list[Column[_Part]] = [
        Column(name="what", header="WHAT", help="", value=lambda p: p.name, left=True),
        Column(name="chunks", header="CHUNKS", help="", value=lambda p: p.chunks, show=_chunks),
        Column(name="size", header="SIZE", help="", value=lambda p: human(p.bytes)),
        Column(
            name="resident",
            header="IN MEMORY",
            help="",
            value=lambda p: p.resident,
            show=lambda p: "" if p.resident is None else human(p.resident),
        ),
        Column(name="note", header="", help="", value=lambda p: p.note, left=True, flexible=True),
    ]
    return render_table(Table(columns=columns, rows=list(_rows(whole, in_memory(one)))), screen)


def _chunks(part: _Part) -> str:
    return "" if part.chunks is None else str(part.chunks)


def _rows(whole: Parts, known: InMemory | None) -> Iterator[_Part]:
    yield _Part("in use", whole.used_chunks, whole.used_bytes, None, "")
    if whole.tcache_chunks:
        note = "free, kept for threads; mallinfo2: in use"
        yield _Part("tcache", whole.tcache_chunks, whole.tcache_bytes, None, note)
    yield _Part("malloc's own", None, whole.overhead_bytes, None, "mallinfo2: in use")
    if whole.fast_chunks:
        note = "free, not yet joined with their neighbours"
        yield _Part("fastbins", whole.fast_chunks, whole.fast_bytes, None, note)
    holes = known.holes if known else None
    yield _Part("holes", whole.holes, whole.hole_bytes, holes, "free, between chunks in use")
    top = known.top if known else None
    yield _Part("top", None, whole.top_bytes, top, "free, at the end: it can shrink")
    if whole.mmapped_chunks:
        resident = known.mmapped if known else None
        note = "in use; free() gives them back at once"
        yield _Part("mmapped", whole.mmapped_chunks, whole.mmapped_bytes, resident, note)
    size = whole.mmapped_bytes + whole.used_bytes + whole.tcache_bytes + whole.overhead_bytes
    size += whole.fast_bytes + whole.hole_bytes + whole.top_bytes
    yield _Part("all", None, size, known.arenas + known.mmapped if known else None, "")


def _strips(one: Survey, screen: Screen, glyphs: Glyphs) -> str:
    columns = min(screen.columns or 80, _MAX_COLUMNS)
    views = [(arena, view) for arena in one.arenas for view in arena.stretches]
    largest = sorted(views, key=lambda pair: -_span(pair[1]))[:_STRIPS]
    if not largest:
        return ""
    lines = []
    for arena, view in largest:
        what = "The main heap" if arena.is_main else f"Arena {arena.address:#x}"
        seen = human(view.walked_to - view.stretch.start)
        limit = {"limit": " (--max)", "time": " (--timeout)"}.get(view.why, "")
        incomplete = "" if view.complete else f", of which the first {seen} were seen{limit}"
        lines.append(f"{what}: {human(_span(view))} from {view.stretch.start:#x}{incomplete}")
        lines.append(strip(view, columns, glyphs))
    if len(views) > len(largest):
        rest = sum(_span(view) for _, view in views) - sum(_span(view) for _, view in largest)
        lines.append(f"and {len(views) - len(largest)} more with {human(rest)} in all")
    return render_lines(screen, *lines, glyphs.legend())


def _span(view: StretchView) -> int:
    return view.stretch.end - view.stretch.start


def _pins(one: Survey, screen: Screen) -> str:
    """Say what pins tops, where the advice does not."""
    advised = {item.because for item in advise(one)}
    told = [(arena, pin_words(one, arena, pin)) for arena, pin in pins(one)[:_STRIPS]]
    return render_lines(
        screen,
        *(
            f"{'Main heap' if arena.is_main else f'Arena {arena.address:#x}'}: {words}."
            for arena, words in told
            if words not in advised
        ),
    )


def _advice(one: Survey, screen: Screen) -> str:
    lines = []
    for item in advise(one):
        lines += [f"{item.name}: {item.because}.", f"  > {item.do}."]
    return render_lines(screen, *lines)


def _checks(one: Survey, screen: Screen) -> str:
    wrong = [check for check in one.checks if not check.holds]
    if not wrong:
        return render_lines(screen, f"All {len(one.checks)} checks of the heap's structure hold.")
    return render_lines(
        screen,
        f"{len(one.checks) - len(wrong)} of {len(one.checks)} checks of the heap's structure hold"
        + (f" in the best of {one.attempts} readings" if one.attempts > 1 else "")
        + "; not so:",
        *(f"- {check.what}" for check in wrong),
    )
