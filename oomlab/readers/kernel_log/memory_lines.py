"""The Mem-Info block: counters, nodes, zones, free lists, huge pages, swap, slab."""

from __future__ import annotations

import re

from ...report import OomReport
from ...report_memory import Allocation, FreeBlocks, HugePages, PerCpu, Slab, Zone
from .handling import Handlers, Match, memory_of, note, number
from .lines import FIELDS

_BLOCK = re.compile(r"(\d+)\* ?(\d+)kB(?: \(([A-Z]+)\))?")
_PER_CPU_ZONE = re.compile(r"(?:Node (\d+) )?(\w+) per-cpu:")
_PER_CPU = re.compile(r"(?i:cpu) +(\d+)")
_PER_CPU_FIELD = re.compile(r"([Hh]ot|[Cc]old):|(low|high|batch|used|hi|btch|usd)[: ] *(\d+)")
_STUCK = re.compile(r"all_unreclaimable\? (yes|no)")


def _begin(report: OomReport, _m: Match) -> None:
    memory_of(report)


def _free_pages(report: OomReport, m: Match) -> None:
    memory = memory_of(report)
    memory.free_kib, memory.free_highmem_kib = int(m["free"]), int(m["high"])


_TOTAL = re.compile(r"([A-Za-z_]+):? ?(\d+)")
"""2.6.28 forgot a colon: ``inactive_anon18042``."""


def _totals(report: OomReport, m: Match) -> None:
    memory_of(report).totals_pages |= {n.lower(): int(v) for n, v in _TOTAL.findall(m["fields"])}


def _per_cpu(report: OomReport, m: Match) -> None:
    per_cpu, zone = memory_of(report).per_cpu, _PER_CPU_ZONE.match(m[0])
    if zone is not None:
        per_cpu[number(zone[1]), zone[2]] = []
        return
    cpu = _PER_CPU.match(m[0])
    if cpu is None or not per_cpu:
        return
    kind, fields = "", {}
    for list_name, name, value in _PER_CPU_FIELD.findall(m[0]):
        if list_name:
            kind = f"{list_name.lower()}_"
        else:
            fields[kind + name] = int(value)
    next(reversed(per_cpu.values())).append(PerCpu(int(cpu[1]), fields))


_ROTATED = ("shmem", "shmem_thp", "shmem_pmdmapped", "anon_thp")
_ROTATES = re.compile(r"4\.(?:8|9|10)(?!\d)")


def _node(report: OomReport, m: Match) -> None:
    memory, number_of_node = memory_of(report), int(m["node"])
    fields = {name: int(value) for name, value in FIELDS.findall(m["fields"])}
    # 4.8 to 4.10 hand these four to the wrong names: mm/page_alloc.c, show_free_areas().
    rotates = report.release is not None and _ROTATES.match(report.release)
    if rotates and all(name in fields for name in _ROTATED):
        values = [fields[name] for name in _ROTATED]
        fields |= zip(_ROTATED, [values[-1], *values[:-1]], strict=True)
    memory.nodes_kib[number_of_node] = fields
    if _is_stuck(m["fields"]):
        memory.stuck_nodes.add(number_of_node)


def _is_stuck(fields: str) -> bool | None:
    found = _STUCK.search(fields)
    return None if found is None else found[1] == "yes"


def _zone(report: OomReport, m: Match) -> None:
    fields = {name: int(value) for name, value in FIELDS.findall(m["fields"])}
    stuck = _is_stuck(m["fields"])
    zone = Zone(number(m["node"]), m["zone"], fields, all_unreclaimable=stuck)
    memory_of(report).zones.append(zone)


def _reserve(report: OomReport, m: Match) -> None:
    zones = memory_of(report).zones
    if zones:
        pages = tuple(int(value) for value in m[0].partition(":")[2].split())
        zones[-1] = zones[-1]._replace(lowmem_reserve_pages=pages)


def _buddy(report: OomReport, m: Match) -> None:
    blocks = tuple(FreeBlocks(int(n), int(s), t) for n, s, t in _BLOCK.findall(m["list"]))
    zones, node = memory_of(report).zones, number(m["node"])
    for index, zone in enumerate(zones):
        if (zone.node, zone.name) == (node, m["zone"]):
            zones[index] = zone._replace(free_blocks=blocks, free_total_kib=number(m["total"]))
            return
    zones.append(Zone(node, m["zone"], {}, None, blocks, number(m["total"])))


def _hugepages(report: OomReport, m: Match) -> None:
    values = (int(m[name]) for name in ("total", "free", "surplus", "size"))
    memory_of(report).hugepages.append(HugePages(number(m["node"]), *values))


def _count(report: OomReport, m: Match) -> None:
    memory_of(report).counts_pages[m["what"]] = int(m["count"])


def _swap_stats(report: OomReport, m: Match) -> None:
    memory_of(report).swap_cache = {k: int(m[k]) for k in ("add", "delete", "hit", "find")}


def _swap_free(report: OomReport, m: Match) -> None:
    memory_of(report).swap_free_kib = int(m["kib"])
    if int(m["kib"]) < 0:
        report.notes.append(f"{m[0]}: swap was being turned off, which takes its size away first")


def _swap_total(report: OomReport, m: Match) -> None:
    memory_of(report).swap_total_kib = int(m["kib"])


def _slab_head(report: OomReport, m: Match) -> None:
    if m[0].startswith("excessive"):
        note(report, m)


def _slab(report: OomReport, m: Match) -> None:
    memory_of(report).slabs.append(Slab(m["name"], int(m["used"]), int(m["total"])))


def _allocation(report: OomReport, m: Match) -> None:
    row = Allocation(m["size"], int(m["calls"]), m["place"])
    memory_of(report).allocations.append(row)


MEMORY: Handlers = {
    "meminfo": _begin,
    "free_pages": _free_pages,
    "percpu": _per_cpu,
    "totals": _totals,
    "node": _node,
    "zone": _zone,
    "reserve": _reserve,
    "buddy": _buddy,
    "hugepages": _hugepages,
    "count": _count,
    "swap_stats": _swap_stats,
    "swap_free": _swap_free,
    "swap_total": _swap_total,
    "slab_head": _slab_head,
    "slab": _slab,
    "allocation": _allocation,
}
