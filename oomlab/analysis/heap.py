"""What a survey of a heap amounts to, and the advice that follows from its figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..glibc.heap import ArenaView, Pin, Survey
from ..units import human

_MIB = 1 << 20
_DEFAULT_THRESHOLD = 128 << 10
_WORTH = 10
"""Advice is given from a tenth of the heap's memory on, and from 1 MiB on."""
_SCATTERED = 4
_MOSTLY_USED = 0.9


class Parts(NamedTuple):
    """All of the heap by kind, in chunks and bytes. The bytes sum to arena + hblkhd."""

    used_chunks: int
    used_bytes: int
    tcache_chunks: int
    tcache_bytes: int
    fast_chunks: int
    fast_bytes: int
    holes: int
    hole_bytes: int
    top_bytes: int
    mmapped_chunks: int
    mmapped_bytes: int
    overhead_bytes: int
    """malloc's own: states of arenas, fences, and what somebody else took with sbrk."""


class InMemory(NamedTuple):
    """How many bytes are in memory, by kind."""

    arenas: int
    holes: int
    top: int
    mmapped: int
    swapped_holes: int
    trim_inside: int
    trim_top: int

    @property
    def used(self) -> int:
        """In use, with tcache, fastbins and overhead, which share its pages."""
        return self.arenas - self.holes - self.top

    @property
    def trim(self) -> int:
        """What malloc_trim(0) would give back now."""
        return self.trim_inside + self.trim_top


class SizeClass(NamedTuple):
    """Chunks of ``low`` up to but not ``high`` bytes."""

    low: int
    high: int
    used_chunks: int
    used_bytes: int
    free_chunks: int
    free_bytes: int


class Advice(NamedTuple):
    """What to do, and the figures it follows from."""

    name: str
    because: str
    do: str


def parts(survey: Survey) -> Parts | None:
    """Return the heap by kind, None where it could not be followed to its end."""
    total = survey.total
    if total is None or not all(arena.complete for arena in survey.arenas):
        return None
    used_chunks = sum(sum(arena.used_sizes.values()) for arena in survey.arenas)
    used = sum(_bytes(arena.used_sizes) for arena in survey.arenas)
    cached = sum(arena.tcache_bytes for arena in survey.arenas)
    top = sum(arena.top_bytes for arena in survey.arenas)
    return Parts(
        used_chunks=used_chunks,
        used_bytes=used,
        tcache_chunks=sum(arena.tcache_chunks for arena in survey.arenas),
        tcache_bytes=cached,
        fast_chunks=total.smblks,
        fast_bytes=total.fsmblks,
        holes=total.ordblks - len(survey.arenas),
        hole_bytes=total.fordblks - total.fsmblks - top,
        top_bytes=top,
        mmapped_chunks=total.hblks,
        mmapped_bytes=total.hblkhd,
        overhead_bytes=total.uordblks - used - cached,
    )


def in_memory(survey: Survey) -> InMemory | None:
    """Return how much of it is in memory, None where that can't be told of every arena."""
    known = [arena.resident for arena in survey.arenas if arena.resident is not None]
    if len(known) < len(survey.arenas) or survey.mmapped_resident is None:
        return None
    return InMemory(
        arenas=sum(one.arena for one in known),
        holes=sum(one.free for one in known),
        top=sum(one.top for one in known),
        mmapped=survey.mmapped_resident,
        swapped_holes=sum(one.swapped_free for one in known),
        trim_inside=sum(one.trim_inside for one in known),
        trim_top=sum(one.trim_top for one in known),
    )


def histogram(survey: Survey) -> list[SizeClass]:
    """Return chunks in use and holes by powers of two of their size."""
    classes: dict[int, list[int]] = {}
    for arena in survey.arenas:
        for column, sizes in enumerate((arena.used_sizes, arena.free_sizes)):
            for size, count in sizes.items():
                row = classes.setdefault(size.bit_length(), [0, 0, 0, 0])
                row[2 * column] += count
                row[2 * column + 1] += size * count
    return [SizeClass(1 << (bits - 1), 1 << bits, *row) for bits, row in sorted(classes.items())]


def pins(survey: Survey) -> list[tuple[ArenaView, Pin]]:
    """Return chunks in use that keep the top from shrinking, the most kept first."""
    found = [
        (arena, view.pin)
        for arena in survey.arenas
        for view in arena.stretches
        if view.pin is not None
    ]
    return sorted(found, key=lambda one: -one[1].free_bytes)


def pin_words(survey: Survey, arena: ArenaView, pin: Pin) -> str:
    """Say what a pin holds, in a sentence."""
    view = next(view for view in arena.stretches if view.pin is pin)
    cached = {chunk.address for cache in survey.tcaches for chunk in cache.chunks}
    cached |= {chunk.address for chunk in survey.fast}
    free_already = sum(address in cached for address in pin.chunks)
    count = len(pin.chunks)
    what = "one chunk" if count == 1 else f"{count} chunks"
    kept = f" ({'it is' if count == 1 else f'{free_already} are'} free in a tcache or fastbin)"
    return (
        f"{what} of {human(pin.used_bytes)} in use at offset {pin.address - view.stretch.start:#x}"
        f"{kept if free_already else ''} keep{'s' if count == 1 else ''} {human(pin.free_bytes)} "
        f"of free memory ({human(pin.resident_bytes)} of it in memory) from joining the top"
    )


def _bytes(sizes: dict[int, int]) -> int:
    return sum(size * count for size, count in sizes.items())


def advise(survey: Survey) -> list[Advice]:
    """Return the advice whose conditions hold, the most effective first."""
    whole, resident = parts(survey), in_memory(survey)
    if whole is None or resident is None:
        return []
    found = list(_advice(survey, whole, resident))
    total = survey.total
    if not found and total is not None and total.arena + total.hblkhd >= _MIB:
        share = (whole.used_bytes + whole.mmapped_bytes) / (total.arena + total.hblkhd)
        if share >= _MOSTLY_USED:
            found.append(
                Advice(
                    "in use",
                    f"{share:.0%} of the heap is in use",
                    "the allocator keeps little: the program itself holds this "
                    "memory; see whether it grows",
                )
            )
    return found


def _worth(size: int, resident: InMemory) -> bool:
    return size >= max(_MIB, (resident.arenas + resident.mmapped) // _WORTH)


def _advice(survey: Survey, whole: Parts, resident: InMemory) -> Iterator[Advice]:
    if _worth(resident.trim, resident):
        yield Advice(
            "malloc_trim",
            f"{human(resident.trim)} of free memory are whole pages ("
            f"{human(resident.trim_inside)} between chunks, {human(resident.trim_top)} at the top)",
            "call malloc_trim(0) at quiet moments: it gives them back",
        )
    yield from _threshold_advice(survey, resident)
    yield from _pin_advice(survey)
    scattered = resident.holes - resident.trim_inside
    if scattered >= max(_MIB, resident.arenas // _SCATTERED):
        yield Advice(
            "pools",
            f"{human(scattered)} are free in pieces that share their pages with chunks in use",
            "keep blocks that die together in pools of their own, or try jemalloc or tcmalloc, "
            "which keep blocks of one size together",
        )
    others = [arena.info for arena in survey.arenas[1:] if arena.info is not None]
    idle = sum(info.fordblks for info in others)
    if len(others) > 1 and idle >= max(_MIB, sum(info.arena for info in others) // _SCATTERED):
        yield Advice(
            "M_ARENA_MAX",
            f"{len(others)} arenas beside the main one hold {human(idle)} free",
            "let threads share: MALLOC_ARENA_MAX=2, or mallopt(M_ARENA_MAX, 2)",
        )
    if _worth(whole.tcache_bytes, resident):
        yield Advice(
            "tcache",
            f"the threads' caches hold {human(whole.tcache_bytes)} in {whole.tcache_chunks} chunks",
            "GLIBC_TUNABLES=glibc.malloc.tcache_count=0 does without; a thread's cache is "
            "emptied only when it ends",
        )
    if _worth(whole.fast_bytes, resident):
        yield Advice(
            "M_MXFAST",
            f"the fastbins hold {human(whole.fast_bytes)} in {whole.fast_chunks} chunks that are "
            "not joined with their neighbours",
            "malloc_trim(0) joins them; mallopt(M_MXFAST, 0) does without fastbins",
        )


def _threshold_advice(survey: Survey, resident: InMemory) -> Iterator[Advice]:
    known = survey.parameters
    if known is None:
        return
    main = survey.arenas[0].resident
    if main and known.trim_threshold > _DEFAULT_THRESHOLD and _worth(main.top, resident):
        grown = "set" if known.no_dyn_threshold else "grown with the largest block that was freed"
        yield Advice(
            "M_TRIM_THRESHOLD",
            f"the top holds {human(main.top)}, and free() trims it only from "
            f"M_TRIM_THRESHOLD = {human(known.trim_threshold)} on ({grown})",
            "MALLOC_TRIM_THRESHOLD_=131072, or mallopt(M_TRIM_THRESHOLD, 131072): it does not "
            "grow any more then",
        )
    large = sum(
        size * count
        for arena in survey.arenas
        for size, count in arena.free_sizes.items()
        if size >= _DEFAULT_THRESHOLD
    )
    if known.mmap_threshold > _DEFAULT_THRESHOLD and _worth(large, resident):
        grown = "set" if known.no_dyn_threshold else "grown from 128K as mmapped blocks were freed"
        yield Advice(
            "M_MMAP_THRESHOLD",
            f"holes of 128K and more hold {human(large)}; M_MMAP_THRESHOLD is "
            f"{human(known.mmap_threshold)} ({grown})",
            "MALLOC_MMAP_THRESHOLD_=131072, or mallopt(M_MMAP_THRESHOLD, 131072): larger blocks "
            "get mappings of their own, which free() gives back at once",
        )


def _pin_advice(survey: Survey) -> Iterator[Advice]:
    held: Sequence[tuple[ArenaView, Pin]] = pins(survey)
    worst = max(held, key=lambda one: one[1].resident_bytes, default=None)
    if worst is not None and worst[1].resident_bytes >= _MIB:
        yield Advice(
            "pin",
            pin_words(survey, *worst),
            "allocate what lives long before what lives short, or from a pool",
        )
