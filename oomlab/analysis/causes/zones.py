"""Causes that lie in zones: the wrong one is full, blocks are too small, pages are not for all."""

from __future__ import annotations

from ...kernel.gfp import flag_names, may_use_cma
from ...report import OomReport
from ...report_memory import FreeBlocks
from ...units import KIB, human
from .cause import Cause
from .figures import Figures, is_manual
from .watermarks import Room, allowed_nodes, is_allowed, known_zones, room_of, zone_line


def zone_causes(report: OomReport, figures: Figures) -> list[Cause]:
    """Return the causes that lie in zones, none where the report is of no machine-wide request."""
    rooms = _rooms(report, figures)
    allowed = [room for room in rooms if is_allowed(report, room.zone)]
    if not allowed:
        return []
    for find in (_wrong_zone, _cmas, _fragmented, _bound_to_nodes):
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
    return [room_of(report, zone, figures) for zone in known_zones(report)]


def _wrong_zone(
    report: OomReport, _figures: Figures, rooms: list[Room], allowed: list[Room]
) -> Cause | None:
    """All zones that may serve the request are short, and others are not."""
    roomy = [room for room in rooms if room not in allowed and room.is_roomy]
    free = sum(room.zone.fields_kib["free"] for room in roomy)
    lacking = sum(room.zone.fields_kib.get("min", 0) for room in allowed)
    if not all(room.is_short for room in allowed) or free <= lacking:
        return None
    evidence = tuple(zone_line(room) for room in [*allowed[:3], *roomy[:3]])
    if {room.zone.node for room in roomy} - {room.zone.node for room in allowed}:
        evidence += (f"nodes allowed: {allowed_nodes(report)}",)
        advice = "Memory lies free on other nodes: widen the cpuset or the memory policy."
        return Cause("the allowed nodes are full, others are not", evidence, advice)
    trigger = report.trigger
    mask = (trigger.gfp_mask or 0) if trigger is not None else 0
    names = flag_names(mask, trigger.gfp_flags if trigger is not None else None, report.release)
    asked = "|".join(names or ()) or f"{mask:#x}"
    kinds = {room.zone.name for room in roomy}
    advice = f"The request ({asked}) can't use the zones that have room: "
    if "HighMem" in kinds:
        advice += "low memory is short, not memory. A 64-bit kernel, or less in low memory, helps."
    elif kinds <= {"Movable", "Device"}:
        advice += "what is free is for movable pages only. Less ZONE_MOVABLE (movablecore=, hot-plugged memory) helps."  # noqa: E501
    else:
        advice += (
            "a device or its driver asks for memory at low addresses, of which there is little."
        )
    return Cause("a low zone is exhausted, others are not", evidence, advice)


def _cmas(
    _report: OomReport, _figures: Figures, _rooms: list[Room], allowed: list[Room]
) -> Cause | None:
    """Enough is free, but it is CMA's, which lends its pages to movable requests only."""
    if not any(room.is_withheld for room in allowed) or any(room.is_roomy for room in allowed):
        return None
    advice = (
        "CMA (for cameras, video, DMA buffers) lends its pages to movable memory only: reserve "
        "less of it (cma=, CONFIG_CMA_SIZE, the device tree)."
    )
    evidence = tuple(zone_line(room) for room in allowed[:4])
    return Cause("free memory is CMA's, which this request may not use", evidence, advice)


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
    report: OomReport, _figures: Figures, _rooms: list[Room], allowed: list[Room]
) -> Cause | None:
    """The kernel's word is that only some nodes were allowed.

    The dump then leaves the other nodes out, so what is free there is not known.
    """
    if report.constraint not in ("CONSTRAINT_CPUSET", "CONSTRAINT_MEMORY_POLICY"):
        return None
    evidence = (
        f"{report.constraint}, nodes allowed: {allowed_nodes(report) or '?'}",
        *(zone_line(room) for room in allowed[:3]),
    )
    advice = "Only these nodes may serve the request: widen the cpuset or the memory policy."
    return Cause("the allowed nodes are full", evidence, advice)


_MUCH = 2
"""Times the highest watermark: less is what any exit leaves behind for a moment."""


def free_again(report: OomReport, figures: Figures) -> Cause | None:
    """Much more than the highest watermark is free where the request may go, in large blocks."""
    order = report.trigger.order if report.trigger is not None else None
    wanted_kib = _wanted_kib(figures, order or 0)
    allowed = [room for room in _rooms(report, figures) if is_allowed(report, room.zone)]
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
