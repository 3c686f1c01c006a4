"""The page size that a report betrays; it is never taken for granted."""

from __future__ import annotations

from typing import NamedTuple

from ...report import OomReport
from ...units import KIB

_SIZES_KIB = tuple(1 << bits for bits in range(9))
"""1 kB to 256 kB: all page sizes that Linux has."""
_COUNTER_MAX_KIB = 1 << 53
"""An unlimited counter prints as this less one page (3.19 and newer)."""
USUAL_BYTES = 4096


class PageSize(NamedTuple):
    """A page size and how it is known; ``evidence`` is None where it is only the usual one."""

    size_bytes: int
    evidence: str | None


def find_page_size(report: OomReport) -> PageSize:
    """Return the page size by the surest evidence that the report holds."""
    for find, evidence in (
        (_of_free_list, "first free-list size"),
        (_of_unlimited, "unlimited counter's value"),
        (_of_victim, "kill line's kB over the table's pages"),
        (_of_nodes, "node's kB over Mem-Info's pages"),
    ):
        kib = find(report)
        if kib in _SIZES_KIB:
            return PageSize(kib * KIB, evidence)
    return PageSize(USUAL_BYTES, None)


def _of_free_list(report: OomReport) -> int:
    zones = report.memory.zones if report.memory else []
    # A whole line lists orders from 0 on, each twice the last, and adds up to its total.
    for zone in zones:
        blocks = zone.free_blocks or ()
        if len(blocks) > 4 and zone.free_total_kib == sum(b.number * b.size_kib for b in blocks):
            return blocks[0].size_kib
    return 0


def _of_unlimited(report: OomReport) -> int:
    usages = report.memcg.usage.values() if report.memcg else ()
    return next(
        (kib for u in usages if 1 < (kib := _COUNTER_MAX_KIB - u.limit_kib) <= _SIZES_KIB[-1]), 0
    )


def _of_victim(report: OomReport) -> int:
    pages = {row.pid: row.total_vm_pages for row in report.tasks}
    for victim in report.victims:
        size, count = victim.total_vm_kib, pages.get(victim.pid)
        if size and count:
            # The map may have grown or shrunk since: the nearest power of two is still sure
            # while it has not changed by a factor of the square root of two.
            near = min(_SIZES_KIB, key=lambda kib: abs(size / count - kib) / kib)
            if near * count * 0.71 < size < near * count * 1.41:
                return near
    return 0


def _of_nodes(report: OomReport) -> int:
    if report.memory is None:
        return 0
    for name in ("active_anon", "inactive_anon", "unevictable"):
        pages = report.memory.totals_pages.get(name, 0)
        kib = sum(node.get(name, 0) for node in report.memory.nodes_kib.values())
        for size in _SIZES_KIB:
            # Two reads of moving counters, which the largest of the sums hides.
            if pages > 1000 and abs(kib - pages * size) * 8 < pages * size:
                return size
    return 0
