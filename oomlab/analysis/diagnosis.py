"""Why memory ran out: the causes that a report shows, the likeliest first, with evidence.

Each cause is one function of the report's figures. Where a share of memory decides, the share
stands in ``SHARE``: it separates what is worth telling, and no number of the model rests on it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..report import OomReport
from ..units import human
from .zones import Figures, figures_of, is_manual, zone_causes

SHARE = {
    "anonymous": 50,
    "shmem": 20,
    "slab": 15,
    "page tables": 10,
    "kernel stacks": 10,
    "unevictable": 20,
    "huge pages": 10,
    "in no counter": 15,
    "page cache": 20,
    "protected": 50,
}
"""Per cent of RAM (or of the cgroup's limit) from which on a use of memory counts as a cause."""


class Cause(NamedTuple):
    """One cause, the figures that show it, and what to do about it."""

    cause: str
    evidence: tuple[str, ...]
    advice: str
    pages: int = 0
    """How much memory it explains: the larger comes first."""


def diagnose(report: OomReport, page_size: int, ram_pages: int | None) -> list[Cause]:
    """Return the causes of an out-of-memory event: what limits first, then what fills."""
    figures = figures_of(report, page_size, ram_pages)
    limits = [found for find in _LIMITS if (found := find(report, figures)) is not None]
    limits += [Cause(*found) for found in zone_causes(report, figures)]
    filling = [found for find in _FILLING if (found := find(report, figures)) is not None]
    return limits + sorted(filling, key=lambda cause: -cause.pages)


def _manual(report: OomReport, _figures: Figures) -> Cause | None:
    if not is_manual(report):
        return None
    return Cause(
        "asked for by hand",
        ("order=-1: sysrq-f or a write of f to /proc/sysrq-trigger",),
        "Memory need not have been short. Find who triggers sysrq.",
    )


def _policy(report: OomReport, _figures: Figures) -> Cause | None:
    if report.policy is None:
        return None
    return Cause(
        "a BPF policy decided",
        (f"oom_policy={report.policy}",),
        "The BPF program that is attached as OOM policy asked for the kill: see its rules.",
    )


def _cgroup_limit(report: OomReport, figures: Figures) -> Cause | None:
    usage = report.memcg.usage.get("memory") if report.memcg is not None else None
    if not report.is_memcg:
        return None
    path = report.oom_memcg or "?"
    evidence = [f"the limit hit is that of {path}"]
    if usage is not None:
        evidence.append(
            f"memory: usage {usage.usage_kib}kB, limit {usage.limit_kib}kB, failcnt {usage.failcnt}"
        )
    advice = "Raise its limit, or make what runs in it need less; the machine itself is not full."
    if report.task_memcg not in (None, report.oom_memcg):
        evidence.append(f"the victim was in {report.task_memcg}, below it")
        advice = (
            "The limit is an ancestor's, not the victim's own: all that runs below it counts. "
            "Raise that one, or give its children limits of their own."
        )
    return Cause("a memory cgroup's limit", tuple(evidence), advice, figures.total_pages or 0)


def _cgroup_swap(report: OomReport, _figures: Figures) -> Cause | None:
    usage = report.memcg.usage if report.memcg is not None else {}
    if not report.is_memcg or "memory" not in usage:
        return None
    swap, both = usage.get("swap"), usage.get("memory+swap")
    if swap is not None and swap.usage_kib >= swap.limit_kib:
        text = f"swap: usage {swap.usage_kib}kB, limit {swap.limit_kib}kB"
        return Cause("the cgroup may use no more swap", (text,), "Raise memory.swap.max.")
    if both is not None and both.usage_kib >= both.limit_kib:
        text = f"memory+swap: usage {both.usage_kib}kB, limit {both.limit_kib}kB"
        advice = "Raise memory.memsw.limit_in_bytes: the sum of memory and swap hit its limit."
        return Cause("the cgroup's memory and swap together", (text,), advice)
    return None


def _swap(report: OomReport, figures: Figures) -> Cause | None:
    memory = report.memory
    if memory is None or memory.swap_total_kib is None or is_manual(report) or report.is_memcg:
        return None
    if memory.swap_total_kib == 0:
        return Cause(
            "no swap",
            ("Total swap = 0kB",),
            "Anonymous memory has nowhere to go: some swap (or zram) turns a kill into slowness.",
        )
    free = memory.swap_free_kib
    # What the allocator takes in one cluster for each CPU: less than this is as good as none.
    if free is None or free * 50 > memory.swap_total_kib:
        return None
    return Cause(
        "swap is full",
        (f"Free swap = {free}kB of {memory.swap_total_kib}kB",),
        "More swap only delays it unless the load shrinks: see whose memory it is.",
        figures.pages_of_kib(memory.swap_total_kib - free),
    )


def _share(figures: Figures, name: str, pages: int | None) -> bool:
    return bool(pages and figures.total_pages and pages * 100 >= figures.total_pages * SHARE[name])


def _size(figures: Figures, pages: int) -> str:
    total = figures.total_pages or 0
    share = f", {pages * 100 // total} % of {human(total * figures.page_size)}" if total else ""
    return f"{human(pages * figures.page_size)}{share}"


def _anonymous(report: OomReport, figures: Figures) -> Cause | None:
    pages = figures.anon_pages
    if pages is None or not _share(figures, "anonymous", pages):
        return None
    sums: dict[str, list[int]] = {}
    for row in report.tasks:
        held = row.rss_anon_pages if row.rss_anon_pages is not None else row.rss_pages
        sums.setdefault(row.comm, []).append(held or 0)
    largest = sorted(sums.items(), key=lambda item: -sum(item[1]))[:3]
    evidence = [f"anonymous memory: {_size(figures, pages)}"]
    evidence += [
        f"{name}: {human(sum(held) * figures.page_size)} in {len(held)} processes"
        if len(held) > 1
        else f"{name}: {human(sum(held) * figures.page_size)}"
        for name, held in largest
        if sum(held)
    ]
    advice = "Processes simply use it all: let the largest use less, or give it more memory."
    return Cause("full of processes' own memory", tuple(evidence), advice, pages)


def _shmem(_report: OomReport, figures: Figures) -> Cause | None:
    return _filled(
        figures,
        "shmem",
        figures.counter("shmem"),
        "shared memory and tmpfs",
        "Files in tmpfs (/dev/shm, /tmp, /run) and shared segments stay until they are removed: "
        "look there (du, ipcs -m) and set size= on tmpfs mounts.",
    )


def _slab(report: OomReport, figures: Figures) -> Cause | None:
    found = _filled(
        figures,
        "slab",
        figures.counter("slab_unreclaimable"),
        "unreclaimable slab",
        "Kernel objects hold it: see which cache grows (slabtop, /proc/slabinfo); "
        "a driver or a leak of inodes, sockets or cgroups is likely.",
    )
    slabs = report.memory.slabs if report.memory is not None else []
    if found is None or not slabs:
        return found
    top = sorted(slabs, key=lambda slab: -slab.total_kib)[:3]
    return found._replace(
        evidence=found.evidence
        + tuple(f"{slab.name}: {human(slab.total_kib * 1024)}" for slab in top)
    )


def _tables(_report: OomReport, figures: Figures) -> Cause | None:
    return _filled(
        figures,
        "page tables",
        figures.counter("pagetables"),
        "page tables",
        "Many processes map the same large memory: use huge pages for it, or fewer processes.",
    )


def _stacks(_report: OomReport, figures: Figures) -> Cause | None:
    return _filled(
        figures,
        "kernel stacks",
        figures.counter("kernel_stack"),
        "kernel stacks",
        "Too many threads: each takes 16 kB of kernel stack alone.",
    )


def _unevictable(_report: OomReport, figures: Figures) -> Cause | None:
    return _filled(
        figures,
        "unevictable",
        figures.counter("unevictable"),
        "locked memory",
        "mlock(2), mlockall(2), or ramfs hold it: lower RLIMIT_MEMLOCK or lock less.",
    )


def _page_cache(report: OomReport, figures: Figures) -> Cause | None:
    pages = figures.file_pages
    if pages is None or not _share(figures, "page cache", pages) or is_manual(report):
        return None
    dirty = (figures.counter("dirty") or 0) + (figures.counter("writeback") or 0)
    evidence = [f"page cache: {_size(figures, pages)}"]
    if dirty * 4 >= pages:
        evidence.append(f"dirty or in writeback: {_size(figures, dirty)}")
        advice = "It waits for a disk or network: lower vm.dirty_bytes, or look at the device."
        return Cause("page cache that can't be written fast enough", tuple(evidence), advice, pages)
    refaults = figures.events.get(
        "workingset_refault_file", figures.events.get("workingset_refault")
    )
    if report.is_memcg and refaults and refaults > pages:
        evidence.append(f"{refaults} pages were read again after they had been dropped")
        advice = "The limit is below the working set of files: raise it, or read less."
        return Cause("page cache is thrashing", tuple(evidence), advice, pages)
    return None


def _hugepages(report: OomReport, figures: Figures) -> Cause | None:
    pools = report.memory.hugepages if report.memory is not None else []
    idle = sum(figures.pages_of_kib(pool.free * pool.size_kib) for pool in pools)
    held = sum(figures.pages_of_kib(pool.total * pool.size_kib) for pool in pools)
    if not _share(figures, "huge pages", max(idle, held)):
        return None
    evidence = [
        f"node {pool.node}: {pool.total} huge pages of {pool.size_kib}kB, {pool.free} of them free"
        for pool in pools
        if pool.total
    ]
    advice = "Reserved huge pages serve nothing else: lower vm.nr_hugepages where they idle."
    return Cause("memory reserved for huge pages", tuple(evidence), advice, max(idle, held))


def _in_no_counter(_report: OomReport, figures: Figures) -> Cause | None:
    pages = figures.uncounted_pages
    if pages is None or not _share(figures, "in no counter", pages):
        return None
    return Cause(
        "memory that is in no counter",
        (f"{_size(figures, pages)}: RAM less free, page lists, slab, tables, stacks, huge pages",),
        "A balloon of the hypervisor, a driver (GPU, network buffers) or the kernel itself holds "
        "it: no process gives it back.",
        pages,
    )


def _protected(report: OomReport, figures: Figures) -> Cause | None:
    total = sum(row.rss_pages or 0 for row in report.tasks)
    kept = [row for row in report.tasks if (row.oom_score_adj or 0) <= -900]
    held = sum(row.rss_pages or 0 for row in kept)
    if not held or held * 100 < total * SHARE["protected"]:
        return None
    largest = max(kept, key=lambda row: row.rss_pages or 0)
    return Cause(
        "the largest processes are protected",
        (
            f"{len(kept)} processes at oom_score_adj -900 or less hold "
            f"{human(held * figures.page_size)} of {human(total * figures.page_size)}",
            f"largest: {largest.pid} ({largest.comm}) at {largest.oom_score_adj}",
        ),
        "Only small ones are left to kill, which frees little: protect less.",
        held,
    )


def _filled(figures: Figures, name: str, pages: int | None, what: str, advice: str) -> Cause | None:
    if pages is None or not _share(figures, name, pages):
        return None
    return Cause(what, (f"{what}: {_size(figures, pages)}",), advice, pages)


_Find = Callable[[OomReport, Figures], Cause | None]
_LIMITS: tuple[_Find, ...] = (_manual, _policy, _cgroup_limit, _cgroup_swap)
_FILLING: tuple[_Find, ...] = (
    _swap,
    _anonymous,
    _shmem,
    _slab,
    _tables,
    _stacks,
    _unevictable,
    _page_cache,
    _hugepages,
    _in_no_counter,
    _protected,
)
