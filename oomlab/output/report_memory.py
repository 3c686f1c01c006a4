"""What a report says of memory, as JSON has it: in bytes, counts as counts."""

from __future__ import annotations

from typing import Any

from ..report import OomReport
from ..report_memory import MemcgState, MemoryState, Zone
from ..units import KIB, kib_to_bytes

_COUNTS = frozenset({"pages_scanned"})
"""Fields of zones and nodes that are counts, not sizes."""


def memory_entry(report: OomReport, page_size: int) -> dict[str, Any]:
    """Return the machine's and the memory cgroups' block; empty where the report has neither."""
    found: dict[str, Any] = {}
    if report.memory is not None:
        found |= _machine_entry(report.memory, page_size)
    if report.memcg is not None:
        found["memcg"] = _memcg_entry(report.memcg)
    return found


def _machine_entry(memory: MemoryState, size: int) -> dict[str, Any]:
    return {
        "totals": {name: pages * size for name, pages in memory.totals_pages.items()},
        "nodes": {
            str(number): _bytes_of(fields) | {"all_unreclaimable": number in memory.stuck_nodes}
            for number, fields in memory.nodes_kib.items()
        },
        "zones": [_zone_entry(zone, size) for zone in memory.zones],
        "hugepages": [
            {
                "node": pool.node,
                "total": pool.total,
                "free": pool.free,
                "surplus": pool.surplus,
                "size_bytes": pool.size_kib * KIB,
            }
            for pool in memory.hugepages
        ],
        "pages": memory.counts_pages,
        "free_bytes": kib_to_bytes(memory.free_kib),
        "free_highmem_bytes": kib_to_bytes(memory.free_highmem_kib),
        "swap_free_bytes": kib_to_bytes(memory.swap_free_kib),
        "swap_total_bytes": kib_to_bytes(memory.swap_total_kib),
        "swap_cache": memory.swap_cache,
        "slabs": [
            {"name": s.name, "used_bytes": s.used_kib * KIB, "total_bytes": s.total_kib * KIB}
            for s in memory.slabs
        ],
        "allocations": [row._asdict() for row in memory.allocations],
        "per_cpu": [
            {"node": node, "zone": zone, "cpu": cpu, "pages": fields}
            for (node, zone), rows in memory.per_cpu.items()
            for cpu, fields in rows
        ],
    }


def _memcg_entry(memcg: MemcgState) -> dict[str, Any]:
    return {
        "usage": {
            name: {
                "usage_bytes": u.usage_kib * KIB,
                "limit_bytes": u.limit_kib * KIB,
                "failcnt": u.failcnt,
            }
            for name, u in memcg.usage.items()
        },
        "stats": memcg.stats,
        "min_protection_bytes": kib_to_bytes(memcg.min_protection_kib),
        "low_protection_bytes": kib_to_bytes(memcg.low_protection_kib),
    }


def _zone_entry(zone: Zone, page_size: int) -> dict[str, Any]:
    reserve, blocks = zone.lowmem_reserve_pages, zone.free_blocks
    return {
        "node": zone.node,
        "zone": zone.name,
        "fields": _bytes_of(zone.fields_kib),
        "all_unreclaimable": zone.all_unreclaimable,
        "lowmem_reserve_bytes": None if reserve is None else [n * page_size for n in reserve],
        "free_blocks": None
        if blocks is None
        else [
            {"count": b.number, "size_bytes": b.size_kib * KIB, "types": b.types} for b in blocks
        ],
        "free_blocks_bytes": kib_to_bytes(zone.free_total_kib),
        "largest_free_block_bytes": None
        if blocks is None
        else max((b.size_kib for b in blocks if b.number), default=0) * KIB,
    }


def _bytes_of(fields: dict[str, int]) -> dict[str, int]:
    return {name: v if name in _COUNTS else v * KIB for name, v in fields.items()}
