"""What an out-of-memory report says of memory: the machine's, and of memory cgroups.

Sizes keep the kernel's unit, which their names end in; ``None`` is what the report does not say.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class FreeBlocks(NamedTuple):
    """Free blocks of one order: how many, of what size, of which migrate types (letters)."""

    number: int
    size_kib: int
    types: str = ""


class Zone(NamedTuple):
    """One memory zone: its counters in kB by the kernel's names, reserves and free lists."""

    node: int | None
    name: str
    fields_kib: dict[str, int]
    lowmem_reserve_pages: tuple[int, ...] | None = None
    free_blocks: tuple[FreeBlocks, ...] | None = None
    free_total_kib: int | None = None
    all_unreclaimable: bool | None = None


class PerCpu(NamedTuple):
    """What one CPU keeps of a zone's free pages (to 4.0), in pages by the kernel's names."""

    cpu: int
    fields_pages: dict[str, int]


class HugePages(NamedTuple):
    """Huge pages of one size on one node, in numbers of them."""

    node: int | None
    total: int
    free: int
    surplus: int
    size_kib: int


class Allocation(NamedTuple):
    """One line of kernel code and what it has allocated (6.10 and newer, where it is profiled)."""

    size: str
    """As the kernel rounds it: ``11.7 MiB``."""
    calls: int
    place: str


class Slab(NamedTuple):
    """One unreclaimable slab cache."""

    name: str
    used_kib: int
    total_kib: int


@dataclass(slots=True)
class MemoryState:
    """The Mem-Info dump of a machine-wide report."""

    totals_pages: dict[str, int] = field(default_factory=dict)
    nodes_kib: dict[int, dict[str, int]] = field(default_factory=dict)
    stuck_nodes: set[int] = field(default_factory=set)
    """Nodes that the kernel calls all_unreclaimable: scanned again and again for nothing."""
    zones: list[Zone] = field(default_factory=list)
    hugepages: list[HugePages] = field(default_factory=list)
    counts_pages: dict[str, int] = field(default_factory=dict)
    """``pages RAM``, ``pages reserved`` and the like, by the kernel's own words."""
    swap_free_kib: int | None = None
    swap_total_kib: int | None = None
    swap_cache: dict[str, int] | None = None
    slabs: list[Slab] = field(default_factory=list)
    allocations: list[Allocation] = field(default_factory=list)
    per_cpu: dict[tuple[int | None, str], list[PerCpu]] = field(default_factory=dict)
    """By node and zone."""
    free_kib: int | None = None
    """Of the line ``Free pages:`` (to 2.6.18), and how much of it is high memory."""
    free_highmem_kib: int | None = None


UNLIMITED_KIB = 1 << 52
"""Any printed limit above this is no limit: all kernels' own values lie above it."""


class Usage(NamedTuple):
    """A memory cgroup's counter: kB in use, its limit, how often the limit was hit."""

    usage_kib: int
    limit_kib: int
    failcnt: int


@dataclass(slots=True)
class MemcgState:
    """What a report says of memory cgroups."""

    usage: dict[str, Usage] = field(default_factory=dict)
    """By ``memory``, ``memory+swap``, ``swap``, ``kmem``."""
    stats: dict[str, dict[str, int]] = field(default_factory=dict)
    """Statistics by cgroup path, in bytes (counters of events as counts)."""
    min_protection_kib: int | None = None
    low_protection_kib: int | None = None
