"""Causes that are uses of memory, each from a share on: what fills the machine or the limit."""

from __future__ import annotations

from ...report import OomReport
from ...units import KIB, human
from .cause import Cause, filled, is_share, size
from .figures import Figures, is_manual


def shmem(_report: OomReport, figures: Figures) -> Cause | None:
    """Shared memory and tmpfs."""
    return filled(
        figures,
        "shmem",
        figures.counter("shmem"),
        "shared memory and tmpfs",
        "Files in tmpfs (/dev/shm, /tmp, /run) and shared segments stay until they are removed: "
        "look there (du, ipcs -m) and set size= on tmpfs mounts.",
        "shmem",
    )


def slab(report: OomReport, figures: Figures) -> Cause | None:
    """Kernel objects that can't be given back, with the largest caches where they are listed."""
    found = filled(
        figures,
        "slab",
        figures.counter("slab_unreclaimable"),
        "unreclaimable slab",
        "Kernel objects hold it: see which cache grows (slabtop, /proc/slabinfo); "
        "a driver or a leak of inodes, sockets or cgroups is likely.",
        "slab_unreclaimable",
    )
    slabs = report.memory.slabs if report.memory is not None else []
    if found is None or not slabs:
        return found
    top = sorted(slabs, key=lambda one: -one.total_kib)[:3]
    named = tuple(f"{one.name}: {human(one.total_kib * KIB)}" for one in top)
    return found._replace(evidence=found.evidence + named)


def tables(report: OomReport, figures: Figures) -> Cause | None:
    """Page tables: the machine's, or where a cgroup's statistics do not count them its tasks'."""
    advice = (
        "Many processes map the same large memory, or one maps it thinly: use huge pages for it."
    )
    pages, words = figures.counter("pagetables"), ("pagetables",)
    if pages is not None:
        return filled(figures, "page tables", pages, "page tables", advice, *words)
    sizes = {row.pid: row.pagetable_bytes for row in report.processes if row.pagetable_bytes}
    found = filled(
        figures, "page tables", sum(sizes.values()) // figures.page_size, "page tables", advice
    )
    if found is None:
        return None
    largest = max(sizes, key=lambda pid: sizes[pid])
    shown = f"pgtables_bytes of {len(sizes)} tasks; {sizes[largest]} of pid {largest}"
    return found._replace(evidence=(*found.evidence, shown))


def stacks(_report: OomReport, figures: Figures) -> Cause | None:
    """Kernel stacks."""
    return filled(
        figures,
        "kernel stacks",
        figures.counter("kernel_stack"),
        "kernel stacks",
        "Too many threads: each takes 16 kB of kernel stack alone. Limit them (pids.max, "
        "TasksMax=, ulimit -u).",
        "kernel_stack",
    )


def locked(_report: OomReport, figures: Figures) -> Cause | None:
    """Memory that is locked, or unevictable for another reason."""
    mlocked, pages = figures.counter("mlocked"), figures.counter("unevictable")
    if mlocked is not None and pages is not None and mlocked * 2 < pages:
        return filled(
            figures,
            "unevictable",
            pages,
            "unevictable memory",
            "Little of it is mlocked: ramfs, or shared memory locked with SHM_LOCK, holds it.",
            "unevictable",
            "mlocked",
        )
    return filled(
        figures,
        "unevictable",
        pages,
        "locked memory",
        "mlock(2) or mlockall(2) holds it (VmLck in /proc/PID/status): lower RLIMIT_MEMLOCK or "
        "lock less.",
        "unevictable",
        "mlocked",
    )


def page_cache(report: OomReport, figures: Figures) -> Cause | None:
    """Page cache that waits to be written, or that is dropped and read again."""
    pages = figures.file_pages
    if pages is None or not is_share(figures, "page cache", pages) or is_manual(report):
        return None
    names = ("dirty", "writeback", "file_dirty", "file_writeback")
    dirty = sum(figures.counter(name) or 0 for name in names)
    evidence = [f"page cache: {size(figures, pages)}"]
    if dirty * 4 >= pages:
        evidence += [f"dirty or in writeback: {size(figures, dirty)}", figures.words(*names)]
        advice = "It waits for a disk or network: lower vm.dirty_bytes, or look at the device."
        return Cause("page cache that can't be written fast enough", tuple(evidence), advice, pages)
    name = next((n for n in _REFAULTS if n in figures.events), None)
    if name is not None and figures.events[name] > pages:
        evidence += [figures.words(name), "so more pages were read again than are in it"]
        advice = (
            "The limit is below the working set of files, which are dropped and read again: raise "
            "it, or read less."
        )
        return Cause("page cache is thrashing", tuple(evidence), advice, pages)
    return None


_REFAULTS = ("workingset_refault_file", "workingset_refault")


def idle_hugepages(report: OomReport, figures: Figures) -> Cause | None:
    """Huge pages that are reserved and that nobody uses."""
    return _hugepages(
        report,
        figures,
        "huge pages reserved and unused",
        "Reserved huge pages serve nothing else: lower vm.nr_hugepages by those that idle.",
        idle=True,
    )


def used_hugepages(report: OomReport, figures: Figures) -> Cause | None:
    """Huge pages in use, which count in no process's RSS."""
    return _hugepages(
        report,
        figures,
        "memory in huge pages (hugetlb)",
        "Their users have them mapped (a database, a virtual machine, DPDK), but neither RSS nor "
        "badness counts them: whoever dies, they stay reserved.",
        idle=False,
    )


def _hugepages(
    report: OomReport, figures: Figures, what: str, advice: str, *, idle: bool
) -> Cause | None:
    pools = [pool for pool in (report.memory.hugepages if report.memory else []) if pool.total]
    kib = sum((p.free if idle else p.total - p.free) * p.size_kib for p in pools)
    pages = figures.pages_of_kib(kib)
    if not is_share(figures, "huge pages", pages) or pages > (figures.total_pages or 0):
        return None
    evidence = [f"{what}: {size(figures, pages)}"]
    evidence += [
        f"node {pool.node}: " * (pool.node is not None)
        + f"{pool.total} of {pool.size_kib}kB, {pool.free} of them free"
        for pool in pools[:4]
    ]
    return Cause(what, tuple(evidence), advice, pages)


def graphics(_report: OomReport, figures: Figures) -> Cause | None:
    """Memory of graphics drivers, which 7.2 counts."""
    names = ("gpu_active", "gpu_reclaim")
    return filled(
        figures,
        "device",
        sum(figures.counter(name) or 0 for name in names),
        "memory of graphics drivers",
        "Buffers of the GPU live in RAM: see who draws (/proc/PID/fdinfo of /dev/dri files).",
        *names,
    )


def compressed(_report: OomReport, figures: Figures) -> Cause | None:
    """Compressed swap in memory (6.18 and newer count its pages)."""
    return filled(
        figures,
        "compressed",
        figures.counter("zspages") if figures.is_machine else figures.counter("zswap"),
        "compressed swap in memory",
        "zram or zswap hold it: what does not compress well gains nothing there; limit the size "
        "of zram, or swap to a disk.",
        "zspages",
        "zswap",
    )


_CHARGED_AHEAD_PAGES = 64 * 256
"""Each CPU charges up to 64 pages ahead (MEMCG_CHARGE_BATCH): so much on a large machine."""


def kernels_own(_report: OomReport, figures: Figures) -> Cause | None:
    """Kernel memory that is charged to the cgroup."""
    if figures.is_machine:
        return None
    name = "kernel" if "kernel" in figures.counters else "kmem"
    return filled(
        figures,
        "kernel of a cgroup",
        figures.counter(name),
        "kernel memory charged to the cgroup",
        "Objects that the kernel made for it: inodes, sockets and their buffers, pipes, per-CPU "
        "memory, page tables, stacks. See memory.stat, and memory.kmem.slabinfo on v1.",
        name,
        "slab",
        "slab_unreclaimable",
        "slab_reclaimable",
        "percpu",
        "pagetables",
        "kernel_stack",
        "sock",
    )


def in_no_counter(_report: OomReport, figures: Figures) -> Cause | None:
    """What is left when everything that is counted is taken away."""
    pages = figures.uncounted_pages
    if pages is None or not is_share(figures, "in no counter", pages):
        return None
    if not figures.is_machine:
        if pages < _CHARGED_AHEAD_PAGES:
            return None
        return Cause(
            "memory charged to the cgroup that its statistics do not name",
            (f"{size(figures, pages)}: usage less anonymous memory, files and the kernel's",),
            "hugetlb pages, pages on their way out, or counters that lag behind.",
            pages,
        )
    return Cause(
        "memory that is in no counter",
        (
            f"{size(figures, pages)}: RAM less free, page lists, slab, tables, stacks, huge pages",
            figures.words("free", "active_anon", "inactive_anon", "active_file", "inactive_file",
                          "slab_reclaimable", "slab_unreclaimable", "pagetables"),
        ),
        "A driver (GPU, network buffers, a balloon), full pipes, vmalloc, zram or ZFS holds it: no "
        "process gives it back. Compare MemTotal with the sum of /proc/meminfo.",
        pages,
    )  # fmt: skip
