"""totalpages from what a report prints: of the machine, of nodes, of a memory cgroup."""

from __future__ import annotations

from ...errors import InputError
from ...kernel.facts import Facts
from ...kernel.release import parse_release
from ...report import OomReport, parse_list
from ...report_memory import UNLIMITED_KIB
from ...snapshot import Machine
from ...units import KIB, kib_to_pages
from .pagesize import find_page_size

NODE_CONSTRAINTS = frozenset({"CONSTRAINT_CPUSET", "CONSTRAINT_MEMORY_POLICY"})


def ram_pages(report: OomReport, page_size: int) -> int | None:
    """Return totalram_pages as the Mem-Info dump tells it, None where it does not.

    Present minus reserved; 3.13 to 3.17 print the last zone's reserve only, so there (and where
    the counts are missing) it is the sum of what the zones manage; 3.19 to 4.1 leave the pages
    of CMA in neither. Source: show_mem() in lib/show_mem.c.
    """
    memory = report.memory
    if memory is None:
        return None
    counts = memory.counts_pages
    present = counts.get("pages RAM", counts.get("pages of RAM"))
    reserved = counts.get("pages reserved", counts.get("reserved pages"))
    managed = [zone.fields_kib.get("managed") for zone in memory.zones if zone.fields_kib]
    known = [kib for kib in managed if kib is not None]
    whole = bool(known) and len(known) == len(managed)
    series = _series(report)
    odd = (3, 13) <= series <= (3, 17) or damaged_ram(report)
    if whole and (odd or present is None or reserved is None):
        return kib_to_pages(sum(known), page_size)
    if present is None or reserved is None:
        return None
    if (3, 19) <= series <= (4, 1):
        reserved += counts.get("pages cma reserved", 0)
    return present - reserved


def damaged_ram(report: OomReport) -> bool:
    """Tell whether ``pages RAM`` can't be: its digits have suffered on the way.

    It is what the zones add up to. That no zone is missing shows where DMA and DMA32 are listed
    and the highest keeps nothing back for a higher one (lowmem_reserve).
    """
    memory = report.memory
    if memory is None or len(nodes_with_memory(report)) > 1:
        return False
    present = memory.counts_pages.get("pages RAM")
    zones = [zone for zone in memory.zones if "present" in zone.fields_kib]
    if present is None or not {"DMA", "DMA32"} <= {zone.name for zone in zones}:
        return False
    if any(zones[-1].lowmem_reserve_pages or (1,)):
        return False
    kib = sum(zone.fields_kib["present"] for zone in zones)
    return present * (find_page_size(report).size_bytes // KIB) > 2 * kib


def _series(report: OomReport) -> tuple[int, ...]:
    try:
        return parse_release(report.release or "").series
    except InputError:
        return ()


def memcg_totalpages_bounds(
    report: OomReport, machine: Machine, facts: Facts
) -> tuple[int, int | None] | None:
    """Return the least and the most that totalpages can have been; None for most: no bound.

    Source: mem_cgroup_get_max() in mm/memcontrol.c; what a report leaves out is total swap (from
    3.9 on), and swappiness, which counts from 3.7 on: at 0 swap does not.
    """
    usage = report.memcg.usage if report.memcg is not None else {}
    if "memory" not in usage:
        return None

    def pages(kib: int) -> int:
        return kib_to_pages(kib, machine.page_size)

    limit = pages(usage["memory"].limit_kib)
    share_limit = None
    used = 0
    if "memory+swap" in usage:
        both = usage["memory+swap"]
        share_limit = max(0, pages(both.limit_kib) - limit)
        used = pages(max(0, both.usage_kib - usage["memory"].usage_kib))
        unlimited = both.limit_kib >= UNLIMITED_KIB
    elif "swap" in usage:
        share_limit = pages(usage["swap"].limit_kib)
        used = pages(usage["swap"].usage_kib)
        unlimited = usage["swap"].limit_kib >= UNLIMITED_KIB
    else:
        unlimited = True
    most = None if unlimited or share_limit is None else limit + share_limit
    if machine.swap_pages is not None:
        swap = machine.swap_pages
        if facts.memcg_totalpages == "bytes bug":  # pages of swap were added to bytes
            swap //= machine.page_size
        share = swap if unlimited else min(swap, share_limit or 0)
        certain = used or facts.memcg_totalpages in ("bytes bug", "capped")
        return (limit + share, limit + share) if certain else (limit, limit + share)
    return limit + used if most is None else min(limit + used, most), most


def constraint_of(report: OomReport) -> str:
    """Return the constraint: in the kernel's word, or before 5.0 by the nodes that it prints."""
    if report.constraint is not None:
        return report.constraint
    nodes = nodes_with_memory(report)
    nodemask = report.trigger.nodemask if report.trigger is not None else None
    if len(nodes) > 1 and nodemask and not nodes <= parse_list(nodemask):
        return "CONSTRAINT_MEMORY_POLICY"
    if len(nodes) > 1 and report.mems_allowed and not nodes <= parse_list(report.mems_allowed):
        return "CONSTRAINT_CPUSET"
    return "CONSTRAINT_NONE"


def nodes_with_memory(report: OomReport) -> set[int]:
    """Return the numbers of the nodes whose zones the dump lists."""
    zones = report.memory.zones if report.memory is not None else []
    return {zone.node for zone in zones if zone.node is not None}


def node_totalpages_bounds(
    report: OomReport, facts: Facts, machine: Machine, nodes: set[int] | None = None
) -> tuple[int, int | None] | None:
    """Return the least and the most totalpages of an OOM that is bound to nodes.

    Swap plus the pages present there (5.4 and newer: exact), or spanned with their holes
    (before: at least those present). Source: constrained_alloc() in mm/oom_kill.c.
    """
    if nodes is None:
        trigger, summary = report.trigger, report.summary
        text = (trigger.nodemask if trigger is not None else None) or (
            summary.nodemask if summary is not None else None
        )
        text = text or report.mems_allowed
        nodes = parse_list(text) if text else None
    if not nodes or report.memory is None or machine.swap_pages is None:
        return None
    zones = [z for z in report.memory.zones if z.node in nodes and "present" in z.fields_kib]
    if not zones:
        return None
    present_kib = sum(zone.fields_kib["present"] for zone in zones)
    low = machine.swap_pages + kib_to_pages(present_kib, machine.page_size)
    return low, low if facts.node_pages == "present" else None
