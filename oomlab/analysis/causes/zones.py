"""Causes that lie in zones: the wrong one is full, blocks are too small, pages are not for all."""

from __future__ import annotations

from ...errors import InputError
from ...kernel.gfp import flag_names, highest_zone, may_use_cma
from ...kernel.release import parse_release
from ...report import OomReport
from ...report_memory import FreeBlocks
from ...units import KIB, human
from .cause import Cause
from .figures import Figures, is_manual
from .watermarks import (
    Room,
    allowed_nodes,
    free_cma_kib,
    is_allowed,
    known_zones,
    room_of,
    zone_line,
)


def zone_causes(report: OomReport, figures: Figures) -> list[Cause]:
    """Return the causes that lie in zones, none where the report is of no machine-wide request."""
    rooms = _rooms(report, figures)
    allowed = [room for room in rooms if is_allowed(report, room.zone)]
    if not allowed:
        cause = _bound_to_nodes(report, figures, rooms, allowed)
        return [] if cause is None else [cause]
    for find in (_wrong_zone, _cmas, _fragmented, _bound_to_nodes, _unspoken_policy):
        cause = find(report, figures, rooms, allowed)
        if cause is not None:
            return [cause]
    return []


def _rooms(report: OomReport, figures: Figures) -> list[Room]:
    """Return the zones as the request saw them, none where no request failed in a zone."""
    trigger = report.trigger
    if report.memory is None or report.is_memcg or is_manual(report) or trigger is None:
        return []
    # A page fault's OOM names no request (gfp_mask 0), so no zone failed it.
    if not trigger.gfp_mask:
        return []
    zones = known_zones(report)
    if any(free_cma_kib(report, zone, figures) is None for zone in zones):
        return []
    return [room_of(report, zone, figures) for zone in zones]


def _wrong_zone(
    report: OomReport, figures: Figures, rooms: list[Room], allowed: list[Room]
) -> Cause | None:
    """All zones that may serve the request are short, and others are not."""
    roomy = [room for room in rooms if room not in allowed and room.is_roomy]
    unlisted = _unlisted_kib(report, figures)
    free = sum(room.zone.fields_kib["free"] for room in roomy) + unlisted
    lacking = sum(room.zone.fields_kib.get("min", 0) for room in allowed)
    if not all(room.is_short for room in allowed) or free <= lacking:
        return None
    evidence = tuple(zone_line(room) for room in [*allowed[:3], *roomy[:3]])
    if unlisted > lacking:
        listed = human((figures.counters["free"] * figures.page_size) - unlisted * KIB)
        where = f"{figures.raw['free']} in all, {listed} of it in the zones that the report lists"
        evidence += (f"{where}: {human(unlisted * KIB)} in others",)
    elsewhere = {room.zone.node for room in roomy} - {room.zone.node for room in allowed}
    if elsewhere or (unlisted > lacking and _leaves_out_nodes(report)):
        nodes = allowed_nodes(report) or ",".join(sorted({str(r.zone.node) for r in allowed}))
        evidence += (f"nodes allowed: {nodes}",)
        advice = "Memory lies free on other nodes: widen the cpuset or the memory policy."
        return Cause("the allowed nodes are full, others are not", evidence, advice)
    advice = _which_zones(report, {room.zone.name for room in roomy})
    return Cause("a low zone is exhausted, others are not", evidence, advice)


_OF_NODES = ("CONSTRAINT_CPUSET", "CONSTRAINT_MEMORY_POLICY")
_HIGHER_ZONES_LEFT_OUT = (6, 1)
"""974f4367dd31 ("mm: reduce noise in show_mem for lowmem allocations")."""


def _leaves_out_nodes(report: OomReport) -> bool:
    """Tell whether what the dump leaves out are nodes: it can't be higher zones."""
    mask = (report.trigger.gfp_mask or 0) if report.trigger is not None else 0
    if report.constraint in _OF_NODES or highest_zone(mask, report.release) == "Movable":
        return True
    return _is_before(report, _HIGHER_ZONES_LEFT_OUT)


def _unlisted_kib(report: OomReport, figures: Figures) -> int:
    """Return what is free in zones that the dump leaves out, in kB.

    They are those that the request could not use: of other nodes (2.6.39 and newer), and from
    6.1 on higher zones. Source: show_free_areas() in mm/show_mem.c.
    """
    free = figures.counter("free")
    zones = report.memory.zones if report.memory is not None else []
    if free is None or not zones or any("free" not in zone.fields_kib for zone in zones):
        return 0
    listed = sum(zone.fields_kib["free"] for zone in zones)
    return max(0, free * figures.page_size // KIB - listed)


def _which_zones(report: OomReport, kinds: set[str]) -> str:
    """Return what to do where zones of these kinds have room; none: they are not listed."""
    trigger = report.trigger
    mask = (trigger.gfp_mask or 0) if trigger is not None else 0
    names = flag_names(mask, trigger.gfp_flags if trigger is not None else None, report.release)
    asked = "|".join(names or ()) or f"{mask:#x}"
    advice = f"The request ({asked}) can't use the zones that have room: "
    if "HighMem" in kinds:
        return f"{advice}low memory is short, not memory. A 64-bit kernel, or less in low memory, helps."  # noqa: E501
    if kinds <= {"Movable", "Device"}:
        return f"{advice}what is free is for movable pages only. Less ZONE_MOVABLE (movablecore=, hot-plugged memory) helps."  # noqa: E501
    return f"{advice}a device or its driver asks for memory at low addresses, of which there is little."  # noqa: E501


def _cmas(
    _report: OomReport, figures: Figures, _rooms: list[Room], allowed: list[Room]
) -> Cause | None:
    """Enough is free, but it is CMA's, which lends its pages to movable requests only."""
    if not any(room.is_withheld for room in allowed) or any(room.is_roomy for room in allowed):
        return None
    advice = (
        "CMA (for cameras, video, DMA buffers) lends its pages to movable memory only: reserve "
        "less of it (cma=, CONFIG_CMA_SIZE, the device tree)."
    )
    evidence = tuple(zone_line(room) for room in allowed[:4])
    pages = figures.pages_of_kib(sum(room.withheld for room in allowed))
    return Cause("free memory is CMA's, which this request may not use", evidence, advice, pages)


def _fragmented(
    report: OomReport, figures: Figures, _rooms: list[Room], allowed: list[Room]
) -> Cause | None:
    """Enough is free, but no block of the order asked for that the request may take."""
    order = report.trigger.order if report.trigger is not None else None
    listed = [room for room in allowed if room.zone.free_blocks is not None]
    if not order or order < 1 or len(listed) < len(allowed):
        return None
    wanted_kib = _wanted_kib(figures, order)
    cma = report.trigger is not None and may_use_cma(
        report.trigger.gfp_mask or 0, report.trigger.gfp_flags, report.release
    )
    enough = [room for room in listed if not room.is_short]
    if not enough or any(_block(room, wanted_kib, cma) for room in enough):
        return None
    evidence = [f"no free block of order {order}: {human(wanted_kib * KIB)} in one piece"]
    for room in enough[:3]:
        sizes = [b.size_kib for b in room.zone.free_blocks or () if b.number and _serves(b, cma)]
        evidence += [
            f"{zone_line(room)}; largest free block {max(sizes, default=0)}kB",
            _blocks(room),
        ]
    if any(set(b.types) & set("HC") for room in enough for b in room.zone.free_blocks or ()):
        evidence.append("blocks of (H) are kept for atomic requests, of (C) for movable ones")
    advice = (
        "Free memory is in too small pieces: raise vm.min_free_kbytes, ask for smaller pieces, "
        "or write 1 to /proc/sys/vm/compact_memory."
    )
    if any(note.startswith("COMPACTION is disabled") for note in report.notes):
        advice = "The kernel is built without CONFIG_COMPACTION, which would join free pages."
    return Cause("fragmentation", tuple(evidence), advice)


def _wanted_kib(figures: Figures, order: int) -> int:
    """Return the size of one block of an order; -1 is that of a kill asked for by hand."""
    return (figures.page_size << min(max(order, 0), 64)) // KIB


def _block(room: Room, wanted_kib: int, cma: bool) -> bool:
    """Tell whether a zone has a block that will do."""
    blocks = room.zone.free_blocks or ()
    return any(b.size_kib >= wanted_kib and b.number and _serves(b, cma) for b in blocks)


def _serves(block: FreeBlocks, cma: bool) -> bool:
    """Tell whether a request may take such blocks: H, I and (mostly) C are for others."""
    others = set("HI") if cma else set("HIC")
    return not block.types or bool(set(block.types) - others)


def _blocks(room: Room) -> str:
    zone = room.zone
    listed = " ".join(
        f"{b.number}*{b.size_kib}kB" + (f" ({b.types})" if b.types else "")
        for b in zone.free_blocks or ()
    )
    return f"{zone.name if zone.node is None else f'Node {zone.node} {zone.name}'}: {listed}"


def _bound_to_nodes(
    report: OomReport, figures: Figures, _rooms: list[Room], allowed: list[Room]
) -> Cause | None:
    """The kernel's word is that only some nodes were allowed.

    The dump then leaves the other nodes out, so what is free there is not known. It lists no
    zone at all where the allowed nodes have no memory (any more).
    """
    if report.constraint not in _OF_NODES:
        return None
    evidence = (
        f"{report.constraint}, nodes allowed: {allowed_nodes(report) or '?'}",
        *(zone_line(room) for room in allowed[:3]),
    )
    free = figures.counter("free")
    if not allowed and free is not None:
        in_all = human(free * figures.page_size)
        evidence += (f"no zone of theirs is listed; {figures.raw['free']} in all: {in_all}",)
    advice = "Only these nodes may serve the request: widen the cpuset or the memory policy."
    return Cause("the allowed nodes are full", evidence, advice)


_POLICY_IS_TOLD = (4, 9)
"""From here on the report's first line has the nodes that the request was bound to."""


def _unspoken_policy(
    report: OomReport, _figures: Figures, _rooms: list[Room], allowed: list[Room]
) -> Cause | None:
    """A node is full and another is not, of a kernel that does not print the memory policy."""
    nodes = {room.zone.node for room in allowed}
    full = {n for n in nodes if all(room.is_short for room in allowed if room.zone.node == n)}
    roomy = [room for room in allowed if room.is_roomy and room.zone.node not in full]
    if not full or not roomy or not _is_before(report, _POLICY_IS_TOLD):
        return None
    short = [room for room in allowed if room.zone.node in full]
    advice = (
        "A request that may use all nodes would have gone there: it was bound to the full ones by "
        "a memory policy (numactl, mbind), which reports before 4.9 don't tell. Widen it."
    )
    evidence = tuple(zone_line(room) for room in [*short[:3], *roomy[:3]])
    return Cause("a node is full, another is not", evidence, advice)


def _is_before(report: OomReport, series: tuple[int, int]) -> bool:
    try:
        return parse_release(report.release or "").series < series
    except InputError:
        return False


_MUCH = 2
"""Times the highest watermark: less is what any exit leaves behind for a moment."""


def free_again(report: OomReport, figures: Figures) -> Cause | None:
    """Much more than the highest watermark is free where the request may go, in large blocks."""
    order = report.trigger.order if report.trigger is not None else None
    wanted_kib = _wanted_kib(figures, order or 0)
    rooms = _rooms(report, figures)
    allowed = [room for room in rooms if is_allowed(report, room.zone)]
    if _unspoken_policy(report, figures, rooms, allowed) is not None:
        return None
    roomy = [
        room
        for room in allowed
        if room.usable > _MUCH * room.high
        and (room.zone.free_blocks is None or _block(room, wanted_kib, False))
    ]
    if not roomy:
        return None
    return Cause(
        "enough was free again when the report was printed",
        tuple(zone_line(room) for room in roomy[:3]),
        "Something freed memory in between, another kill perhaps (see the events before), or the "
        "kernel gave up too early, as some releases do.",
    )
