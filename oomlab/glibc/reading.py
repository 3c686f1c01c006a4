"""One reading of a heap: every arena walked, its lists followed, and both compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..mappings import Mapping
from .anonymous import MmappedChunk, search_anonymous
from .arena_walk import ArenaWalk, Plan, walk_arena
from .arenas import Arena, Found, heap_size_of, read_arena, ring
from .layout import NONCONTIGUOUS, SAFE_LINKING, TCACHES, Layout, TcacheLayout
from .lists import Chain, Tcache, bins, fastbins, tcache
from .memory import Memory
from .parameters import Parameters, read_parameters
from .ranges import Pages, Range
from .stretches import Stretch, heap_stretches

_FLAGS = 7
_MAX_BIN_NODES = 300_000
"""Bins with more chunks are not followed where the walk has counted them."""


class Process(NamedTuple):
    """What a survey asks of a process."""

    memory: Memory
    mappings: Sequence[Mapping]
    pages: Callable[[int, int], Pages | None]
    """Which pages between two addresses are not in memory; None where that can't be known."""
    page_size: int
    machine: int
    """e_machine of its ELF header."""
    file: Callable[[str], bytes]
    """The contents of a file that is mapped, empty where it can't be read."""
    read_mappings: Callable[[], Sequence[Mapping]]
    """The mappings as they are now."""


class Place(NamedTuple):
    """Where malloc's state lies: found once, then read as often as needed."""

    found: Found
    version: tuple[int, int] | None
    brk: Range | None
    parameters: Parameters | None


class Binned(NamedTuple):
    """What the bins of an arena hold."""

    chunks: int
    bytes: int
    whole: bool


class ArenaReading(NamedTuple):
    """One arena as it was read: the walk, its fastbins and its bins."""

    walk: ArenaWalk
    fast: Chain
    binned: Binned | None
    """None where there were too many chunks to follow."""

    @property
    def free(self) -> tuple[int, int] | None:
        """Free chunks in bins and their bytes: as walked, else as the bins say."""
        if self.walk.complete:
            return self.walk.free_chunks, self.walk.free_bytes
        if self.binned is not None and self.binned.whole:
            return self.binned.chunks, self.binned.bytes
        return None


class Reading(NamedTuple):
    """Everything that was read at one go."""

    arenas: list[ArenaReading]
    parameters: Parameters | None
    tcaches: list[Tcache]
    mmapped: list[MmappedChunk]
    still: bool
    """Whether malloc's own state was the same before and after."""


def read_once(process: Process, place: Place, most_bytes: int) -> Reading | None:
    """Read the whole heap once; None where the memory was gone before all of it was read."""
    memory = process.memory
    memory.forget()
    before = _state(memory, place)
    arenas, parameters = before
    if not arenas:
        return None
    mangled = _mangled(memory, place, arenas)
    kind = _tcache_kind(memory, place, parameters)
    layout = place.found.layout
    special = kind.chunk_bytes(layout) if kind is not None else 0
    wanted = parameters.n_mmaps if parameters is not None and most_bytes else 0
    stretches, mmapped = _stretches(process, place, arenas, parameters, wanted)
    found = []
    for arena in arenas:
        fast = fastbins(memory, layout, arena, mangled=mangled)
        plan = Plan(
            layout,
            arena,
            stretches.get(arena.address, []),
            fast.chunks,
            special,
            place.brk[1] if place.brk else 0,
            (parameters.thp_pagesize if parameters else 0) or process.page_size,
            most_bytes,
        )
        walk = walk_arena(memory, plan, process.page_size, process.pages)
        found.append(ArenaReading(walk, fast, _binned(memory, layout, arena, walk)))
    marks = [mark for one in found for mark in one.walk.tally.marks]
    caches = _tcaches(memory, layout, kind, marks, parameters, mangled=mangled)
    memory.forget()
    after = _state(memory, place)
    if not after[0]:
        return None  # what was read last may be missing: the figures would be too small
    return Reading(found, parameters, caches, mmapped, after == before)


def _state(memory: Memory, place: Place) -> tuple[list[Arena], Parameters | None]:
    layout, main = place.found.layout, place.found.main
    addresses = ring(memory, layout, main) or [main]
    arenas = [read_arena(memory, layout, one, is_main=one == main) for one in addresses]
    known = place.parameters
    parameters = read_parameters(memory, known) if known is not None else None
    return [arena for arena in arenas if arena is not None], parameters


def _mangled(memory: Memory, place: Place, arenas: Sequence[Arena]) -> bool:
    """Say whether pointers in lists are protected; where the release is unknown, the lists tell."""
    if place.version is not None:
        return place.version >= SAFE_LINKING
    layout = place.found.layout
    plain = [fastbins(memory, layout, arena, mangled=False) for arena in arenas]
    return not all(chain.whole for chain in plain) or not any(chain.chunks for chain in plain)


def _tcache_kind(
    memory: Memory, place: Place, parameters: Parameters | None
) -> TcacheLayout | None:
    """Return the tcache's layout: the heap's first chunk is the first thread's, as a rule."""
    if parameters is None or parameters.tcache_bins is None:
        return None
    layout = place.found.layout
    first = layout.chunk_from(parameters.sbrk_base) if parameters.sbrk_base else 0
    size = (memory.word(first + layout.pointer_bytes) or 0) & ~_FLAGS if first else 0
    for kind in TCACHES:
        if kind.chunk_bytes(layout) == size:
            return kind
    if place.version is None:
        # The counts were bytes as long as malloc_par had no huge pages; that is near enough here,
        # since a tcache that doesn't fit is not counted.
        return TCACHES[1]
    return next((kind for kind in TCACHES if place.version >= kind.since), None)


def _tcaches(
    memory: Memory,
    layout: Layout,
    kind: TcacheLayout | None,
    marks: Sequence[int],
    parameters: Parameters | None,
    *,
    mangled: bool,
) -> list[Tcache]:
    if kind is None or parameters is None:
        return []
    count = parameters.tcache_count or 0
    found = (
        tcache(memory, layout, kind, mark, mangled=mangled, tcache_count=count) for mark in marks
    )
    return [one for one in found if one is not None and one.chunks]


def _stretches(
    process: Process,
    place: Place,
    arenas: Sequence[Arena],
    parameters: Parameters | None,
    wanted: int,
) -> tuple[dict[int, list[Stretch]], list[MmappedChunk]]:
    """Return the stretches of each arena, and ``wanted`` mmapped chunks."""
    memory, layout = process.memory, place.found.layout
    taken: list[Range] = []
    found: dict[int, list[Stretch]] = {}
    for arena in arenas[1:]:
        heaps = heap_stretches(memory, layout, arena)
        found[arena.address] = heaps or []
        maximum = heap_size_of(memory, layout, arena.address) or 0
        taken += [(one.start, one.start + maximum) for one in heaps or []]
    main = arenas[0]
    own: list[Stretch] = []
    outside = main.system_mem > 0
    if main.system_mem and parameters is not None and place.brk is not None:
        start, end = parameters.sbrk_base, place.brk[1]
        if place.brk[0] <= start < end:
            holds_top = start <= main.top < end
            own = [Stretch(start, layout.chunk_from(start), end, holds_top)]
            outside = bool(main.flags & NONCONTIGUOUS) or not holds_top
    anonymous = search_anonymous(
        memory,
        layout,
        process.mappings,
        taken,
        lambda a, b: process.pages(a, b) or Pages((), ()),
        process.page_size,
        wanted=wanted,
        top=main.top if outside else None,
    )
    found[main.address] = own + anonymous.stretches
    return found, anonymous.mmapped


def _binned(memory: Memory, layout: Layout, arena: Arena, walk: ArenaWalk) -> Binned | None:
    if walk.complete and walk.free_chunks > _MAX_BIN_NODES:
        return None
    chunks = size = 0
    whole = True
    for chain in bins(memory, layout, arena):
        chunks += len(chain.chunks)
        size += sum(chunk.size for chunk in chain.chunks)
        whole = whole and chain.whole
    return Binned(chunks, size, whole)
