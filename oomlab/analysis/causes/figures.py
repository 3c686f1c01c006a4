"""The figures that a diagnosis rests on: of the machine, or of the memory cgroup that ran out."""

from __future__ import annotations

from dataclasses import dataclass

from ...report import OomReport
from ...report_memory import UNLIMITED_KIB, MemoryState
from ...units import kib_to_pages

_OF_NODES = (
    "kernel_stack",
    "unevictable",
    "sec_pagetables",
    "Balloon",
    "gpu_active",
    "gpu_reclaim",
)
_OF_ZONES = ("kernel_stack", "unevictable", "mlocked", "zspages")
_LISTS = ("active_anon", "inactive_anon", "active_file", "inactive_file", "unevictable")
_OLD_LISTS = ("active", "inactive")
_SLAB = ("slab_reclaimable", "slab_unreclaimable")
_MORE = (
    "isolated_anon",
    "isolated_file",
    "kernel_stack",
    "sec_pagetables",
    "free_pcp",
    "kernel_misc_reclaimable",
    "bounce",
    "gpu_active",
    "gpu_reclaim",
    "zspages",
)
"""Counters beside the page lists, free pages, slab and page tables; none of them overlap."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Counters of the place that ran out, in pages."""

    page_size: int
    is_machine: bool
    total_pages: int | None
    """RAM, or the cgroup's limit."""
    counters: dict[str, int]
    raw: dict[str, str]
    """The same counters as the log writes them."""
    events: dict[str, int]
    """Counts of events of a memory cgroup: no sizes."""
    anon_pages: int | None
    file_pages: int | None
    uncounted_pages: int | None
    """What is left when all counters are taken from RAM, or from the cgroup's usage."""
    present_pages: int | None = None
    """All pages of the machine, with those that were never RAM to the allocator, or no more."""
    balloon_is_outside: bool = False
    """The balloon's pages were taken out of RAM, so that RAM is what the guest has left."""

    def counter(self, name: str) -> int | None:
        """Return a counter in pages, None where the report does not tell it."""
        return self.counters.get(name)

    def pages_of_kib(self, kib: int) -> int:
        """Return kB in pages."""
        return kib_to_pages(kib, self.page_size)

    def words(self, *names: str) -> str:
        """Return counters as the log writes them, those that it has."""
        return " ".join(self.raw[name] for name in names if name in self.raw)


def is_manual(report: OomReport) -> bool:
    """Tell whether somebody asked for the kill (sysrq-f)."""
    order = report.trigger.order if report.trigger is not None else None
    return (
        order == -1
        or any("Manual OOM execution" in note for note in report.notes)
        or (any("moom_callback" in frame for frame in report.stack))
    )


def figures_of(report: OomReport, page_size: int, ram_pages: int | None) -> Figures:
    """Return what the report tells of the place that ran out."""
    if report.is_memcg:
        return _memcg_figures(report, page_size)
    return _machine_figures(report, page_size, ram_pages)


def _machine_figures(report: OomReport, page_size: int, ram_pages: int | None) -> Figures:
    memory = report.memory or MemoryState()
    counters = dict(memory.totals_pages)
    raw = {name: f"{name}:{pages}" for name, pages in counters.items()}
    of_zones = [zone.fields_kib for zone in memory.zones]
    for names, places in ((_OF_NODES, list(memory.nodes_kib.values())), (_OF_ZONES, of_zones)):
        for name in names:
            kib = [fields[name] for fields in places if name in fields]
            if kib and name not in counters:
                counters[name] = kib_to_pages(sum(kib), page_size)
                raw[name] = f"{name}:{sum(kib)}kB"
    anon = _sum(counters, "active_anon", "inactive_anon")
    uncounted = _uncounted(memory, counters, page_size, ram_pages)
    balloon = counters.get("Balloon", 0)
    # Most drivers take the pages out of RAM (adjust_managed_page_count()), some leave them in.
    is_inside = uncounted is not None and uncounted > balloon // 2
    if uncounted is not None and is_inside:
        uncounted -= balloon
    return Figures(
        page_size=page_size,
        is_machine=True,
        total_pages=ram_pages,
        counters=counters,
        raw=raw,
        events={},
        anon_pages=None if anon is None else max(0, anon - counters.get("shmem", 0)),
        file_pages=_sum(counters, "active_file", "inactive_file"),
        uncounted_pages=None if uncounted is None else max(0, uncounted),
        present_pages=_present(memory, page_size, ram_pages),
        balloon_is_outside=not is_inside,
    )


def _sum(counters: dict[str, int], *names: str) -> int | None:
    return sum(counters[name] for name in names) if all(n in counters for n in names) else None


def _present(memory: MemoryState, page_size: int, ram_pages: int | None) -> int | None:
    """Return all pages that the machine has: what its zones add up to where all are listed."""
    zones = [zone.fields_kib for zone in memory.zones if "managed" in zone.fields_kib]
    managed_kib = sum(fields["managed"] for fields in zones)
    if zones and ram_pages is not None and kib_to_pages(managed_kib, page_size) >= ram_pages:
        return kib_to_pages(sum(fields.get("present", 0) for fields in zones), page_size)
    return memory.counts_pages.get("pages RAM", memory.counts_pages.get("pages of RAM"))


def _uncounted(
    memory: MemoryState, counters: dict[str, int], page_size: int, ram_pages: int | None
) -> int | None:
    """Return the pages of RAM that no counter of the dump holds but the balloon's.

    Below 0 where counters overlap or move.
    """
    lists = _sum(counters, *_LISTS) if "active_anon" in counters else _sum(counters, *_OLD_LISTS)
    slab = _sum(counters, *_SLAB) if "slab" not in counters else counters["slab"]
    rest = _sum(counters, "free", "pagetables")
    if lists is None or slab is None or rest is None or ram_pages is None:
        return None
    more = sum(counters.get(name, 0) for name in _MORE)
    huge_kib = sum(pool.total * pool.size_kib for pool in memory.hugepages)
    return ram_pages - lists - slab - rest - more - kib_to_pages(huge_kib, page_size)


def _memcg_figures(report: OomReport, page_size: int) -> Figures:
    state = report.memcg
    stats = _own_stats(report)
    usage = state.usage.get("memory") if state is not None else None
    total = None
    if usage is not None and usage.limit_kib < UNLIMITED_KIB:
        total = kib_to_pages(usage.limit_kib, page_size)
    counters = {name: value // page_size for name, value in stats.items()}
    counters["unevictable"] = counters.get("unevictable", 0)
    kmem = state.usage.get("kmem") if state is not None else None
    raw = {name: f"{name} {value}" for name, value in stats.items()}
    if kmem is not None:
        counters["kmem"] = kib_to_pages(kmem.usage_kib, page_size)
        raw["kmem"] = f"kmem: usage {kmem.usage_kib}kB"
    cache = counters.get("file", counters.get("cache"))
    used = None if usage is None else kib_to_pages(usage.usage_kib, page_size)
    return Figures(
        page_size=page_size,
        is_machine=False,
        total_pages=total,
        counters=counters,
        raw=raw,
        events={name: value for name, value in stats.items() if name.startswith("workingset_")},
        anon_pages=counters.get("anon", counters.get("rss")),
        file_pages=None if cache is None else max(0, cache - counters.get("shmem", 0)),
        uncounted_pages=_uncharged(counters, used),
    )


def _own_stats(report: OomReport) -> dict[str, int]:
    """Return the statistics of the cgroup whose limit was hit, with all below it.

    3.9 to 5.2 print one line for each cgroup, without those below; later v1 has a total of each.
    """
    state = report.memcg
    if state is None or not state.stats:
        return {}
    if len(state.stats) == 1:
        stats = next(iter(state.stats.values()))
        totals = {n.removeprefix("total_"): v for n, v in stats.items() if n.startswith("total_")}
        return stats | totals
    summed: dict[str, int] = {}
    for stats in state.stats.values():
        for name, value in stats.items():
            summed[name] = summed.get(name, 0) + value
    return summed


def _uncharged(counters: dict[str, int], used: int | None) -> int | None:
    """Return what a cgroup's usage holds beyond its statistics."""
    held = _sum(counters, "rss", "cache") if "rss" in counters else _sum(counters, "anon", "file")
    if held is None or used is None:
        return None
    kernel = counters.get("kernel", counters.get("kmem"))
    if kernel is None:
        names = ("slab", "kernel_stack", "pagetables", "percpu", "sec_pagetables", "vmalloc")
        kernel = sum(counters.get(name, 0) for name in names)
        if "slab" not in counters:
            kernel += sum(counters.get(name, 0) for name in _SLAB)
    return max(0, used - held - kernel - counters.get("sock", 0) - counters.get("zswap", 0))
