"""What the kernel says of its own kills: the lines of its log, for 5.10 and newer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple


class Row(NamedTuple):
    """One process of the task table: memory in pages but for the page tables, which are bytes."""

    pid: int
    uid: int
    total_vm_pages: int
    rss_pages: int
    pagetable_bytes: int
    swap_pages: int
    oom_score_adj: int
    comm: str


class Oom(NamedTuple):
    """One run of the OOM killer.

    ``rows`` is empty where the kernel's rate limit swallowed the report, of which then only
    the line of the kill is left.
    """

    constraint: str | None
    memcg: str | None
    nodes: str | None
    """The nodes that ran out: the mask of a mempolicy, or what the cpuset allows."""
    invoker: int | None
    rows: tuple[Row, ...]
    victim: int | None
    comm: str | None
    killed: tuple[int, ...]
    """Pids of the lines ``Killed process``; a thread's where the main thread had ended."""


_INVOKED = re.compile(r"\] (?:.*) invoked oom-killer: gfp_mask=")
_INVOKER = re.compile(r"\] CPU: \d+ (?:UID: \d+ )?PID: (\d+) Comm: ")
_HEADER = re.compile(r"\] \[  pid  \] (.*)")
_ROW = re.compile(r"\] \[ *(\d+)\] (.*)")
_SUMMARY = re.compile(
    r"\] oom-kill:constraint=(?P<constraint>\w+),nodemask=(?P<nodemask>[^,]*(?:,\d[^,]*)*),"
    r"cpuset=(?P<cpuset>.*),mems_allowed=(?P<mems>[-,\d]*),"
    r"(?:global_oom|oom_memcg=(?P<memcg>.*)),task_memcg=(?P<task_memcg>.*),"
    r"task=(?P<task>.*),pid=(?P<pid>\d+),uid=\d+"
)
_KILLED = re.compile(r"\] .*: Killed process (\d+) \((.*)\) total-vm:")
_TOGETHER = re.compile(r"\] Tasks in .* are going to be killed due to memory.oom.group set")


def parse_ooms(lines: Iterable[str]) -> list[Oom]:
    """Return each run of the OOM killer in a log's lines that chose somebody."""
    found: list[Oom] = []
    columns: list[str] = []
    together = False
    for line in lines:
        if _INVOKED.search(line):
            found.append(_EMPTY)
            together = False
        elif match := _KILLED.search(line):
            if not found or (found[-1].killed and not together):
                # Its report fell to the rate limit.
                found.append(_EMPTY._replace(victim=int(match[1]), comm=match[2]))
            found[-1] = found[-1]._replace(killed=(*found[-1].killed, int(match[1])))
        elif match := _HEADER.search(line):
            columns = match[1].split()
        elif found:
            together = together or _TOGETHER.search(line) is not None
            found[-1] = _with_line(found[-1], line, columns)
    return [oom for oom in found if oom.victim is not None]


def _with_line(oom: Oom, line: str, columns: list[str]) -> Oom:
    """Add what a line of a report says, if anything."""
    if match := _INVOKER.search(line):
        return oom._replace(invoker=int(match[1]))
    if columns and (match := _ROW.search(line)):
        return oom._replace(rows=(*oom.rows, _row(match, columns)))
    if match := _SUMMARY.search(line):
        return _summarised(oom, match)
    return oom


_EMPTY = Oom(None, None, None, None, (), None, None, ())


def _row(match: re.Match[str], columns: list[str]) -> Row:
    words = match[2].split(None, len(columns) - 1)
    value = dict(zip(columns, words, strict=False))
    return Row(
        # The line begins with the thread that holds the memory: another than the process's
        # first where that one has ended.
        pid=int(value["tgid"]),
        uid=int(value["uid"]),
        total_vm_pages=int(value["total_vm"]),
        rss_pages=int(value["rss"]),
        pagetable_bytes=int(value["pgtables_bytes"]),
        swap_pages=int(value["swapents"]),
        oom_score_adj=int(value["oom_score_adj"]),
        comm=value.get("name", ""),
    )


def _summarised(oom: Oom, match: re.Match[str]) -> Oom:
    by_policy = match["constraint"] == "CONSTRAINT_MEMORY_POLICY"
    return oom._replace(
        constraint=match["constraint"],
        memcg=match["memcg"],
        nodes=match["nodemask"] if by_policy else match["mems"],
        victim=int(match["pid"]),
        comm=match["task"],
    )
