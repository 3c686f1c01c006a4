"""What must hold of a heap at rest that was read whole: how far a picture is to be trusted."""

from __future__ import annotations

from collections.abc import Iterator

from .heap import Check
from .layout import NONCONTIGUOUS
from .reading import ArenaReading, Place, Reading


def checks(reading: Reading, place: Place) -> Iterator[Check]:
    """Yield every check, those that hold too."""
    yield from _of_chunks(reading.arenas)
    yield from _of_lists(reading.arenas)
    yield from _of_sizes(reading, place)


def _of_chunks(arenas: list[ArenaReading]) -> Iterator[Check]:
    broken = [view for one in arenas for view in one.walk.stretches if not view.complete]
    missing = sum(not one.walk.complete for one in arenas)
    yield Check(
        "chunks",
        not missing,
        "chunks lead from the start of every heap to its end"
        if not missing
        else f"chunks could not be followed to a heap's end (in {missing} of {len(arenas)} arenas"
        + (f": {broken[0].why} at {broken[0].walked_to:#x})" if broken else ")"),
    )
    footers = sum(one.walk.tally.wrong_footers for one in arenas)
    yield Check(
        "sizes",
        not footers,
        "every free chunk's size stands at both of its ends"
        if not footers
        else f"free chunks whose size stands not at both of their ends: {footers}",
    )


def _of_lists(arenas: list[ArenaReading]) -> Iterator[Check]:
    followed = [one for one in arenas if one.binned is not None and one.walk.complete]
    wrong = sum(not _agrees(one) for one in followed)
    yield Check(
        "bins",
        not wrong,
        ("the bins hold exactly the free chunks" if followed else "the bins could not be compared")
        if not wrong
        else f"the bins don't hold what the chunks show (in {wrong} of {len(followed)} arenas)",
    )
    lists = sum(not one.fast.whole for one in arenas)
    yield Check(
        "fastbins",
        not lists,
        "the fastbins end"
        if not lists
        else f"fastbins could not be followed to their end (in {lists} of {len(arenas)} arenas)",
    )


def _of_sizes(reading: Reading, place: Place) -> Iterator[Check]:
    arenas = reading.arenas
    odd = [one for one in arenas if one.walk.complete and not _adds_up(one, place)]
    yield Check(
        "system_mem",
        not odd,
        "the heaps have the sizes that malloc says it took"
        if not odd
        else "the heaps have other sizes than malloc says it took "
        f"(in {len(odd)} of {len(arenas)} arenas)",
    )
    yield _mmapped(reading)
    yield Check(
        "still",
        reading.still,
        "nothing moved while it was read"
        if reading.still
        else "the heap moved while it was read: figures may be off by what changed",
    )
    if place.parameters is None:
        yield Check("mp_", False, "malloc's parameters (mp_) were not found")


def _mmapped(reading: Reading) -> Check:
    known = reading.parameters
    count, size = len(reading.mmapped), sum(one.size for one in reading.mmapped)
    holds = known is not None and (count, size) == (known.n_mmaps, known.mmapped_mem)
    return Check(
        "mmapped",
        holds,
        "the mmapped chunks found are those that malloc counts"
        if holds
        else f"mmapped chunks found: {count} of {known.n_mmaps if known else '?'}",
    )


def _agrees(one: ArenaReading) -> bool:
    free = (one.walk.free_chunks, one.walk.free_bytes)
    binned = one.binned
    return binned is not None and binned.whole and (binned.chunks, binned.bytes) == free


def _adds_up(one: ArenaReading, place: Place) -> bool:
    """Compare the arena's memory with system_mem.

    What somebody else took with sbrk between two stretches counts as malloc's own, but not once
    malloc has given up on a contiguous break.
    """
    stretches = [view.stretch for view in one.walk.stretches]
    least = sum(stretch.end - stretch.start for stretch in stretches)
    brk = place.brk or (0, 0)
    inside = [stretch for stretch in stretches if brk[0] <= stretch.start < brk[1]]
    between = 0
    if one.walk.arena.is_main and inside:
        span = max(stretch.end for stretch in inside) - min(stretch.start for stretch in inside)
        between = span - sum(stretch.end - stretch.start for stretch in inside)
    exact = not one.walk.arena.flags & NONCONTIGUOUS
    taken = one.walk.arena.system_mem
    return taken == least + between if exact else least <= taken <= least + between
