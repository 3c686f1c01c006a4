"""Find glibc's arenas without symbols: by the bins of main_arena, which point at themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..mappings import Mapping
from .layout import NBINS, Layout, layouts
from .memory import Memory, as_words

_PAIRS = NBINS - 1
_ENOUGH_PAIRS = _PAIRS - 8
"""A heap that moves while it is read may show a few bins in between."""
_CANDIDATES = 16
_MAX_ARENAS = 65536
_MAX_SEGMENT = 64 << 20
_HEAP_SIZES = {8: (64 << 20, 8 << 20, 4 << 30), 4: (1 << 20, 512 << 10)}
"""HEAP_MAX_SIZE, and what hp_pagesize makes of it in 2.35 to 2.41 (2 MB and 1 GB pages)."""


class Arena(NamedTuple):
    """A malloc_state as it was read."""

    address: int
    is_main: bool
    flags: int
    fastbins: tuple[int, ...]
    top: int
    last_remainder: int
    bins_address: int
    next: int
    attached_threads: int | None
    system_mem: int
    max_system_mem: int


class Found(NamedTuple):
    """Where glibc keeps its state in a process."""

    layout: Layout
    main: int
    """Address of main_arena."""
    segment: tuple[int, int]
    """The writable data it lies in: mp_ is there too."""
    path: str


def find_main_arena(memory: Memory, mappings: Sequence[Mapping], machine: int) -> Found | None:
    """Return main_arena, the one that has taken most memory where there are several glibcs."""
    best: tuple[int, Found] | None = None
    for start, end, path in data_segments(mappings):
        if best is not None and best[0] and not is_libc(path):
            break  # to read on would bring pages of other libraries into the process's memory
        for bins in _bins(memory, start, min(end, start + _MAX_SEGMENT)):
            layout = _fitting(memory, bins, machine)
            if layout is None:
                continue
            found = Found(layout, bins - layout.bins_offset, (start, end), path)
            arena = read_arena(memory, layout, found.main, is_main=True)
            if arena is not None and (best is None or arena.system_mem > best[0]):
                best = (arena.system_mem, found)
    return best[1] if best is not None else None


def data_segments(mappings: Sequence[Mapping]) -> Iterator[tuple[int, int, str]]:
    """Yield writable data of files with the bss behind it: libc's first, then all others."""
    segments: list[tuple[int, int, str]] = []
    for area in mappings:
        if area.permissions[:2] != "rw" or area.permissions.endswith("s"):
            continue
        if area.path.startswith("/"):
            if segments and segments[-1][1:] == (area.start, area.path):
                segments[-1] = (segments[-1][0], area.end, area.path)
            else:
                segments.append((area.start, area.end, area.path))
        elif area.anonymous and segments and segments[-1][1] == area.start:
            segments[-1] = (segments[-1][0], area.end, segments[-1][2])
    yield from sorted(segments, key=lambda segment: not is_libc(segment[2]))


def is_libc(path: str) -> bool:
    """Say whether a path is that of glibc's libc.so."""
    name = path.rpartition("/")[2].removesuffix(" (deleted)")
    return name == "libc.so.6" or (name.startswith("libc-2.") and name.endswith(".so"))


def _bins(memory: Memory, start: int, end: int) -> Iterator[int]:
    """Yield addresses of malloc_state.bins: 127 list heads that are empty or whose ends agree."""
    pointer = memory.pointer_bytes
    data = memory.read(start, end - start)
    words = as_words(data, pointer)
    base = start - 2 * pointer  # a bin is addressed as if it were a chunk
    loops = [
        index
        for index, word in enumerate(words)
        if word == base + index * pointer and words[index + 1 : index + 2].tolist() == [word]
    ]
    tried: set[int] = set()
    scores: list[tuple[int, int]] = []
    for loop in loops:
        for first in range(loop, loop - 2 * _PAIRS, -2):
            if first in tried or first < 2 or first + 2 * _PAIRS > len(words):
                continue
            tried.add(first)
            good = _good_pairs(memory, words, first, base)
            if good >= _ENOUGH_PAIRS:
                scores.append((good, first))
    # Shifted by a pair or two nearly all agree too: the best comes first.
    for _, first in sorted(scores, reverse=True)[:_CANDIDATES]:
        yield start + first * pointer


def _good_pairs(memory: Memory, words: memoryview[int], first: int, base: int) -> int:
    pointer = memory.pointer_bytes
    good = bad = 0
    for index in range(first, first + 2 * _PAIRS, 2):
        place = base + index * pointer
        forward, backward = words[index], words[index + 1]
        if forward == backward == place or (
            memory.word(forward + 3 * pointer) == place
            and memory.word(backward + 2 * pointer) == place
        ):
            good += 1
        else:
            bad += 1
            if bad > _PAIRS - _ENOUGH_PAIRS:
                return good
    return good


def _fitting(memory: Memory, bins: int, machine: int) -> Layout | None:
    """Return the layout under which the arenas' ring leads back to main_arena."""
    for layout in layouts(memory.pointer_bytes, machine):
        main = bins - layout.bins_offset
        if ring(memory, layout, main) is None:
            continue
        after = memory.words(main + layout.next_offset, 3)
        # Before 2.23 there was no count of threads: system_mem, never so small, stood there.
        attached = after is not None and after[2] < 0x10000
        return layout._replace(attached_threads=attached)
    return None


def ring(memory: Memory, layout: Layout, main: int) -> list[int] | None:
    """Return the addresses of all arenas, main_arena first, or None where they form no ring."""
    arenas, seen, address = [main], {main}, main
    while True:
        following = memory.word(address + layout.next_offset)
        if following == main:
            return arenas
        if following is None or following in seen or len(arenas) > _MAX_ARENAS:
            return None
        if heap_size_of(memory, layout, following) is None:
            return None
        arenas.append(following)
        seen.add(following)
        address = following


def heap_size_of(memory: Memory, layout: Layout, arena: int) -> int | None:
    """Return HEAP_MAX_SIZE as the heap_info before an arena shows it, None where there is none."""
    for size in _HEAP_SIZES[layout.pointer_bytes]:
        heap = arena & ~(size - 1)
        if 0 < arena - heap <= 16 * layout.pointer_bytes and memory.word(heap) == arena:
            return size
    return None


def read_arena(memory: Memory, layout: Layout, address: int, *, is_main: bool) -> Arena | None:
    """Read a malloc_state, or return None where it can't be read."""
    lists = memory.words(address + layout.fastbins_offset, layout.fastbins + 2)
    flags = memory.numbers(address + 4, 1, "I")
    tail = memory.words(address + layout.next_offset, 5 if layout.attached_threads else 4)
    if lists is None or flags is None or tail is None:
        return None
    return Arena(
        address=address,
        is_main=is_main,
        flags=flags[0],
        fastbins=lists[: layout.fastbins],
        top=lists[-2],
        last_remainder=lists[-1],
        bins_address=address + layout.bins_offset,
        next=tail[0],
        attached_threads=tail[2] if layout.attached_threads else None,
        system_mem=tail[-2],
        max_system_mem=tail[-1],
    )


class HeapInfo(NamedTuple):
    """One mapping of an arena that is not main_arena."""

    address: int
    arena: int
    previous: int
    size: int


def heaps_of(memory: Memory, layout: Layout, arena: Arena) -> list[HeapInfo] | None:
    """Return the heaps of an arena, oldest first, or None where their chain is broken."""
    maximum = heap_size_of(memory, layout, arena.address)
    if maximum is None:
        return None
    heaps: list[HeapInfo] = []
    address = arena.top & ~(maximum - 1)
    while address:
        words = memory.words(address, 3)
        if words is None or words[0] != arena.address or words[2] > maximum:
            return None
        if any(heap.address == address for heap in heaps[-2:]) or len(heaps) > _MAX_ARENAS:
            return None
        heaps.append(HeapInfo(address, *words))
        address = words[1]
    return heaps[::-1]
