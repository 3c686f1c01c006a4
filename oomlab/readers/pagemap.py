"""Which pages of a process are in memory: /proc/PID/pagemap, by address."""

from __future__ import annotations

import os
import sys

from ..glibc.ranges import Pages, Range

_PRESENT, _SWAPPED = 1 << 63, 1 << 62
_ENTRY_BYTES = 8
_BLOCK_ENTRIES = 1 << 17
_FEW_ENTRIES = 64
_PARTS = 8
"""A block of entries that differ is looked at in parts: most of them are alike."""


def read_pages(descriptor: int, start: int, end: int, page_size: int) -> Pages | None:
    """Return which pages between two addresses are not in memory, None where that fails."""
    returned: list[Range] = []
    swapped: list[Range] = []
    at = start // page_size
    last = -(-end // page_size)
    while at < last:
        count = min(_BLOCK_ENTRIES, last - at)
        try:
            data = os.pread(descriptor, count * _ENTRY_BYTES, at * _ENTRY_BYTES)
        except OSError:
            return None
        if not data:
            break
        add_entries(data, at * page_size, page_size, returned, swapped)
        at += len(data) // _ENTRY_BYTES
    return Pages(_clipped(returned, start, end), _clipped(swapped, start, end))


def add_entries(
    data: bytes, address: int, size: int, returned: list[Range], swapped: list[Range]
) -> None:
    """Add the pages of a block of pagemap to ranges. Source: Documentation/…/pagemap.rst."""
    count = len(data) // _ENTRY_BYTES
    if data == data[:_ENTRY_BYTES] * count:  # all alike: as in memory that was never touched
        entry = int.from_bytes(data[:_ENTRY_BYTES], sys.byteorder)
        _add(entry, address, count * size, returned, swapped)
        return
    if count > _FEW_ENTRIES:
        part = count // _PARTS
        for start in range(0, count, part):
            piece = data[start * _ENTRY_BYTES : (start + part) * _ENTRY_BYTES]
            add_entries(piece, address + start * size, size, returned, swapped)
        return
    for entry in memoryview(data)[: count * _ENTRY_BYTES].cast("Q"):
        if not entry & _PRESENT:
            _add(entry, address, size, returned, swapped)
        address += size


def _add(entry: int, start: int, size: int, returned: list[Range], swapped: list[Range]) -> None:
    if entry & _PRESENT:
        return
    ranges = swapped if entry & _SWAPPED else returned
    if ranges and ranges[-1][1] == start:
        ranges[-1] = (ranges[-1][0], start + size)
    else:
        ranges.append((start, start + size))


def _clipped(ranges: list[Range], start: int, end: int) -> list[Range]:
    return [(max(low, start), min(high, end)) for low, high in ranges]
