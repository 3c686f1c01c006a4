"""A report as a Snapshot: so rank and whatif work on last night's log as on a machine."""

from __future__ import annotations

from ...errors import InputError
from ...kernel.eras import era_of
from ...kernel.facts import Facts
from ...kernel.selection import CAP_SYS_ADMIN
from ...memcg import UNLIMITED_PAGES, Memcg
from ...report import OomReport, TaskRow
from ...report_memory import UNLIMITED_KIB
from ...snapshot import Gap, Machine, Reported, Snapshot, Task
from ...units import kib_to_pages, pages_to_bytes
from .pagesize import find_page_size
from .refine import refined
from .rules import rules_of
from .totals import (
    NODE_CONSTRAINTS,
    constraint_of,
    damaged_ram,
    memcg_totalpages_bounds,
    node_totalpages_bounds,
    ram_pages,
)


def report_snapshot(report: OomReport) -> Snapshot:
    """Return the tasks of a report and what it tells of its machine.

    Raises InputError where it holds no task table or nothing tells its rules.
    """
    if not report.tasks:
        raise InputError("the report holds no task table: there is nobody to rank")
    rules, evidence = rules_of(report)
    facts = era_of(rules).facts
    size = find_page_size(report)
    gaps = (
        []
        if size.evidence
        else [
            Gap(what="page size", why=f"the report does not tell it; {size.size_bytes} is assumed")
        ]
    )
    if report.release is not None and rules != report.release:
        why = f"mainline's {report.release} prints otherwise: the rules of {rules} are taken"
        gaps.append(Gap(what="kernel", why=f"{why}, by {evidence}"))
    if damaged_ram(report):
        why = "its number is not what the zones add up to: they are taken"
        gaps.append(Gap(what="pages RAM", why=why))
    machine = _machine(report, size.size_bytes)
    tasks = _tasks(report, facts, machine, gaps)
    reported = Reported(constraint_of(report), rules, evidence)
    if report.is_memcg:
        reported = _with_memcg(report, reported, machine, facts, gaps)
    elif reported.constraint in NODE_CONSTRAINTS:
        low, high = node_totalpages_bounds(report, facts, machine) or (None, None)
        reported = reported._replace(totalpages_low=low, totalpages_high=high)
    snapshot = Snapshot(
        machine=machine,
        tasks=tasks,
        memcgs=_memcgs(report, machine.page_size),
        taken_at=report.time,
        source=f"{report.source}:{report.line}",
        gaps=tuple(gaps),
        reported=reported,
    )
    return refined(report, snapshot)


def _machine(report: OomReport, page_size: int) -> Machine:
    memory, uptime = report.memory, report.uptime_seconds
    machine = Machine(
        page_size=page_size,
        release=report.release,
        init_pid_namespace=True,
        uptime_seconds=None if uptime is None else int(uptime),
    )
    if memory is None:
        return machine
    total, free = memory.swap_total_kib, memory.swap_free_kib
    if total is None and _knows_no_swap(report):
        total = free = 0
    swap = None if total is None else kib_to_pages(total, page_size)
    used = None if total is None or free is None else total - free
    never = (memory.swap_cache or {}).get("add") == 0 and used == 0
    return machine._replace(
        ram_pages=ram_pages(report, page_size),
        swap_pages=swap,
        cpus=len({cpu.cpu for rows in memory.per_cpu.values() for cpu in rows}) or None,
        swapped_out_pages=0 if never or swap == 0 else None,
    )


def _knows_no_swap(report: OomReport) -> bool:
    """Tell whether the kernel was built without swap: it prints nothing of it among the counts.

    Source: show_swap_cache_info() of CONFIG_SWAP, between the page cache and the pages of RAM
    (2.6.28 and newer).
    """
    memory = report.memory
    if memory is None or any(gap.startswith("shortened") for gap in report.gaps):
        return False
    told = {memory.swap_total_kib, memory.swap_free_kib} != {None} or memory.swap_cache is not None
    counts = memory.counts_pages.keys()
    whole = "total pagecache pages" in counts and bool(counts & {"pages RAM", "pages of RAM"})
    return whole and not told and "pages in swap cache" not in counts


def _tasks(report: OomReport, facts: Facts, machine: Machine, gaps: list[Gap]) -> tuple[Task, ...]:
    hidden = _hidden_pages(report, facts, machine)
    if facts.formula == "legacy":
        why = "the task table does not show them; badness before 2.6.36 is bounded"
        gaps.append(Gap(what="run time, CPU time, nice, capabilities, children", why=why))
    elif hidden:
        what = "page tables" if "swapents" in (report.columns or ()) else "swap and page tables"
        gaps.append(Gap(what=what, why="the task table has no column for them; bounded by totals"))
    tasks, seen, twice = [], set(), []
    paths = (("memory,", report.oom_memcg),) if report.is_memcg and report.oom_memcg else None
    for row in report.tasks:
        if row.pid in seen:
            twice.append(row.pid)
            continue
        seen.add(row.pid)
        tasks.append(_task(row, machine.page_size, facts, hidden, paths))
    if twice:
        gaps.append(Gap(what="rows", why="the same pid again, left out", pids=tuple(twice)))
    return tuple(tasks)


def _hidden_pages(report: OomReport, facts: Facts, machine: Machine) -> int | None:
    """Return the most pages that the table's missing columns can hide of one task."""
    columns, memory = report.columns or (), report.memory
    hidden = 0
    if "swapents" not in columns and machine.swapped_out_pages != 0:
        if memory is not None and _knows_no_swap(report):
            used_kib = 0
        elif memory is None or memory.swap_total_kib is None or memory.swap_free_kib is None:
            return None
        else:
            used_kib = memory.swap_total_kib - memory.swap_free_kib
        hidden += kib_to_pages(used_kib, machine.page_size)
    tables = {"nr_ptes", "pgtables_bytes"} & set(columns)
    if not tables and facts.page_tables != "none":
        pages = None if memory is None else memory.totals_pages.get("pagetables")
        return None if pages is None else hidden + pages
    return hidden


def _task(
    row: TaskRow,
    page_size: int,
    facts: Facts,
    hidden: int | None,
    cgroups: tuple[tuple[str, str], ...] | None,
) -> Task:
    tables = row.pagetable_bytes
    if tables is None:
        tables = pages_to_bytes(row.table_pages, page_size)
    # The table does not print capabilities: root's are the good guess. Before 2.6.36 they
    # quarter the points twice, so there they stay unknown and widen the bounds.
    root = facts.root_bonus != "none" and row.uid == 0
    caps = None if facts.formula == "legacy" else CAP_SYS_ADMIN if root else 0
    return Task(
        pid=row.pid,
        comm=row.comm,
        has_mm=True,
        oom_score_adj=row.oom_score_adj,
        rss_pages=row.rss_pages,
        rss_stat_pages=row.rss_pages,
        swap_pages=row.swap_pages,
        pagetable_bytes=tables,
        pmd_bytes=pages_to_bytes(row.pmd_pages, page_size),
        oom_adj=row.oom_adj,
        uid=row.uid,
        euid=row.uid,
        rss_anon_pages=row.rss_anon_pages,
        rss_file_pages=row.rss_file_pages,
        rss_shmem_pages=row.rss_shmem_pages,
        total_vm_pages=row.total_vm_pages,
        cap_effective=caps,
        cgroups=cgroups,
        hidden_pages=None if facts.formula == "legacy" else hidden,
    )


def _with_memcg(
    report: OomReport, reported: Reported, machine: Machine, facts: Facts, gaps: list[Gap]
) -> Reported:
    bounds = memcg_totalpages_bounds(report, machine, facts)
    low, high = bounds if bounds is not None else (None, None)
    if bounds is not None and low != high:
        most = " or more" if high is None else f" to {high}"
        why = f"a cgroup's report does not tell it, so totalpages is {low}{most} pages"
        gaps.append(Gap(what="total swap", why=why))
    path = report.oom_memcg or "(a memory cgroup)"
    return reported._replace(memcg=path, totalpages_low=low, totalpages_high=high)


def _memcgs(report: OomReport, page_size: int) -> tuple[Memcg, ...] | None:
    if report.memcg is None or report.oom_memcg is None:
        return None
    usage = report.memcg.usage

    def limit(name: str) -> int | None:
        if name not in usage:
            return None
        size = usage[name].limit_kib
        return UNLIMITED_PAGES if size >= UNLIMITED_KIB else kib_to_pages(size, page_size)

    held = usage.get("memory")
    swap = usage.get("swap")
    return (
        Memcg(
            path=report.oom_memcg,
            version=1 if "memory+swap" in usage else 2,
            limit_pages=limit("memory"),
            swap_limit_pages=limit("swap"),
            memsw_limit_pages=limit("memory+swap"),
            usage_pages=None if held is None else kib_to_pages(held.usage_kib, page_size),
            swap_usage_pages=None if swap is None else kib_to_pages(swap.usage_kib, page_size),
            oom_group=True if report.group_memcg is not None else None,
            pids=tuple(row.pid for row in report.tasks),
        ),
    )
