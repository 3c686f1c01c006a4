"""What of the machine's memory can still be had: the reserve, MemAvailable, drop_caches, promises.

Sources: si_mem_available() and calculate_totalreserve_pages() in mm/page_alloc.c or
mm/show_mem.c, __vm_enough_memory() in mm/util.c.
"""

from __future__ import annotations

from typing import NamedTuple

from ..meminfo import MemInfo, Zone
from .system import cache_bytes, mapped_files


class Reserve(NamedTuple):
    """What is kept free, in bytes."""

    min_bytes: int
    """All zones' min watermarks: what only dying tasks and the kernel itself may use."""
    low_bytes: int
    high_bytes: int
    total_bytes: int
    """totalreserve_pages: high watermarks and lowmem protection; MemAvailable leaves it out."""


def reserve(info: MemInfo) -> Reserve | None:
    """Return the watermarks and the reserve; None where there is no zoneinfo."""
    if not info.zones:
        return None
    page = info.page_size
    total = sum(min(zone.managed_pages, _kept_pages(zone)) for zone in info.zones)
    return Reserve(
        sum(zone.min_pages for zone in info.zones) * page,
        sum(zone.low_pages for zone in info.zones) * page,
        sum(zone.high_pages for zone in info.zones) * page,
        total * page,
    )


def _kept_pages(zone: Zone) -> int:
    # Raised watermarks don't count: totalreserve_pages is computed when they are set.
    return max(zone.protection_pages, default=0) + zone.high_pages - zone.boost_pages


class Step(NamedTuple):
    """One step from the old estimate to MemAvailable, in bytes."""

    name: str
    size: int


def from_old_estimate(info: MemInfo) -> tuple[Step, ...] | None:
    """Return the steps from free + buffers + cached to MemAvailable; they sum to it.

    Source: si_mem_available(), since d02bd27bd33d ("mm/page_alloc.c: calculate 'available'
    memory in a separate function") (in v4.6). None where the kernel tells no MemAvailable
    (before 3.14) or no zones.
    """
    kept, available = reserve(info), info.get("MemAvailable")
    if kept is None or available is None:
        return None
    files = info.count("Active(file)") + info.count("Inactive(file)")
    slab = info.get("KReclaimable")
    slab = info.count("SReclaimable") if slab is None else slab
    old = info.count("MemFree") + info.count("Buffers") + info.count("Cached")
    steps = [
        Step("free + buffers + cached, the old estimate", old),
        Step("tmpfs and shared memory: cached, but no cache", -info.count("Shmem")),
        Step("page cache that reclaim can't take", files - cache_bytes(info)),
        Step("the reserve: high watermarks and lowmem protection", -kept.total_bytes),
        Step("page cache left in use: half, at most the low watermark", -_half(info, files, kept)),
        Step("reclaimable slab", slab),
        Step("slab left in use: half, at most the low watermark", -_half(info, slab, kept)),
    ]
    rest = available - max(0, sum(step.size for step in steps))
    if rest:
        steps.append(Step("counters that moved meanwhile, or another kernel's formula", rest))
    return (*steps, Step("MemAvailable", available))


def _half(info: MemInfo, size: int, kept: Reserve) -> int:
    """Return what the kernel leaves of a cache: half of it in whole pages, or less."""
    return min(size // info.page_size // 2 * info.page_size, kept.low_bytes)


class Dropped(NamedTuple):
    """What writing to /proc/sys/vm/drop_caches could free, in bytes."""

    cache_low: int
    cache_high: int
    dirty: int
    """Not freed before it is written: sync(1) first."""
    slab_high: int


def drop_caches(info: MemInfo) -> Dropped:
    """Bound what drop_caches frees: clean page cache that nobody maps, and unused slab.

    Whether the mapped and the dirty pages are the same ones is unknown. Source:
    invalidate_mapping_pages() and mapping_evict_folio() in mm/truncate.c.
    """
    files = info.count("Active(file)") + info.count("Inactive(file)")
    dirty = min(files, info.count("Dirty") + info.count("Writeback"))
    low, high = mapped_files(info)
    slab = info.get("KReclaimable")
    return Dropped(
        max(0, files - dirty - high),
        max(0, files - max(dirty, low)),
        dirty,
        info.count("SReclaimable") if slab is None else slab,
    )


class Overcommit(NamedTuple):
    """The state of vm.overcommit_memory, in bytes."""

    mode: int | None
    limit: int | None
    committed: int | None

    @property
    def left(self) -> int | None:
        """What may still be promised at most: None but in mode 2, which alone enforces it.

        A program is refused earlier by a 32nd of its own address space, at most
        vm.user_reserve_kbytes, and without CAP_SYS_ADMIN by vm.admin_reserve_kbytes too.
        """
        if self.mode != NEVER or self.limit is None or self.committed is None:
            return None
        return max(0, self.limit - self.committed)


NEVER = 2
"""Of vm.overcommit_memory: no more is promised than CommitLimit."""


def overcommit(info: MemInfo, mode: int | None) -> Overcommit:
    """Return what was promised to processes, and how much may be."""
    return Overcommit(mode, info.get("CommitLimit"), info.get("Committed_AS"))
