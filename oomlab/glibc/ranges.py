"""Sorted ranges of addresses, and how much of them other ranges cover."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

Range = tuple[int, int]
"""From the first address to behind the last."""


class Pages(NamedTuple):
    """Which pages of a mapping are not in memory, as sorted ranges."""

    returned: Sequence[Range]
    """Neither in memory nor in swap: the kernel has them back, or never gave them."""
    swapped: Sequence[Range]


class Overlap:
    """How much of ever higher ranges lies in given sorted ranges."""

    def __init__(self, ranges: Sequence[Range]) -> None:
        self._ranges = ranges
        self._index = 0
        self.start = ranges[0][0] if ranges else 1 << 64
        """Nothing below it is covered any more: ask only for ranges that end above."""

    def within(self, start: int, end: int) -> list[Range]:
        """Return the covered parts. ``start`` must not be below that of the last call."""
        ranges = self._ranges
        index = self._index
        while index < len(ranges) and ranges[index][1] <= start:
            index += 1
        self._index = index
        self.start = ranges[index][0] if index < len(ranges) else 1 << 64
        found = []
        while index < len(ranges) and ranges[index][0] < end:
            found.append((max(start, ranges[index][0]), min(end, ranges[index][1])))
            index += 1
        return found


def covered(ranges: Sequence[Range], start: int, end: int) -> int:
    """Return how many bytes from ``start`` to ``end`` lie in sorted ranges."""
    index = max(bisect_right(ranges, (start, 1 << 64)) - 1, 0)
    total = 0
    while index < len(ranges) and ranges[index][0] < end:
        total += max(min(end, ranges[index][1]) - max(start, ranges[index][0]), 0)
        index += 1
    return total


def total(ranges: Sequence[Range]) -> int:
    """Return how many bytes ranges cover."""
    return sum(end - start for start, end in ranges)
