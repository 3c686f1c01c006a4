"""The records that a survey of a process's heap fills: the figures of mallinfo2 and the chunks."""

from __future__ import annotations

from typing import NamedTuple

from .anonymous import MmappedChunk
from .lists import Chunk, Tcache
from .parameters import Parameters
from .stretches import Stretch
from .terrain import Picture


class MallInfo(NamedTuple):
    """The figures of ``struct mallinfo2``, mallinfo(3): bytes and counts."""

    arena: int
    """Bytes taken from the system, mmapped chunks apart."""
    ordblks: int
    """Free chunks, the top among them, fastbins apart."""
    smblks: int
    """Chunks in fastbins."""
    hblks: int
    """Mmapped chunks."""
    hblkhd: int
    """Bytes in mmapped chunks."""
    usmblks: int
    """Always 0."""
    fsmblks: int
    """Bytes in fastbins."""
    uordblks: int
    """Bytes in use; glibc counts the chunks of the tcache and its own overhead as in use."""
    fordblks: int
    """Bytes free: bins, fastbins and top."""
    keepcost: int
    """Bytes of main_arena's top chunk."""


class Pin(NamedTuple):
    """Chunks in use that keep free memory below them from leaving with the top."""

    address: int
    """The lowest of them."""
    chunks: tuple[int, ...]
    """Those that are in use from there up to the top."""
    used_bytes: int
    free_bytes: int
    """Free below and between them: what would join the top."""
    resident_bytes: int
    """The part of ``free_bytes`` that is in memory; all of it where that can't be known."""


class LargeHole(NamedTuple):
    """A large free chunk and what lies above it. Bytes."""

    address: int
    size: int
    returned_bytes: int | None
    """The part that is not in memory; None where that can't be known."""
    next_size: int
    """The chunk in use above it."""
    used_above: int
    """In use between it and the end of its stretch or the top."""


class StretchView(NamedTuple):
    """A stretch of an arena after the walk. Bytes."""

    stretch: Stretch
    walked_to: int
    """The first address that was not seen."""
    why: str
    """``stop`` or ``fence`` where every chunk was seen."""
    top: int
    """Address of the top chunk; the end of the stretch where it has none."""
    picture: Picture
    holes: tuple[LargeHole, ...]
    pin: Pin | None

    @property
    def complete(self) -> bool:
        """Whether every chunk was seen."""
        return self.why in ("stop", "fence")


class Resident(NamedTuple):
    """How much of each kind is in memory or swap. Bytes."""

    arena: int
    """Of all of the arena's memory, in memory."""
    free: int
    """Of the free chunks in bins."""
    top: int
    swapped_free: int
    """The part of ``free`` that is in swap, not in memory."""
    trim_inside: int
    """What malloc_trim(0) would give back from between the chunks."""
    trim_top: int
    """What malloc_trim(0) would take off the top."""


class ArenaView(NamedTuple):
    """One arena. ``info`` has hblks, hblkhd and keepcost of the process with main_arena only."""

    address: int
    is_main: bool
    threads: int | None
    """Threads attached; not told before glibc 2.23."""
    info: MallInfo | None
    """None where neither the walk nor the lists could be followed to their ends."""
    max_system_mem: int
    top_bytes: int
    contiguous: bool
    stretches: tuple[StretchView, ...]
    used_sizes: dict[int, int]
    """Chunks in use by size, those of the tcache and the fastbins apart."""
    free_sizes: dict[int, int]
    """Chunks in bins by size."""
    tcache_chunks: int
    """Chunks of this arena that lie in a tcache."""
    tcache_bytes: int
    resident: Resident | None
    """None where not every chunk was seen, or where that can't be known."""
    complete: bool
    """Whether every chunk was seen."""


class Check(NamedTuple):
    """Something that must hold of a heap that is at rest and was read whole."""

    name: str
    holds: bool
    what: str
    """What was found, in a sentence."""


class Survey(NamedTuple):
    """All of glibc's malloc in one process."""

    version: tuple[int, int] | None
    """glibc's release as its banner says; None where there is none."""
    library: str
    """The file whose data hold main_arena."""
    pointer_bytes: int
    page_size: int
    arenas: tuple[ArenaView, ...]
    """main_arena first."""
    parameters: Parameters | None
    mmapped: tuple[MmappedChunk, ...]
    """The mmapped chunks that were found."""
    mmapped_resident: int | None
    tcaches: tuple[Tcache, ...]
    """Those that hold chunks."""
    fast: tuple[Chunk, ...]
    checks: tuple[Check, ...]
    attempts: int
    """How many times it was read: this is the best of the readings."""

    @property
    def main(self) -> MallInfo | None:
        """The figures of main_arena, with the mmapped chunks as malloc_stats shows them."""
        return self.arenas[0].info

    @property
    def total(self) -> MallInfo | None:
        """What mallinfo2() returns."""
        infos = [arena.info for arena in self.arenas]
        known = [info for info in infos if info is not None]
        return MallInfo(*map(sum, zip(*known, strict=True))) if len(known) == len(infos) else None
