"""Raw recordings: the text of /proc and cgroup files in one JSON object, made without Python.

``{"system": {path: text}, "pids": {pid: {file: text}}, "cgroups": {path: {file: text}}}``:
what a shell can write in a rescue system or a virtual machine, read later with all care.
"""

from __future__ import annotations

import re
from typing import Any

from ..errors import SnapshotFormatError, SourceError
from ..meminfo import MemInfo
from ..snapshot import Gap, Machine, Snapshot, Task, scan_order_key
from .machine import (
    SYSCTLS,
    parse_meminfo,
    parse_oom_kills,
    parse_swapped_out,
    parse_zoneinfo,
)
from .memcg import parse_memcgs
from .meminfo import parse_counters, parse_zones
from .procpid import RawTask, leader_has_exited, make_task


def is_recording(body: dict[str, Any]) -> bool:
    """Tell a raw recording from a snapshot: it has the text of files, and no schema."""
    return "schema" not in body and {"system", "pids"} <= body.keys()


def parse_recording(body: dict[str, Any], name: str) -> Snapshot:
    """Make a Snapshot of a raw recording. Raises SnapshotFormatError naming the file."""
    try:
        system = {path: text.encode() for path, text in body["system"].items()}
        machine = _machine(system)
        gaps: list[Gap] = []
        tasks = []
        for pid, files in body["pids"].items():
            task = _task(int(pid), files, machine.page_size, gaps)
            if task is not None:
                tasks.append(task)
        memcgs = parse_memcgs(body.get("cgroups", {}), machine.page_size)
    except SourceError as error:
        raise SnapshotFormatError(f"{name}: {error}") from error
    except (AttributeError, TypeError, ValueError, KeyError) as error:
        raise SnapshotFormatError(
            f"{name}: not a recording as described ({error!r:.80})"
        ) from error
    return Snapshot(
        machine=machine,
        tasks=tuple(sorted(tasks, key=scan_order_key)),
        memcgs=memcgs,
        source=name,
        gaps=tuple(gaps),
        meminfo=MemInfo(
            parse_counters(system["/proc/meminfo"]),
            machine.page_size,
            parse_zones(system.get("/proc/zoneinfo", b"")),
        ),
    )


def _machine(system: dict[str, bytes]) -> Machine:
    page_size = int(system["PAGESIZE"])
    version = system.get("/proc/version", b"").split()
    zones = system.get("/proc/zoneinfo")
    vmstat = system.get("/proc/vmstat")
    sysctls = {
        name: int(text) if (text := system.get(f"/proc/sys/vm/{name}", b"").strip()) else None
        for name in SYSCTLS
    }
    uptime = system.get("/proc/uptime")
    return Machine(
        page_size=page_size,
        release=version[2].decode("ascii") if len(version) > 2 else None,
        cpus=len(set(re.findall(rb"^ +cpu: (\d+)$", zones or b"", re.MULTILINE))) or None,
        nodes=parse_zoneinfo(zones) if zones else None,
        swapped_out_pages=parse_swapped_out(vmstat) if vmstat else None,
        oom_kills=parse_oom_kills(vmstat) if vmstat else None,
        uptime_seconds=int(uptime.split(b".")[0]) if uptime else None,
        init_pid_namespace=True,
    )._replace(**parse_meminfo(system["/proc/meminfo"], page_size), **sysctls)  # type: ignore[arg-type]


def _task(pid: int, files: dict[str, str], page_size: int, gaps: list[Gap]) -> Task | None:
    text = {name: content.encode("utf-8", "surrogateescape") for name, content in files.items()}
    if not text.get("stat") or not text.get("status"):
        return None  # it ended while it was recorded
    raw = RawTask(
        pid,
        text["stat"],
        text["status"],
        text.get("oom_score"),
        text.get("oom_score_adj"),
        text.get("oom_adj"),
        text.get("cgroup"),
        text.get("cmdline"),
    )
    task = make_task(raw, page_size)
    if leader_has_exited(raw):
        # Its memory stands in a thread's files, which a recording does not hold.
        gaps.append(Gap(what="memory", why="main thread exited, threads not recorded", pids=(pid,)))
        return task._replace(has_mm=None, rss_stat_pages=None, total_vm_pages=None)
    return task
