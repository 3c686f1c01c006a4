"""The machine's memory from the OOM killer's side: the parts that MemTotal consists of.

They are disjoint and sum to it; what is in no counter is the remainder. Source:
meminfo_proc_show() in fs/proc/meminfo.c.
"""

from __future__ import annotations

from typing import NamedTuple

from ..meminfo import MemInfo


class Use(NamedTuple):
    """One part of MemTotal, in bytes."""

    key: str
    name: str
    size: int
    reclaim: str
    """Whether the kernel gets it back before it kills: yes, no, swap, part."""
    note: str = ""


REMAINDER = "remainder"
_PARTS = (
    ("free", "free", "yes", "MemFree, the reserve included"),
    ("unmanaged", "free by MemFree, but in no zone", "part", "the hypervisor's"),
    ("cpu_lists", "free, in the CPUs' lists", "yes", "zoneinfo pagesets"),
    ("anon", "anonymous memory of processes", "swap", "AnonPages"),
    ("shmem", "tmpfs and shared memory", "swap", "Shmem"),
    ("swap_cache", "swap cache that nobody maps", "yes", "SwapCached, less what AnonPages has"),
    ("cache", "page cache on the file lists", "yes", "Active(file) + Inactive(file)"),
    ("cache_held", "page cache that reclaim can't take", "no", "mlocked, ramfs, in use by reclaim"),
    ("slab_reclaimable", "slab, reclaimable", "part", "SReclaimable: dentries, inodes"),
    ("kernel_reclaimable", "kernel, reclaimable otherwise", "part", "KReclaimable without slab"),
    ("slab", "slab, unreclaimable", "no", "SUnreclaim"),
    ("kernel_stacks", "kernel stacks", "no", "KernelStack"),
    ("page_tables", "page tables", "no", "PageTables, SecPageTables"),
    ("vmalloc", "vmalloc", "no", "VmallocUsed without kernel stacks"),
    ("percpu", "per-CPU memory of the kernel", "no", "Percpu"),
    ("hugetlb", "huge pages set aside", "no", "Hugetlb: free ones too"),
    ("zswap", "zswap", "no", "Zswap: compressed pages"),
    ("zram", "zram", "no", "mm_stat: compressed disks"),
    ("poisoned", "broken memory", "no", "HardwareCorrupted"),
)


def uses(info: MemInfo) -> tuple[Use, ...]:
    """Return the parts that MemTotal consists of; they sum to it exactly."""
    sizes = _sizes(info)
    parts = [Use(key, name, sizes[key], reclaim, note) for key, name, reclaim, note in _PARTS]
    rest = info.count("MemTotal") - sum(sizes.values())
    why = "drivers, network buffers, other kernel pages" if rest >= 0 else "counted in two parts"
    return (*parts, Use(REMAINDER, "in no counter", rest, "no", why))


def _sizes(info: MemInfo) -> dict[str, int]:
    cache, apart = cache_bytes(info), unmanaged_bytes(info)
    on_lists = min(cache, info.count("Active(file)") + info.count("Inactive(file)"))
    stacks, reclaimable = info.count("KernelStack"), info.count("SReclaimable")
    slab = info.get("Slab")
    return {
        "free": info.count("MemFree") - apart,
        "unmanaged": apart,
        "cpu_lists": sum(zone.cpu_list_pages for zone in info.zones) * info.page_size,
        "anon": info.count("AnonPages"),
        "shmem": info.count("Shmem"),
        "swap_cache": unmapped_swap_cache(info),
        "cache": on_lists,
        "cache_held": cache - on_lists,
        "slab_reclaimable": reclaimable,
        "kernel_reclaimable": max(0, info.count("KReclaimable") - reclaimable),
        "slab": info.count("SUnreclaim") if slab is None else slab - reclaimable,
        "kernel_stacks": stacks,
        "page_tables": info.count("PageTables") + info.count("SecPageTables"),
        # Kernel stacks are vmalloc'ed since 4.9 (CONFIG_VMAP_STACK) and stand in both counters.
        "vmalloc": max(0, info.count("VmallocUsed") - stacks) if _vmalloc_counts(info) else 0,
        "percpu": info.count("Percpu"),
        "hugetlb": hugetlb_bytes(info),
        "zswap": info.count("Zswap"),
        "zram": sum(zram.used_bytes for zram in info.zrams),
        "poisoned": info.count("HardwareCorrupted"),
    }


def _vmalloc_counts(info: MemInfo) -> bool:
    """Tell whether VmallocUsed counts pages (5.3): address space before 4.4, then always 0.

    97105f0ab7b8 ("mm: vmalloc: show number of vmalloc pages in /proc/meminfo") (in v5.3), one
    release after Percpu and KReclaimable had come (4.19, 4.20).
    """
    return info.get("KReclaimable") is not None


def cache_bytes(info: MemInfo) -> int:
    """Return the page cache of files: Cached counts tmpfs and shared memory too."""
    return max(0, info.count("Cached") + info.count("Buffers") - info.count("Shmem"))


def unmapped_swap_cache(info: MemInfo) -> int:
    """Return the swap cache that AnonPages does not count too.

    Every page of a file, of the swap cache and of anonymous memory is on one list of reclaim:
    what the lists have beyond anonymous memory and files is swap cache that nobody maps.
    """
    lists = ("Active(anon)", "Inactive(anon)", "Active(file)", "Inactive(file)", "Unevictable")
    listed = sum(info.count(name) for name in lists)
    rest = listed - info.count("AnonPages") - info.count("Cached") - info.count("Buffers")
    return min(max(0, rest), info.count("SwapCached"))


def hugetlb_bytes(info: MemInfo) -> int:
    """Return all that hugetlb holds; before 4.17 only of the default size."""
    whole = info.get("Hugetlb")
    if whole is not None:
        return whole
    return info.count("HugePages_Total") * info.count("Hugepagesize")


def mapped_files(info: MemInfo) -> tuple[int, int]:
    """Return bounds of the page cache that processes have mapped: Mapped counts shmem too."""
    mapped = info.count("Mapped")
    return max(0, mapped - info.count("Shmem")), min(mapped, cache_bytes(info))


def unmanaged_bytes(info: MemInfo) -> int:
    """Return what MemTotal and MemFree count, but no zone has.

    0 on an ordinary kernel. Some kernels of virtual machines count as free what a balloon or
    the hypervisor keeps for the time being.
    """
    if not info.zones:
        return 0
    managed = sum(zone.managed_pages for zone in info.zones) * info.page_size
    in_zones = sum(zone.free_pages for zone in info.zones) * info.page_size
    missing = max(0, info.count("MemTotal") - managed)
    beyond = info.count("MemFree") - in_zones
    return missing if abs(beyond - missing) < abs(beyond) else 0
