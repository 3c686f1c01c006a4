"""Zones as a request sees them: which it may use, how much of them, how much must be left.

A zone serves a request if more is free than its ``min`` and what it keeps from requests that
could use a higher zone, pages that the request may not use left out; and then only if some block
is large enough. Source: __zone_watermark_ok() in mm/page_alloc.c.
"""

from __future__ import annotations

from typing import NamedTuple

from ...kernel.gfp import highest_zone, may_use_cma
from ...report import OomReport, parse_list
from ...report_memory import Zone
from ...units import KIB
from .figures import Figures

_KINDS = ("DMA", "DMA32", "Normal", "HighMem", "Movable", "Device")


class Room(NamedTuple):
    """One zone as the request sees it; sizes in kB."""

    zone: Zone
    usable: int
    """Free, less what the request may not use, and less all but one page of what it asks for."""
    needed: int
    """``min`` and the reserve that is kept from this request."""
    withheld: int = 0
    """Free, but CMA's, which this request may not use."""

    @property
    def is_short(self) -> bool:
        """Tell whether the watermark keeps the request out."""
        return self.usable <= self.needed

    @property
    def high(self) -> int:
        """What the allocator asks for in its last look before a kill: the ``high`` watermark."""
        fields = self.zone.fields_kib
        return max(self.needed, fields.get("high", 0) + self.needed - fields.get("min", 0))

    @property
    def is_roomy(self) -> bool:
        """Tell whether more than the highest watermark is free."""
        return self.usable > self.high

    @property
    def is_withheld(self) -> bool:
        """Tell whether a watermark keeps it out only because of pages that it may not use."""
        with_all = self.usable + self.withheld
        return self.usable <= self.needed < with_all or self.usable <= self.high < with_all


def known_zones(report: OomReport) -> list[Zone]:
    """Return the zones whose line is there, those without memory left out."""
    zones = report.memory.zones if report.memory is not None else []
    return [
        zone
        for zone in zones
        if "free" in zone.fields_kib
        and zone.fields_kib.get("managed", zone.fields_kib.get("present", 1)) > 0
    ]


def room_of(report: OomReport, zone: Zone, figures: Figures) -> Room:
    """Return how much of a zone the request may use, and how much must be left."""
    fields, trigger = zone.fields_kib, report.trigger
    order = trigger.order if trigger is not None else None
    # What is left must lie above the watermark once the request is served but for one page.
    usable = fields["free"] - ((1 << min(max(order or 0, 0), 32)) - 1) * figures.page_size // KIB
    withheld = 0
    mask = (trigger.gfp_mask or 0) if trigger is not None else 0
    if trigger is not None and not may_use_cma(mask, trigger.gfp_flags, report.release):
        withheld = free_cma_kib(report, zone, figures) or 0
    reserve = reserve_pages(report, zone) * figures.page_size // KIB
    return Room(zone, usable - withheld, fields.get("min", 0) + reserve, withheld)


def free_cma_kib(report: OomReport, zone: Zone, figures: Figures) -> int | None:
    """Return how much of a zone's free memory is CMA's, None where that is cut off its line."""
    total = figures.counter("free_cma")
    if "free_cma" in zone.fields_kib or not total:
        return zone.fields_kib.get("free_cma", 0)
    others = [other.fields_kib for other in known_zones(report) if other is not zone]
    if any("free_cma" not in fields for fields in others):
        return None
    return total * figures.page_size // KIB - sum(fields["free_cma"] for fields in others)


def reserve_pages(report: OomReport, zone: Zone) -> int:
    """Return the lowmem_reserve of a zone against the kind of request that the report is of.

    The list has one number for each kind of zone, unpopulated ones too, which repeat the one
    before: the numbers that differ belong to the kinds that the report lists.
    """
    reserve = zone.lowmem_reserve_pages
    if not reserve or zone.name not in _KINDS:
        return 0
    highest = _KINDS.index(_highest(report))
    listed = {z.name for z in (report.memory.zones if report.memory is not None else [])}
    own = _KINDS.index(zone.name)
    above = [k for k in _KINDS[own + 1 : highest + 1] if k in listed]
    steps = list(dict.fromkeys(reserve))
    if steps[0] != 0:
        return max(reserve)
    return steps[min(len(above), len(steps) - 1)]


def _highest(report: OomReport) -> str:
    mask = (report.trigger.gfp_mask or 0) if report.trigger is not None else 0
    return highest_zone(mask, report.release)


def is_allowed(report: OomReport, zone: Zone) -> bool:
    """Tell whether the request could have been served from ``zone``.

    By its gfp flags (which kinds of zones), its nodemask and the cpuset's nodes.
    """
    if zone.node is not None:
        nodes = allowed_nodes(report)
        if nodes and zone.node not in parse_list(nodes):
            return False
    kind = _KINDS.index(zone.name) if zone.name in _KINDS else _KINDS.index("Normal")
    return kind <= _KINDS.index(_highest(report))


def allowed_nodes(report: OomReport) -> str | None:
    """Return the list of nodes that the request was bound to, None where it was bound to none."""
    nodemask = report.trigger.nodemask if report.trigger is not None else None
    return nodemask or (report.summary.nodemask if report.summary else None) or report.mems_allowed


def zone_line(room: Room) -> str:
    """Return a zone's line, the fields that matter, as the log has it."""
    zone, fields = room.zone, room.zone.fields_kib
    where = zone.name if zone.node is None else f"Node {zone.node} {zone.name}"
    kept = room.needed - fields.get("min", 0)
    names = ("free", "min", "low", "high", "free_cma")
    shown = [
        f"{name}:{fields[name]}kB"
        for name in names
        if name in fields and (fields[name] or name in ("free", "min"))
    ]
    return f"{where} {' '.join(shown)}" + (f", lowmem_reserve {kept}kB" if kept else "")
