"""The advice that follows from a heap's figures, each piece with its condition."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..glibc.heap import Survey
from ..units import human
from .heap import InMemory, Parts, in_memory, parts, pin_words, pins

_MIB = 1 << 20
_DEFAULT_THRESHOLD = 128 << 10
_WORTH = 10
"""Advice is given from a tenth of the heap's memory on, and from 1 MiB on."""
_SCATTERED = 4
_MOSTLY_USED = 0.9


class Advice(NamedTuple):
    """What to do, and the figures it follows from."""

    name: str
    because: str
    do: str


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
    worst = max(pins(survey), key=lambda one: one[1].resident_bytes, default=None)
    if worst is not None and worst[1].resident_bytes >= _MIB:
        yield Advice(
            "pin",
            pin_words(survey, *worst),
            "allocate what lives long before what lives short, or from a pool",
        )
