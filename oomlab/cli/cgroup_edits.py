"""The edits of ``oomlab whatif`` that are about memory cgroups: from option texts to snapshots."""

from __future__ import annotations

from ..analysis import whatif_cgroups
from ..analysis.cgroups import described
from ..analysis.selectors import find_memcg
from ..analysis.whatif import find_task
from ..errors import InputError
from ..output.comparison import Edit
from ..output.escape import printable
from ..snapshot import Snapshot
from ..units import human, parse_size

_SWITCHES = {"on": True, "1": True, "yes": True, "off": False, "0": False, "no": False}


def limit(snapshot: Snapshot, text: str) -> tuple[Snapshot, Edit]:
    """Apply ``--limit PATH=512M|max``."""
    path, value = _target(snapshot, text, "--limit", "512M")
    size = _size(value)
    after = whatif_cgroups.set_limit(snapshot, path=path, limit_bytes=size)
    over = whatif_cgroups.over_limit_bytes(after, path)
    above = f" ({human(over)} less than it uses: reclaim and kills begin at once)" if over else ""
    said = f"limit of {described(snapshot, path)} {printable(value)}{above}"
    return after, Edit(
        kind="limit", path=path, value=size if size is not None else "max", text=said
    )


def swap_limit(snapshot: Snapshot, text: str) -> tuple[Snapshot, Edit]:
    """Apply ``--swap-limit PATH=1G|max``: swap on top of the memory limit."""
    path, value = _target(snapshot, text, "--swap-limit", "1G")
    size = _size(value)
    after = whatif_cgroups.set_swap_limit(snapshot, path=path, swap_bytes=size)
    said = f"swap limit of {described(snapshot, path)} {printable(value)}"
    shown = size if size is not None else "max"
    return after, Edit(kind="swap_limit", path=path, value=shown, text=said)


def oom_group(snapshot: Snapshot, text: str) -> tuple[Snapshot, Edit]:
    """Apply ``--oom-group PATH=on|off``."""
    path, value = _target(snapshot, text, "--oom-group", "on")
    if value.lower() not in _SWITCHES:
        raise InputError(f"--oom-group {text!r}: write PATH=on or PATH=off")
    on = _SWITCHES[value.lower()]
    after = whatif_cgroups.set_oom_group(snapshot, path=path, on=on)
    said = f"memory.oom.group of {described(snapshot, path)} {'on' if on else 'off'}"
    return after, Edit(kind="oom_group", path=path, value=int(on), text=said)


def move(snapshot: Snapshot, text: str) -> tuple[Snapshot, Edit]:
    """Apply ``--move PID=PATH``."""
    name, equals, where = text.partition("=")
    if not equals or not name or not where:
        raise InputError(f"--move {text!r}: write PID=PATH, UNIT or CONTAINER")
    task, path = find_task(snapshot, name), find_memcg(snapshot, where)
    after = whatif_cgroups.move(snapshot, pid=task.pid, path=path)
    said = f"{task.pid} ({printable(task.comm)}) moved to {described(snapshot, path)}"
    edit = Edit(kind="move", pid=task.pid, comm=task.comm, path=path, value=path, text=said)
    return after, edit


def _target(snapshot: Snapshot, text: str, option: str, example: str) -> tuple[str, str]:
    name, equals, value = text.rpartition("=")
    if not equals or not name or not value:
        raise InputError(f"{option} {text!r}: write PATH={example}, or a UNIT or CONTAINER")
    return find_memcg(snapshot, name), value


def _size(value: str) -> int | None:
    return None if value in ("max", "infinity", "-1") else parse_size(value)
