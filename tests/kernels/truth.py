"""What the kernel says of its own kills: the lines of its log, for 5.10 and newer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple


class Row(NamedTuple):
    """One line of the task table: memory in pages but for the page tables, which are bytes."""

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
_NOBODY = re.compile(r"\] Out of memory and no killable processes")


def parse_ooms(lines: Iterable[str]) -> list[Oom]:
    """Return each run of the OOM killer in a log's lines."""
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
        elif not found:
            continue
        elif match := _INVOKER.search(line):
            found[-1] = found[-1]._replace(invoker=int(match[1]))
        elif match := _HEADER.search(line):
            columns = match[1].split()
        elif columns and (match := _ROW.search(line)):
            found[-1] = found[-1]._replace(rows=(*found[-1].rows, _row(match, columns)))
        elif match := _SUMMARY.search(line):
            found[-1] = _summarised(found[-1], match)
        elif _TOGETHER.search(line):
            together = True
    return [oom for oom in found if oom.victim is not None]


def count_failures(lines: Iterable[str]) -> int:
    """Count how often the OOM killer found nobody."""
    return sum(1 for line in lines if _NOBODY.search(line))


_EMPTY = Oom(None, None, None, None, (), None, None, ())


def _row(match: re.Match[str], columns: list[str]) -> Row:
    words = match[2].split(None, len(columns) - 1)
    value = dict(zip(columns, words, strict=False))
    return Row(
        pid=int(match[1]),
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
