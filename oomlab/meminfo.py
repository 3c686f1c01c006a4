"""The machine's memory in the kernel's own counters: meminfo, zoneinfo, compressed swap."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple


class Zone(NamedTuple):
    """One zone of memory, as /proc/zoneinfo tells it."""

    node: int
    name: str
    free_pages: int
    min_pages: int
    """The watermarks: below min only the kernel's own and dying tasks are served."""
    low_pages: int
    """Below it kswapd is woken."""
    high_pages: int
    """Up to it kswapd reclaims."""
    managed_pages: int
    protection_pages: tuple[int, ...] = ()
    """What is kept for requests that could not be served from a higher zone."""
    boost_pages: int = 0
    """By so much the watermarks are raised for now (5.0; shown by newer kernels)."""
    cpu_list_pages: int = 0
    """Free pages in the CPUs' own lists: no part of MemFree."""


class Zram(NamedTuple):
    """One compressed RAM disk (/sys/block/zramN/mm_stat), in bytes."""

    name: str
    disk_bytes: int
    original_bytes: int
    used_bytes: int
    """RAM that holds the compressed data, with the allocator's loss."""


class Held(NamedTuple):
    """Who holds shared memory, in bytes: parts of Shmem, and what is beside it."""

    mounted_bytes: int
    """Files in mounts of tmpfs, the deleted ones apart."""
    deleted_bytes: int
    """Deleted files there that somebody has open."""
    memfd_bytes: int
    shared_anon_bytes: int
    """MAP_SHARED without a file."""
    sysv_bytes: int
    pipes: int
    """How many; what is in them no file tells."""
    sockets_bytes: int | None
    """TCP's and UDP's buffers: no part of Shmem."""
    unseen: int
    """Processes that may not be looked into."""

    @property
    def shmem_bytes(self) -> int:
        """What of Shmem is told."""
        mounted = self.mounted_bytes + self.deleted_bytes
        return mounted + self.memfd_bytes + self.shared_anon_bytes + self.sysv_bytes


class _MemInfo(NamedTuple):
    counters: tuple[tuple[str, int], ...]
    """/proc/meminfo by the kernel's names: bytes, but HugePages_* are pages of Hugepagesize."""
    page_size: int = 4096
    zones: tuple[Zone, ...] = ()
    zrams: tuple[Zram, ...] = ()
    zswap_enabled: bool | None = None


class MemInfo(_MemInfo):
    """What the kernel counts of all memory, at one moment."""

    @cached_property
    def _by_name(self) -> dict[str, int]:
        return dict(self.counters)

    def get(self, name: str) -> int | None:
        """Return a counter by the kernel's name; None where this kernel has it not."""
        return self._by_name.get(name)

    def count(self, name: str) -> int:
        """Return a counter, 0 where this kernel has none of that name."""
        return self._by_name.get(name, 0)
