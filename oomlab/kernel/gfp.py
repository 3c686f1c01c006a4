"""gfp masks in words: up to 4.5 the log prints only hex, whose bits moved between kernels.

Source: include/linux/gfp.h of 2.6.11 to 4.5; from 4.6 on the kernel prints the names itself
(edf14cdbf9a0 ("mm, printk: introduce new format string for flags") (in v4.6)).
"""

from __future__ import annotations

from typing import Literal

from ..errors import InputError
from .release import parse_release

Series = tuple[int, ...]

_COMMON = {
    0x01: "__GFP_DMA", 0x02: "__GFP_HIGHMEM", 0x20: "__GFP_HIGH", 0x40: "__GFP_IO",
    0x80: "__GFP_FS", 0x100: "__GFP_COLD", 0x200: "__GFP_NOWARN", 0x400: "__GFP_REPEAT",
    0x800: "__GFP_NOFAIL", 0x1000: "__GFP_NORETRY", 0x4000: "__GFP_COMP", 0x8000: "__GFP_ZERO",
}  # fmt: skip

BITS: tuple[tuple[Series, int, str], ...] = (
    ((2, 6, 11), 0x10, "__GFP_WAIT"),
    ((2, 6, 11), 0x2000, "__GFP_NO_GROW"),
    ((2, 6, 12), 0x10000, "__GFP_NOMEMALLOC"),
    ((2, 6, 13), 0x20000, "__GFP_NORECLAIM"),
    ((2, 6, 14), 0x40000, "__GFP_HARDWALL"),
    ((2, 6, 15), 0x04, "__GFP_DMA32"),
    ((2, 6, 16), 0x20000, "__GFP_HARDWALL"),
    ((2, 6, 16), 0x40000, ""),
    ((2, 6, 19), 0x40000, "__GFP_THISNODE"),
    ((2, 6, 23), 0x80000, "__GFP_MOVABLE"),
    ((2, 6, 24), 0x80000, "__GFP_RECLAIMABLE"),
    ((2, 6, 24), 0x100000, "__GFP_MOVABLE"),
    ((2, 6, 31), 0x08, "__GFP_MOVABLE"),
    ((2, 6, 31), 0x100000, ""),
    ((2, 6, 31), 0x200000, "__GFP_NOTRACK"),
    ((2, 6, 38), 0x400000, "__GFP_NO_KSWAPD"),
    ((2, 6, 39), 0x800000, "__GFP_OTHER_NODE"),
    ((3, 3), 0x1000000, "__GFP_WRITE"),
    ((3, 6), 0x2000, "__GFP_MEMALLOC"),
    ((3, 8), 0x100000, "__GFP_KMEMCG"),
    ((3, 16), 0x100000, ""),
    ((4, 1), 0x100000, "__GFP_NOACCOUNT"),
    ((4, 4), 0x10, "__GFP_RECLAIMABLE"),
    ((4, 4), 0x80000, "__GFP_ATOMIC"),
    ((4, 4), 0x400000, "__GFP_DIRECT_RECLAIM"),
    ((4, 4), 0x2000000, "__GFP_KSWAPD_RECLAIM"),
    ((4, 5), 0x100000, "__GFP_ACCOUNT"),
)
"""Since when a bit has which meaning; an empty name is a bit given up."""

_WAIT = frozenset({"__GFP_WAIT"})
_RECLAIM = frozenset({"__GFP_DIRECT_RECLAIM", "__GFP_KSWAPD_RECLAIM"})
_SHORT: tuple[tuple[str, frozenset[str]], ...] = (
    ("GFP_HIGHUSER_MOVABLE", frozenset({"__GFP_IO", "__GFP_FS", "__GFP_HARDWALL",
                                        "__GFP_HIGHMEM", "__GFP_MOVABLE"})),
    ("GFP_HIGHUSER", frozenset({"__GFP_IO", "__GFP_FS", "__GFP_HARDWALL", "__GFP_HIGHMEM"})),
    ("GFP_USER", frozenset({"__GFP_IO", "__GFP_FS", "__GFP_HARDWALL"})),
    ("GFP_KERNEL", frozenset({"__GFP_IO", "__GFP_FS"})),
    ("GFP_NOFS", frozenset({"__GFP_IO"})),
    ("GFP_NOIO", frozenset()),
)  # fmt: skip
"""Names for the usual sums, each with the wish to wait for reclaim, the longest first."""


def flag_names(
    mask: int, printed: tuple[str, ...] | None, release: str | None
) -> tuple[str, ...] | None:
    """Return a mask's flags: as the log prints them, else by the table of its kernel.

    None where the log prints none and the kernel is not known.

    >>> flag_names(0x280da, None, "3.13.0-27-generic")
    ('GFP_HIGHUSER_MOVABLE', '__GFP_ZERO')
    """
    if printed is not None:
        return printed
    try:
        series = parse_release(release or "").series
    except InputError:
        return None
    return _in_words(mask, _bits_at(series))


Highest = Literal["DMA", "DMA32", "Normal", "HighMem", "Movable"]


def highest_zone(mask: int, release: str | None) -> Highest:
    """Return the highest kind of zone that a request may be served from; it may use all below.

    Source: gfp_zone() in include/linux/gfp.h; the bits of 2.6.31 stand where none is known.
    """
    try:
        bits = _bits_at(parse_release(release or "").series)
    except InputError:
        bits = _bits_at((2, 6, 31))
    wanted = {name for bit, name in bits.items() if mask & bit}
    if "__GFP_DMA" in wanted:
        return "DMA"
    if "__GFP_DMA32" in wanted:
        return "DMA32"
    if "__GFP_HIGHMEM" not in wanted:
        return "Normal"
    return "Movable" if "__GFP_MOVABLE" in wanted else "HighMem"


def may_use_cma(mask: int, printed: tuple[str, ...] | None, release: str | None) -> bool:
    """Tell whether pages of CMA can serve a request: movable ones only.

    Source: gfp_to_alloc_flags_cma() in mm/page_alloc.c; __GFP_CMA is no mainline flag.
    """
    names = flag_names(mask, printed, release) or ()
    return any("MOVABLE" in name or "TRANSHUGE" in name or name == "__GFP_CMA" for name in names)


def _bits_at(series: Series) -> dict[int, str]:
    return _COMMON | {bit: name for since, bit, name in BITS if since <= series}


def _in_words(mask: int, bits: dict[int, str]) -> tuple[str, ...]:
    names = [bits[bit] for bit in sorted(bits) if mask & bit and bits[bit]]
    unknown = mask & ~sum(bit for bit, name in bits.items() if name)
    waits = next((wait for wait in (_WAIT, _RECLAIM) if wait <= set(names)), None)
    found: list[str] = []
    if waits is not None:
        for short, parts in _SHORT:
            if parts <= set(names):
                found = [short]
                names = [name for name in names if name not in parts | waits]
                break
    return (*found, *names, *([f"{unknown:#x}"] if unknown else []))
