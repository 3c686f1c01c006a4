"""Which zone could not serve the request, and the figures that a diagnosis rests on."""

from __future__ import annotations

from dataclasses import dataclass

from ..report import OomReport, parse_list
from ..report_memory import Zone
from ..units import human

_EVENTS = ("workingset_refault_file", "workingset_refault", "workingset_refault_anon")
_RANK = {"DMA": 0, "DMA32": 1, "Normal": 2, "HighMem": 3, "Movable": 4, "Device": 5}
_UNLIMITED_KIB = 1 << 52


@dataclass(frozen=True, slots=True)
class Figures:
    """Counters of the machine, or of the memory cgroup that ran out, in pages."""

    page_size: int
    total_pages: int | None
    """RAM, or the cgroup's limit."""
    counters: dict[str, int]
    events: dict[str, int]
    anon_pages: int | None
    file_pages: int | None
    uncounted_pages: int | None

    def counter(self, name: str) -> int | None:
        """Return a counter in pages, None where the report does not tell it."""
        return self.counters.get(name)

    def pages_of_kib(self, kib: int) -> int:
        """Return kB in pages."""
        return kib * 1024 // self.page_size


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
    memory = report.memory
    counters = dict(memory.totals_pages) if memory is not None else {}
    nodes = memory.nodes_kib.values() if memory is not None else ()
    zones = memory.zones if memory is not None else []
    for name in ("kernel_stack", "mlocked", "unevictable", "sec_pagetables"):
        kib = [fields[name] for fields in nodes if name in fields]
        kib = kib or [zone.fields_kib[name] for zone in zones if name in zone.fields_kib]
        if kib and name not in counters:
            counters[name] = sum(kib) * 1024 // page_size
    anon = _sum(counters, "active_anon", "inactive_anon")
    shmem = counters.get("shmem")
    return Figures(
        page_size,
        ram_pages,
        counters,
        {},
        None if anon is None else max(0, anon - (shmem or 0)),
        _sum(counters, "active_file", "inactive_file"),
        _uncounted(report, counters, page_size, ram_pages),
    )


def _sum(counters: dict[str, int], *names: str) -> int | None:
    return sum(counters[name] for name in names) if all(n in counters for n in names) else None


def _uncounted(
    report: OomReport, counters: dict[str, int], page_size: int, ram_pages: int | None
) -> int | None:
    """Return the pages of RAM that no counter of the dump holds."""
    lists = _sum(
        counters,
        "active_anon",
        "inactive_anon",
        "active_file",
        "inactive_file",
        "unevictable",
        "free",
        "slab_reclaimable",
        "slab_unreclaimable",
        "pagetables",
    )
    if lists is None or ram_pages is None or report.memory is None:
        return None
    more = sum(
        counters.get(name, 0)
        for name in (
            "isolated_anon",
            "isolated_file",
            "kernel_stack",
            "sec_pagetables",
            "free_pcp",
            "kernel_misc_reclaimable",
            "bounce",
        )
    )
    huge = sum(pool.total * pool.size_kib for pool in report.memory.hugepages) * 1024 // page_size
    return max(0, ram_pages - lists - more - huge)


def _memcg_figures(report: OomReport, page_size: int) -> Figures:
    state = report.memcg
    stats = dict(state.stats.get(report.oom_memcg or "", {})) if state is not None else {}
    if state is not None and not stats and len(state.stats) == 1:
        stats = dict(next(iter(state.stats.values())))
    limit = state.usage.get("memory") if state is not None else None
    total = None
    if limit is not None and limit.limit_kib < _UNLIMITED_KIB:
        total = limit.limit_kib * 1024 // page_size
    stats = {name.removeprefix("total_"): value for name, value in stats.items()} | {
        name: value for name, value in stats.items() if name.startswith("total_")
    }
    counters = {name: value // page_size for name, value in stats.items()}
    anon = counters.get("anon", counters.get("rss"))
    cache = counters.get("file", counters.get("cache"))
    shmem = counters.get("shmem", 0)
    return Figures(
        page_size,
        total,
        counters,
        {name: stats[name] for name in _EVENTS if name in stats},
        anon,
        None if cache is None else max(0, cache - shmem),
        None,
    )


def zone_causes(report: OomReport, figures: Figures) -> list[tuple[str, tuple[str, ...], str, int]]:
    """Return causes that lie in zones: the wrong one full, or blocks too small."""
    if report.memory is None or report.is_memcg or is_manual(report) or report.trigger is None:
        return []
    zones = [zone for zone in report.memory.zones if "free" in zone.fields_kib]
    if any(zone.free_blocks is None for zone in zones):
        zones = [zone for zone in zones if zone.free_blocks is not None] or zones
    allowed = [zone for zone in zones if is_allowed(report, zone)]
    found = [_fragmented(report, allowed, figures), _wrong_zone(report, zones, allowed, figures)]
    if found[1] is None:
        found.append(_bound_to_nodes(report, allowed))
    return [cause for cause in found if cause is not None]


def is_allowed(report: OomReport, zone: Zone) -> bool:
    """Tell whether the request could have been served from ``zone``.

    By its gfp flags (which zones), its nodemask and the cpuset's nodes. A movable request may
    use all zones, __GFP_HIGHMEM those up to HighMem, __GFP_DMA32 and __GFP_DMA the low ones.
    """
    trigger = report.trigger
    mask = trigger.gfp_mask if trigger is not None else 0
    highest = _RANK["Normal"]
    if mask & 0x02:
        highest = _RANK["Movable"] if mask & 0x08 else _RANK["HighMem"]
    elif mask & 0x01:
        highest = _RANK["DMA"]
    elif mask & 0x04:
        highest = _RANK["DMA32"]
    nodemask = trigger.nodemask if trigger is not None else None
    nodes = nodemask or (report.summary.nodemask if report.summary else None) or report.mems_allowed
    node_fits = zone.node is None or not nodes or zone.node in parse_list(nodes)
    return node_fits and _RANK.get(zone.name, 2) <= highest


def _is_short(zone: Zone, reserve_kib: int) -> bool:
    fields = zone.fields_kib
    return fields["free"] < fields.get("min", 0) + reserve_kib


def _reserve_kib(zone: Zone, figures: Figures) -> int:
    """Return what the zone keeps from requests that could use a higher one."""
    return max(zone.lowmem_reserve_pages or (0,)) * figures.page_size // 1024


def _line(zone: Zone) -> str:
    where = zone.name if zone.node is None else f"node {zone.node} {zone.name}"
    fields = zone.fields_kib
    return f"{where}: free {fields['free']}kB, min {fields.get('min', '?')}kB"


def _wrong_zone(
    report: OomReport, zones: list[Zone], allowed: list[Zone], figures: Figures
) -> tuple[str, tuple[str, ...], str, int] | None:
    """Say so where all zones that may serve the request are short, and others are not."""
    others = [zone for zone in zones if zone not in allowed]
    roomy = [
        z
        for z in others
        if z.fields_kib["free"] > z.fields_kib.get("high", 0)
        and z.fields_kib.get("managed", z.fields_kib.get("present", 0)) > 0
    ]
    room = sum(zone.fields_kib["free"] for zone in roomy)
    short = [zone for zone in allowed if _is_short(zone, _reserve_kib(zone, figures))]
    lacking = sum(zone.fields_kib.get("min", 0) for zone in allowed)
    if not allowed or len(short) < len(allowed) or room <= lacking:
        return None
    nodes = {zone.node for zone in roomy} - {zone.node for zone in allowed}
    evidence = tuple(_line(zone) for zone in [*allowed[:3], *roomy[:3]])
    if nodes:
        advice = "Memory lies free on other nodes: widen the cpuset or the memory policy."
        return "the allowed nodes are full, others are not", evidence, advice, room
    flags = "|".join(report.trigger.gfp_flags or ()) if report.trigger else ""
    advice = (
        f"The request ({flags or 'its gfp_mask'}) can't use the zones that have room: low memory "
        "is short, not memory. A 64-bit kernel, or less in low memory, helps."
    )
    return "a low zone is exhausted, others are not", evidence, advice, room


def _bound_to_nodes(
    report: OomReport, allowed: list[Zone]
) -> tuple[str, tuple[str, ...], str, int] | None:
    """Say so where the kernel's word is that only some nodes were allowed.

    The dump then leaves the other nodes out, so what is free there is not known.
    """
    if report.constraint not in ("CONSTRAINT_CPUSET", "CONSTRAINT_MEMORY_POLICY"):
        return None
    summary = report.summary
    nodes = (summary.nodemask if summary is not None else None) or report.mems_allowed
    evidence = (
        f"{report.constraint}, nodes allowed: {nodes or '?'}",
        *(_line(zone) for zone in allowed[:3]),
    )
    advice = "Only these nodes may serve the request: widen the cpuset or the memory policy."
    return "the allowed nodes are full", evidence, advice, 0


def _fragmented(
    report: OomReport, allowed: list[Zone], figures: Figures
) -> tuple[str, tuple[str, ...], str, int] | None:
    """Say so where enough is free, but no block of the order asked for."""
    order = report.trigger.order if report.trigger is not None else None
    listed = [zone for zone in allowed if zone.free_blocks is not None]
    if not order or order < 1 or not listed or len(listed) < len(allowed):
        return None
    wanted_kib = (figures.page_size << order) // 1024
    enough = [z for z in listed if not _is_short(z, _reserve_kib(z, figures))]
    usable = [
        b
        for zone in enough
        for b in zone.free_blocks or ()
        if b.size_kib >= wanted_kib and b.number and set(b.types or "M") - set("HCI")
    ]
    if not enough or usable:
        return None
    evidence = [f"order {order}: {human(wanted_kib * 1024)} in one piece"]
    evidence += [
        f"{_line(zone)}, largest free block "
        f"{max((b.size_kib for b in zone.free_blocks or () if b.number), default=0)}kB"
        for zone in enough[:3]
    ]
    advice = (
        "Free memory is in too small pieces: raise vm.min_free_kbytes, ask for smaller pieces, "
        "or write 1 to /proc/sys/vm/compact_memory."
    )
    return "fragmentation", tuple(evidence), advice, 0
