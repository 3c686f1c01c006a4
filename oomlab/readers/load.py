"""One door for every source: the live machine, a saved snapshot, a raw recording."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ..errors import InputError, SnapshotFormatError, SourceError
from ..kernel.evidence import mark_passed_over, pick_era
from ..snapshot import Gap, Snapshot
from .once import STDIN
from .procfs import DETAILS, PROC, read_snapshot


def load(
    source: str | Path | None = None,
    *,
    proc: str | Path = PROC,
    details: Iterable[str] = DETAILS,
    workers: int = 1,
    event: int | None = None,
) -> Snapshot:
    """Return the running machine's snapshot, or what ``source`` holds ("-": stdin).

    That is a saved snapshot, or a kernel log with an out-of-memory event: with ``event`` its
    number (from 1) where it holds several.

    ``proc`` is another /proc to read, such as a host's inside a container; ``details`` the
    per-process files that are read beside those that badness needs; ``workers`` the processes
    that share the reading (it forks: leave it at 1 in a program with threads).
    Raises SourceError where a source is missing, unreadable or damaged, EventError where the
    event is not told apart.
    """
    if source is None:
        return _marked(read_snapshot(Path(proc), details=details, workers=workers))
    # What only saved snapshots need is imported here: the live path must start fast.
    from .recording import is_recording, parse_recording
    from .saved import parse_json, parse_snapshot, read_text

    is_log, found = _load_event(source, event)
    if found is not None:
        return found
    name = "standard input" if str(source) == "-" else str(source)
    data = read_text(None if str(source) == "-" else Path(source))
    try:
        body = parse_json(data, name)
    except SnapshotFormatError:
        if data.strip() and not is_log:
            raise  # it begins as a snapshot does
        from .kernel_log.load import no_source

        raise no_source(source, data) from None
    if is_recording(body):
        return _marked(parse_recording(body, name))
    return parse_snapshot(body, name)


def _load_event(source: str | Path, event: int | None) -> tuple[bool, Snapshot | None]:
    """Tell whether the source may be a log, and return its event's snapshot if there is one."""
    from .kernel_log.load import load_event, may_be_log, no_source

    is_log = may_be_log(source)
    if event is not None and not is_log:
        raise SourceError(f"{source}: --event N is for a kernel log, and this is none")
    found = load_event(source, event) if is_log else None
    # What was read as a log can be read once more only where it is a file.
    once = str(source) == STDIN or not Path(source).is_file()
    if found is None and (event is not None or (is_log and once)):
        raise no_source(source)
    return is_log, found


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
    """Return the snapshot with this machine's memory cgroups and the names of its containers.

    Where no memory controller is mounted, or it can't be read, a gap says so.
    """
    from .cgroupfs import find_memory_mount, read_memcgs
    from .engines import read_containers

    mount = find_memory_mount(proc or PROC)
    if mount is None:
        gap = Gap(what="memory cgroups", why="no memory controller is mounted")
        return replace(snapshot, gaps=(*snapshot.gaps, gap))
    try:
        tree = read_memcgs(*mount)
    except SourceError as error:
        gap = Gap(what="memory cgroups", why=str(error))
        return replace(snapshot, gaps=(*snapshot.gaps, gap))
    root = Path("/") if proc in (None, PROC) else Path(proc) / "1" / "root"
    return replace(
        snapshot,
        memcgs=tree.memcgs,
        containers=read_containers(root),
        gaps=(*snapshot.gaps, *tree.gaps),
    )
