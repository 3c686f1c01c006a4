"""The recorded kernels: their snapshots, their reports, and the model's answer for each OOM."""

from __future__ import annotations

import json
import lzma
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from oomlab.analysis.choice import Choice, choose
from oomlab.analysis.ranking import Ranking, rank
from oomlab.kernel.eras import Era, with_facts
from oomlab.kernel.evidence import pick_era
from oomlab.kernel.nodes import nodes_in
from oomlab.kernel.scope import Scope, memcg_scope, node_scope, system_scope
from oomlab.readers.load import load
from oomlab.snapshot import Snapshot, Task

ROOT = Path(__file__).parent.parent / "fixtures" / "recordings"
KERNELS = sorted(
    (path.name for path in ROOT.iterdir()),
    key=lambda name: [int(part) for part in name.split("-")[0].split(".")],
)
_ROW = re.compile(r"\[ *\d+\] +(\d.*)$")
_INTEGER = re.compile(r"-?\d+")
_HEADER = re.compile(r"\[ *pid *\] +(.*)$")
_ALL_CAPABILITIES = (1 << 38) - 1


class Event(NamedTuple):
    """One recorded event: its name, its files, and what the kernel did."""

    kernel: str
    name: str
    snapshot: Path
    report: str
    ooms: list[dict[str, Any]]
    gone: frozenset[int]


def events(kernel: str) -> Iterator[Event]:
    folder = ROOT / kernel
    for entry in json.loads((folder / "truth.json").read_text())["events"]:
        packed = (folder / (entry["report"] + ".xz")).read_bytes()
        report = lzma.decompress(packed).decode("utf-8", "replace")
        yield Event(
            kernel,
            entry["event"],
            folder / (entry["snapshot"] + ".xz"),
            report,
            entry["ooms"],
            frozenset(map(int, entry.get("gone", ()))),
        )


@lru_cache(maxsize=512)
def snapshot_of(path: Path) -> Snapshot:
    return load(path)


def sections(report: str) -> list[str]:
    """Return the report of each run of the OOM killer."""
    starts = [match.start() for match in re.finditer(r"^.* invoked oom-killer: ", report, re.M)]
    return [report[a:b] for a, b in zip(starts, [*starts[1:], len(report)], strict=False)]


def table_rows(section: str) -> list[dict[str, int | str]]:
    """Return the task table's rows, each by the names of its columns."""
    rows: list[dict[str, int | str]] = []
    columns: list[str] = []
    for line in section.splitlines():
        header = _HEADER.search(line)
        if header is not None:
            columns = header[1].split()
        row = _ROW.search(line)
        if columns and header is None and row is not None:
            *numbers, name = row[1].split(None, len(columns) - 1)
            if len(numbers) < len(columns) - 1 or not all(map(_INTEGER.fullmatch, numbers)):
                continue  # a line of something else, or a torn one
            values = dict(zip(columns[:-1], map(int, numbers), strict=True))
            rows.append({**values, "name": name})
    return rows


def at_the_kill(event: Event, oom: dict[str, Any], section: str) -> Snapshot | None:
    """Return the tasks of the kernel's own table, joined with what only the snapshot tells.

    None where the report has no table.
    """
    before = snapshot_of(event.snapshot)
    known = {task.pid: task for task in before.tasks}
    tasks = [_joined(row, known, oom) for row in table_rows(section)]
    if not tasks:
        return None
    _find_parents(tasks, known)
    return Snapshot(machine=before.machine, tasks=tuple(tasks), memcgs=before.memcgs)


def _joined(row: dict[str, Any], known: dict[int, Task], oom: dict[str, Any]) -> Task:
    pid, page = row["tgid"], 4096
    task = known.get(pid)
    if task is None or task.comm != row["name"]:
        task = _new_task(pid, row, known, oom)
    tables = row.get("nr_ptes", 0) * page if "nr_ptes" in row else row.get("pgtables_bytes")
    return task._replace(
        has_mm=True,
        state="S" if task.state in ("Z", "X") and "oom_adj" not in row else task.state,
        uid=row["uid"],
        total_vm_pages=row["total_vm"],
        rss_pages=row["rss"],
        rss_stat_pages=row["rss"],
        swap_pages=row.get("swapents", task.swap_pages),
        pagetable_bytes=task.pagetable_bytes if tables is None else tables,
        pmd_bytes=row["nr_pmds"] * page if "nr_pmds" in row else task.pmd_bytes,
        oom_score_adj=row.get("oom_score_adj"),
        oom_adj=row.get("oom_adj"),
        kernel_oom_score=None,
    )


def _new_task(pid: int, row: dict[str, Any], known: dict[int, Task], oom: dict[str, Any]) -> Task:
    """Return a process that the event itself started: a child of init with init's rights."""
    youngest = max(task.start_ticks or 0 for task in known.values())
    return Task(
        pid=pid,
        comm=row["name"],
        ppid=1,
        start_ticks=youngest + pid,
        threads=1,
        cpu_ticks=0,
        nice=0,
        cap_effective=_ALL_CAPABILITIES if row["uid"] == 0 else 0,
        in_init_userns=True,
        euid=row["uid"],
        cgroups=tuple((name, oom.get("oom_memcg") or "/") for name in ("", "memory")),
    )


def _find_parents(tasks: list[Task], known: dict[int, Task]) -> None:
    """Make each process that the event started the child of the ``eater`` that waits for it."""
    waiting = None
    for place, task in enumerate(tasks):
        if task.pid in known and known[task.pid].comm == task.comm:
            continue
        if task.comm == "eater":
            waiting = task.pid
        elif waiting is not None:
            tasks[place] = task._replace(ppid=waiting)


def scope_of(event: Event, oom: dict[str, Any], snapshot: Snapshot, era: Era) -> Scope:
    """Return the scope that the report names."""
    if oom.get("oom_memcg"):
        scope = memcg_scope(snapshot, oom["oom_memcg"], era.facts)
        # From 5.3 on the table itself is in the order of the walk.
        in_order = not era.facts.memcg_scan_threads and era.facts.memcg_walk == "tree"
        return scope._replace(tasks=snapshot.tasks) if in_order else scope
    constraint = oom.get("constraint") or _CONSTRAINTS.get(event.name, "CONSTRAINT_NONE")
    if constraint == "CONSTRAINT_MEMORY_POLICY":
        return node_scope(snapshot, nodes_in(oom.get("nodemask") or "1"), constraint, era.facts)
    if constraint == "CONSTRAINT_CPUSET":
        return node_scope(snapshot, nodes_in(oom.get("mems_allowed") or "1"), constraint, era.facts)
    return system_scope(snapshot)


_CONSTRAINTS = {"mempolicy": "CONSTRAINT_MEMORY_POLICY", "cpuset": "CONSTRAINT_CPUSET"}


class Answer(NamedTuple):
    """The model's answer for one run of the OOM killer."""

    ranking: Ranking
    choice: Choice
    from_table: bool


def answer(
    event: Event, oom: dict[str, Any], section: str, killed: frozenset[int] = frozenset()
) -> Answer:
    """Predict one run; ``killed`` died in earlier runs of the same event."""
    before = snapshot_of(event.snapshot)
    era = pick_era(before)
    snapshot = at_the_kill(event, oom, section)
    from_table = snapshot is not None
    if snapshot is None:
        left = tuple(task for task in before.tasks if task.pid not in killed)
        snapshot = replace(before, tasks=left)
    else:
        # The table shows the very counters that the killer read.
        era = with_facts(era, "task table", killer_counters="same", status_counters="same")
    ranking = rank(snapshot, kernel=era, scope=scope_of(event, oom, snapshot, era))
    invoker = [task.pid for task in snapshot.tasks if task.comm == oom["invoker"]]
    current = invoker[-1] if invoker else None
    return Answer(ranking, choose(ranking, current=current), from_table)
