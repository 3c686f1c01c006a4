"""From recognised lines to an OomReport: one small function for each kind of line."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from ...report import (
    Announcement,
    Context,
    FreeBlocks,
    HugePages,
    MemcgState,
    MemoryState,
    OomReport,
    Slab,
    Summary,
    TaskRow,
    Trigger,
    Usage,
    Victim,
    Zone,
)
from .lines import FIELDS, Line

Match = re.Match[str]

COLUMNS = {
    "uid": "uid",
    "tgid": "tgid",
    "total_vm": "total_vm_pages",
    "rss": "rss_pages",
    "rss_anon": "rss_anon_pages",
    "rss_file": "rss_file_pages",
    "rss_shmem": "rss_shmem_pages",
    "nr_ptes": "table_pages",
    "nr_pmds": "pmd_pages",
    "nr_puds": "pud_pages",
    "pgtables_bytes": "pagetable_bytes",
    "swapents": "swap_pages",
    "cpu": "cpu",
    "oom_adj": "oom_adj",
    "oom_score_adj": "oom_score_adj",
}
"""Columns of the task table by the header's names, and the TaskRow fields that they fill."""

_BLOCK = re.compile(r"(\d+)\* ?(\d+)kB(?: \(([A-Z]+)\))?")
_KILL_FIELD = re.compile(r"([\w-]+):(-?\d+)")
_V1_STAT = re.compile(r"(\w+):(\d+)KB")
MAX_UNPARSED = 500
MAX_TASKS = 1 << 22
KIB = 1024


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def _memory(report: OomReport) -> MemoryState:
    if report.memory is None:
        report.memory = MemoryState()
    return report.memory


def _memcg(report: OomReport) -> MemcgState:
    if report.memcg is None:
        report.memcg = MemcgState()
    return report.memcg


def _trigger(report: OomReport, m: Match) -> None:
    names = m["names"]
    flags = None if names is None else tuple(name for name in names.split("|") if name)
    if flags is not None and any(name.startswith("0x") for name in flags):
        flags = tuple(name for name in flags if name)
    nodemask = None if m["nodemask"] in (None, "(null)") else m["nodemask"]
    report.trigger = Trigger(
        m["comm"],
        int(m["mask"], 16),
        flags,
        _number(m["order"]),
        _number(m["sadj"]),
        _number(m["adj"]),
        nodemask,
    )


def _cpuset(report: OomReport, m: Match) -> None:
    report.cpuset, report.mems_allowed = m["cpuset"], m["mems"]


def _cpu(report: OomReport, m: Match) -> None:
    if report.context is None:
        cpu, uid = m.groupdict().get("cpu"), m.groupdict().get("uid")
        report.context = Context(
            int(m["pid"]),
            m["comm"],
            m["release"],
            _number(cpu),
            _number(uid),
            m["taint"].strip(" ,") or None,
            m["build"],
        )
        if report.trigger is not None and report.trigger.comm in (None, m["comm"]):
            report.trigger = report.trigger._replace(pid=int(m["pid"]), comm=m["comm"])


def _hardware(report: OomReport, m: Match) -> None:
    report.hardware = report.hardware or m["hardware"]


def _workqueue(report: OomReport, m: Match) -> None:
    report.workqueue = report.workqueue or m["workqueue"]


def _trace(report: OomReport, m: Match) -> None:
    if report.memory is None and not report.victims and len(report.stack) < 200:
        report.stack.append(m[0].strip())


def _totals(report: OomReport, m: Match) -> None:
    _memory(report).totals_pages |= {n.lower(): int(v) for n, v in FIELDS.findall(m["fields"])}


def _node(report: OomReport, m: Match) -> None:
    fields = {name: int(value) for name, value in FIELDS.findall(m["fields"])}
    _memory(report).nodes_kib[int(m["node"])] = fields


def _zone(report: OomReport, m: Match) -> None:
    fields = {name: int(value) for name, value in FIELDS.findall(m["fields"])}
    found = re.search(r"all_unreclaimable\? (yes|no)", m["fields"])
    stuck = None if found is None else found[1] == "yes"
    zone = Zone(_number(m["node"]), m["zone"], fields, all_unreclaimable=stuck)
    _memory(report).zones.append(zone)


def _reserve(report: OomReport, m: Match) -> None:
    zones = _memory(report).zones
    if zones and m["values"] is not None:
        pages = tuple(int(value) for value in m["values"].split())
        zones[-1] = zones[-1]._replace(lowmem_reserve_pages=pages)


def _buddy(report: OomReport, m: Match) -> None:
    blocks = tuple(FreeBlocks(int(n), int(s), t) for n, s, t in _BLOCK.findall(m["list"]))
    zones, node = _memory(report).zones, _number(m["node"])
    for index, zone in enumerate(zones):
        if (zone.node, zone.name) == (node, m["zone"]):
            zones[index] = zone._replace(free_blocks=blocks, free_total_kib=_number(m["total"]))
            return
    zones.append(Zone(node, m["zone"], {}, None, blocks, _number(m["total"])))


def _hugepages(report: OomReport, m: Match) -> None:
    values = (int(m[name]) for name in ("total", "free", "surplus", "size"))
    _memory(report).hugepages.append(HugePages(_number(m["node"]), *values))


def _count(report: OomReport, m: Match) -> None:
    _memory(report).counts_pages[m["what"]] = int(m["count"])


def _swap_stats(report: OomReport, m: Match) -> None:
    _memory(report).swap_cache = {k: int(m[k]) for k in ("add", "delete", "hit", "find")}


def _swap_free(report: OomReport, m: Match) -> None:
    _memory(report).swap_free_kib = int(m["kib"])


def _swap_total(report: OomReport, m: Match) -> None:
    _memory(report).swap_total_kib = int(m["kib"])


def _slab(report: OomReport, m: Match) -> None:
    _memory(report).slabs.append(Slab(m["name"], int(m["used"]), int(m["total"])))


def _allocation(report: OomReport, m: Match) -> None:
    _memory(report).allocations.append(m[0])


def _protection(report: OomReport, m: Match) -> None:
    state = _memcg(report)
    state.min_protection_kib, state.low_protection_kib = int(m["min"]), int(m["low"])


def _task_in(report: OomReport, m: Match) -> None:
    groups = m.groupdict()
    _memcg(report)
    report.task_memcg = groups.get("task") or report.task_memcg
    report.oom_memcg = groups.get("oom") or report.oom_memcg


def _path(report: OomReport, m: Match) -> None:
    """Take the third part of a «Task in» line that printk broke (3.15 to 3.17)."""
    if report.task_memcg is not None and report.oom_memcg is None:
        report.oom_memcg = m["path"]
    else:
        report.unparsed.append(m[0])


def _usage(report: OomReport, m: Match) -> None:
    values = (int(m[name]) for name in ("usage", "limit", "failcnt"))
    _memcg(report).usage[m["what"]] = Usage(*values)


def _stats(report: OomReport, m: Match) -> None:
    found = {name: int(kib) * KIB for name, kib in _V1_STAT.findall(m["fields"])}
    path = m["path"] or report.oom_memcg or ""
    _memcg(report).stats[path] = found
    if report.oom_memcg is None:
        report.oom_memcg = path or None


def _stat(report: OomReport, m: Match) -> None:
    if report.memcg is None or not report.memcg.stats:
        report.unparsed.append(m[0])
        return
    next(reversed(report.memcg.stats.values()))[m["name"]] = int(m["value"])


def _state(report: OomReport, _m: Match) -> None:
    report.tasks_state_line = True


def _columns(report: OomReport, m: Match) -> None:
    report.columns = ("uid", "tgid", *m["columns"].split())


@lru_cache(maxsize=32)
def row_pattern(columns: tuple[str, ...]) -> tuple[re.Pattern[str], Callable[[Match], TaskRow]]:
    """Return the pattern of a table's rows, and what makes a TaskRow of a match."""
    pattern = re.compile(r"\[ *(\d+)\]" + r" +(-?\d+)" * len(columns) + r"(?: (.*))?")
    fields = TaskRow._fields[2:]
    wanted = [COLUMNS.get(name) for name in columns]
    places = [wanted.index(name) + 1 if name in wanted else None for name in fields]
    last = len(columns) + 1

    def make(match: Match) -> TaskRow:
        groups = match.groups()
        numbers = [int(text) for text in groups[:last]]
        values = [None if place is None else numbers[place] for place in places]
        return TaskRow(numbers[0], groups[last] or "", *values)

    return pattern, make


def _row(report: OomReport, m: Match) -> None:
    if report.columns is None or len(report.tasks) >= MAX_TASKS:
        report.unparsed.append(m[0])
        return
    pattern, make = row_pattern(report.columns)
    found = pattern.fullmatch(m[0])
    if found is None:
        report.unparsed.append(m[0])
    else:
        report.tasks.append(make(found))


def _summary(report: OomReport, m: Match) -> None:
    nodemask = None if m["nodemask"] == "(null)" else m["nodemask"]
    report.summary = Summary(
        m["constraint"],
        nodemask,
        m["cpuset"],
        m["mems"],
        m["all"] is not None,
        m["oom"],
        m["memcg"],
        m["comm"],
        int(m["pid"]),
        int(m["uid"]),
    )
    report.cpuset = report.cpuset or m["cpuset"]
    report.mems_allowed = report.mems_allowed or m["mems"]
    report.oom_memcg = m["oom"] or report.oom_memcg
    report.task_memcg = m["memcg"] or report.task_memcg


def _announce(report: OomReport, m: Match) -> None:
    score = _number(m["score"])
    report.announcements.append(Announcement(int(m["pid"]), m["comm"], score, m["message"]))


def _kill(report: OomReport, m: Match) -> None:
    pid, kib = int(m["pid"]), {name: int(value) for name, value in _KILL_FIELD.findall(m["fields"])}
    uid = _number(m["uid1"] or m["uid2"])
    announced = [a for a in report.announcements if a.pid == pid]
    report.victims.append(
        Victim(
            pid,
            m["comm"],
            m["message"],
            kib.get("UID", uid),
            kib.get("total-vm", kib.get("vsz")),
            kib.get("anon-rss"),
            kib.get("file-rss"),
            kib.get("shmem-rss"),
            kib.get("pgtables"),
            kib.get("oom_score_adj"),
            announced[-1].score if announced else None,
        )
    )


def _reaper(report: OomReport, m: Match) -> None:
    pid = int(m["pid"])
    for index, victim in enumerate(report.victims):
        if victim.pid == pid:
            report.victims[index] = victim._replace(reaped=m["text"])
            return
    report.notes.append(m[0])


def _group(report: OomReport, m: Match) -> None:
    report.group_memcg = m["path"]


def _nobody(report: OomReport, _m: Match) -> None:
    report.no_killable = True


def _panic(report: OomReport, m: Match) -> None:
    report.panic = m["text"]
    report.no_killable = report.no_killable or "no killable" in m["text"]


def _policy(report: OomReport, m: Match) -> None:
    report.policy = m["policy"]


def _note(report: OomReport, m: Match) -> None:
    report.notes.append(m[0])


def _elision(report: OomReport, m: Match) -> None:
    report.gaps.append(f"shortened by hand: {m[0][:60]!r}")


def _nothing(_report: OomReport, _m: Match) -> None:
    """Take a line that is part of a report and tells nothing more."""


def _begin_memory(report: OomReport, _m: Match) -> None:
    _memory(report)


HANDLERS: dict[str, Callable[[OomReport, Match], None]] = {
    "trigger": _trigger,
    "policy": _policy,
    "compaction": _note,
    "cpuset": _cpuset,
    "cpu": _cpu,
    "oldcpu": _cpu,
    "hardware": _hardware,
    "workqueue": _workqueue,
    "trace": _trace,
    "meminfo": _begin_memory,
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
    "slab": _slab,
    "allocation": _allocation,
    "protection": _protection,
    "task_in": _task_in,
    "task_in_1": _task_in,
    "task_in_2": _task_in,
    "path": _path,
    "limit_reached": _task_in,
    "usage": _usage,
    "stats": _stats,
    "stat": _stat,
    "state": _state,
    "columns": _columns,
    "row": _row,
    "summary": _summary,
    "announce": _announce,
    "kill": _kill,
    "reaper": _reaper,
    "sharing": _note,
    "exiting": _note,
    "pinned": _note,
    "group": _group,
    "nobody": _nobody,
    "panic": _panic,
    "sysrq": _note,
    "elision": _elision,
}


def add_line(report: OomReport, line: Line) -> None:
    """Add what a line says to its report."""
    HANDLERS.get(line.kind, _nothing)(report, line.match)
    if line.leftover:
        add_unparsed(report, line.leftover)
        report.gaps.append(f"a {line.kind} line is cut or damaged")


def add_unparsed(report: OomReport, text: str) -> None:
    """Keep a line that nothing recognises; a flood of them is counted, not kept."""
    if len(report.unparsed) < MAX_UNPARSED:
        report.unparsed.append(text[:2000])
    elif len(report.unparsed) == MAX_UNPARSED:
        report.unparsed.append(f"(more than {MAX_UNPARSED} lines, the others are left out)")
