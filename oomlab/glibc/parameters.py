"""Find mp_, malloc's parameters and counters, by what must hold of its fields."""

from __future__ import annotations

from typing import NamedTuple

from .layout import ParameterLayout, parameter_layouts
from .memory import Memory, as_words

_MAX_THRESHOLD = 1 << 46
_MAX_COUNT = 1 << 31


class Parameters(NamedTuple):
    """struct malloc_par. None where this glibc has no such field."""

    address: int
    since: tuple[int, int]
    """The release from which on malloc_par has this layout."""
    trim_threshold: int
    top_pad: int
    mmap_threshold: int
    arena_test: int
    arena_max: int
    n_mmaps: int
    n_mmaps_max: int
    max_n_mmaps: int
    no_dyn_threshold: int
    """Whether somebody has set a threshold, so that they don't adapt any more."""
    mmapped_mem: int
    max_mmapped_mem: int
    sbrk_base: int
    thp_pagesize: int = 0
    hp_pagesize: int = 0
    tcache_bins: int | None = None
    tcache_max_bytes: int | None = None
    tcache_count: int | None = None


def find_parameters(
    memory: Memory, segment: tuple[int, int], brk: tuple[int, int] | None, page_size: int
) -> Parameters | None:
    """Return mp_ from libc's data, or None where nothing there fits.

    ``brk`` is where the heap of the program break lies: sbrk_base is its start, or a place in it
    where somebody else has called sbrk before.
    """
    pointer = memory.pointer_bytes
    start, end = segment
    data = memory.read(start, end - start)
    words = as_words(data, pointer)
    for layout in parameter_layouts(pointer):
        base_index = layout.words["sbrk_base"] // pointer
        for index in range(len(words) - layout.size // pointer):
            base = words[index + base_index]
            if brk is None:
                # Without a heap nothing says more than the thresholds do.
                if not words[index + 2] or words[index + 2] % page_size:
                    continue
            elif not brk[0] <= base < brk[1]:
                continue
            found = _parameters(memory, layout, start + index * pointer)
            if found is not None and _plausible(found, page_size):
                return found
    return None


def read_parameters(memory: Memory, known: Parameters) -> Parameters | None:
    """Read mp_ again where it was found before."""
    layouts = parameter_layouts(memory.pointer_bytes)
    layout = next(layout for layout in layouts if layout.since == known.since)
    return _parameters(memory, layout, known.address)


def _parameters(memory: Memory, layout: ParameterLayout, address: int) -> Parameters | None:
    count = -(-layout.size // memory.pointer_bytes)
    words = memory.words(address, count)
    if words is None:
        return None
    values = {name: words[offset // memory.pointer_bytes] for name, offset in layout.words.items()}
    for name, offset in layout.ints.items():
        number = memory.numbers(address + offset, 1, "I")
        values[name] = number[0] if number is not None else _MAX_COUNT
    for unused in ("tcache_unsorted_limit", "hp_flags", "max_total_mem"):
        values.pop(unused, None)
    if values.pop("thp_mode", 0) > 3:
        return None
    return Parameters(address, layout.since, **values)


def _plausible(found: Parameters, page_size: int) -> bool:
    """Check what always holds: defaults of the counters, page multiples, counters that agree."""
    counters = (
        found.n_mmaps <= found.max_n_mmaps < _MAX_COUNT
        and found.mmapped_mem <= found.max_mmapped_mem
        and found.mmapped_mem % page_size == 0
        and (found.n_mmaps == 0) == (found.mmapped_mem == 0)
        and (found.max_n_mmaps == 0) == (found.max_mmapped_mem == 0)
    )
    settings = (
        found.mmap_threshold < _MAX_THRESHOLD
        and 0 < found.arena_test < 0x10000
        and found.arena_max < 0x1000000
        and found.no_dyn_threshold in (0, 1)
        and (found.no_dyn_threshold == 1 or found.n_mmaps_max == 0x10000)
        and all(size & (size - 1) == 0 for size in (found.thp_pagesize, found.hp_pagesize))
    )
    cache = found.tcache_bins is None or (
        0 < found.tcache_bins <= 76 and (found.tcache_count or 0) <= 0xFFFF
    )
    return counters and settings and cache
