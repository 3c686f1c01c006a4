"""One door for every source: the live machine, a saved snapshot, a raw recording."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ..errors import InputError, SourceError
from ..kernel.evidence import mark_passed_over, pick_era
from ..snapshot import Gap, Snapshot
from .procfs import DETAILS, PROC, read_snapshot


def load(
    source: str | Path | None = None,
    *,
    proc: str | Path = PROC,
    details: Iterable[str] = DETAILS,
    workers: int = 1,
) -> Snapshot:
    """Return the running machine's snapshot, or the one saved in ``source`` ("-": stdin).

    ``proc`` is another /proc to read, such as a host's inside a container; ``details`` the
    per-process files that are read beside those that badness needs; ``workers`` the processes
    that share the reading (it forks: leave it at 1 in a program with threads).
    Raises SourceError where a source is missing, unreadable or damaged.
    """
    if source is None:
        return _marked(read_snapshot(Path(proc), details=details, workers=workers))
    # What only saved snapshots need is imported here: the live path must start fast.
    from .recording import is_recording, parse_recording
    from .saved import parse_json, parse_snapshot, read_text

    name = "standard input" if str(source) == "-" else str(source)
    body = parse_json(read_text(None if str(source) == "-" else Path(source)), name)
    if is_recording(body):
        return _marked(parse_recording(body, name))
    return parse_snapshot(body, name)


def _marked(snapshot: Snapshot) -> Snapshot:
    """Mark tasks that the kernel's own score shows to be passed over, while it is fresh."""
    try:
        era = pick_era(snapshot)
    except InputError:
        return snapshot
    marks = mark_passed_over(snapshot.tasks, era, snapshot.machine)
    if not any(marks):
        return snapshot
    tasks = (
        t._replace(passed_over=True) if m else t for t, m in zip(snapshot.tasks, marks, strict=True)
    )
    return replace(snapshot, tasks=tuple(tasks))


def with_memcgs(snapshot: Snapshot, proc: Path | None = None) -> Snapshot:
    """Return the snapshot with this machine's memory cgroups, where they are mounted."""
    from .cgroupfs import find_memory_hierarchy, read_memcgs

    mount = find_memory_hierarchy(proc or PROC)
    if mount is None:
        return snapshot
    try:
        return replace(snapshot, memcgs=read_memcgs(mount))
    except SourceError as error:
        gap = Gap(what="memory cgroups", why=str(error))
        return replace(snapshot, gaps=(*snapshot.gaps, gap))
