"""The edits of ``oomlab whatif``: from option texts, in the order given, to snapshots."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..analysis import whatif
from ..errors import InputError
from ..output.comparison import Edit
from ..output.escape import printable
from ..snapshot import Snapshot
from ..units import parse_size
from . import cgroup_edits

OPTIONS = {
    "--adj": "adj",
    "--oom-adj": "oom_adj",
    "--grow": "grow",
    "--rss": "rss",
    "--swap": "swap",
    "--kill": "kill",
    "--add": "add",
    "--ram": "ram",
    "--swap-total": "swap_total",
    "--limit": "limit",
    "--swap-limit": "swap_limit",
    "--move": "move",
    "--oom-group": "oom_group",
}
"""Options that edit, and the names their values are passed under."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One edit as typed: its kind and its text."""

    kind: str
    text: str


def in_order(arguments: Sequence[str], values: Mapping[str, Sequence[str]]) -> list[Wanted]:
    """Return all edits in the order they stand on the command line.

    The parser groups values by option; the order between options is in the arguments.
    """
    left: dict[str, Iterator[str]] = {kind: iter(texts) for kind, texts in values.items()}
    wanted = []
    for argument in arguments:
        kind = OPTIONS.get(argument.partition("=")[0])
        text = next(left[kind], None) if kind in left else None
        if kind is not None and text is not None:
            wanted.append(Wanted(kind, text))
    return wanted


def apply_all(snapshot: Snapshot, wanted: Sequence[Wanted]) -> tuple[Snapshot, list[Edit]]:
    """Apply edits one after the other. Raises InputError where two contradict each other."""
    edits: list[Edit] = []
    done: set[tuple[str, int | str | None]] = set()
    killed: set[int] = set()
    # A new process gets a pid that nobody has had: one that was killed stays gone.
    last_pid = max((task.pid for task in snapshot.tasks), default=1)
    for one in wanted:
        _refuse_killed(one, killed)
        if one.kind == "add":
            last_pid += 1
            snapshot, edit = _add(snapshot, one.text, last_pid)
        else:
            snapshot, edit = _APPLY[one.kind](snapshot, one.text)
        # Both set one and the same value.
        of = edit.path if edit.pid is None else edit.pid
        target = ("adj" if edit.kind == "oom_adj" else edit.kind, of)
        if target in done and edit.kind not in ("grow", "add"):
            raise InputError(f"--{one.kind.replace('_', '-')} is given twice for the same target")
        done.add(target)
        if edit.kind == "kill" and edit.pid is not None:
            killed.add(edit.pid)
        edits.append(edit)
    for edit in edits:
        if edit.kind != "kill" and edit.pid is not None and edit.pid in killed:
            raise _both(edit.pid)
    return snapshot, edits


def _refuse_killed(one: Wanted, killed: set[int]) -> None:
    """Say of an edit of what was killed before that it contradicts, not that it is unknown."""
    name = one.text if one.kind == "kill" else one.text.rpartition("=")[0]
    for pid in killed:
        if name == str(pid):
            raise _both(pid)


def _both(pid: int) -> InputError:
    return InputError(f"process {pid} is both edited and killed, or killed twice")


def _target(text: str, kind: str) -> tuple[str, str]:
    name, equals, value = text.rpartition("=")
    if not equals or not name or not value:
        raise InputError(f"--{kind.replace('_', '-')} {text!r}: write PID={_EXAMPLE[kind]}")
    return name, value


_EXAMPLE = {"adj": "-500", "oom_adj": "-5", "grow": "+2G", "rss": "8G", "swap": "1G"}


_WHOLE = re.compile("[+-]?[0-9]{1,9}")


def _whole(text: str, what: str, span: str) -> int:
    if _WHOLE.fullmatch(text) is None:
        raise InputError(f"{text[:40]!r} is not an {what}: a whole number, {span}")
    return int(text)


def parse_adj(text: str) -> int:
    """Return an oom_score_adj as typed. Raises InputError where it is no whole number."""
    return _whole(text, "oom_score_adj", "-1000..1000")


def _adj(snapshot: Snapshot, text: str) -> tuple[Snapshot, Edit]:
    name, value = _target(text, "adj")
    task, adj = whatif.find_task(snapshot, name), parse_adj(value)
    after = whatif.set_adj(snapshot, pid=task.pid, oom_score_adj=adj)
    said = f"oom_score_adj of {task.pid} ({printable(task.comm)}) {task.oom_score_adj} > {adj}"
    return after, Edit(kind="adj", pid=task.pid, comm=task.comm, value=adj, text=said)


def _oom_adj(snapshot: Snapshot, text: str) -> tuple[Snapshot, Edit]:
    name, value = _target(text, "oom_adj")
    task = whatif.find_task(snapshot, name)
    oom_adj = _whole(value, "oom_adj", "-17..15")
    after = whatif.set_oom_adj(snapshot, pid=task.pid, oom_adj=oom_adj)
    means = f"{oom_adj} (oom_score_adj {whatif.find_task(after, task.pid).oom_score_adj})"
    said = f"oom_adj of {task.pid} ({printable(task.comm)}) {means}"
    return after, Edit(kind="oom_adj", pid=task.pid, comm=task.comm, value=oom_adj, text=said)


def _sized(kind: str, snapshot: Snapshot, text: str) -> tuple[Snapshot, Edit]:
    name, value = _target(text, kind)
    task = whatif.find_task(snapshot, name)
    size = parse_size(value, signed=kind == "grow")
    if kind == "grow":
        after = whatif.grow(snapshot, pid=task.pid, more_bytes=size)
    elif kind == "rss":
        after = whatif.set_rss(snapshot, pid=task.pid, rss_bytes=size)
    else:
        after = whatif.set_swap(snapshot, pid=task.pid, swap_bytes=size)
    said = f"{kind} of {task.pid} ({printable(task.comm)}) {printable(value)}"
    return after, Edit(kind=kind, pid=task.pid, comm=task.comm, value=size, text=said)


def _kill(snapshot: Snapshot, text: str) -> tuple[Snapshot, Edit]:
    task = whatif.find_task(snapshot, text)
    said = f"{task.pid} ({printable(task.comm)}) gone"
    after = whatif.kill(snapshot, pid=task.pid)
    return after, Edit(kind="kill", pid=task.pid, comm=task.comm, text=said)


def _add(snapshot: Snapshot, text: str, pid: int) -> tuple[Snapshot, Edit]:
    name, equals, rest = text.partition("=")
    value, *settings = rest.split(",")
    if not equals or not name or len(settings) > 1:
        raise InputError(f"--add {text!r}: write NAME=4G or NAME=4G,adj=300")
    adj = 0
    if settings:
        key, _, number = settings[0].partition("=")
        if key != "adj":
            raise InputError(f"--add {text!r}: only adj=N may follow the size")
        adj = parse_adj(number)
    size = parse_size(value)
    after = whatif.add_task(snapshot, comm=name[:15], rss_bytes=size, oom_score_adj=adj, pid=pid)
    said = f"new process {pid} ({printable(name[:15])}) of {printable(value)}, adj {adj}"
    return after, Edit(kind="add", pid=pid, comm=name[:15], value=size, text=said)


def _ram(snapshot: Snapshot, text: str) -> tuple[Snapshot, Edit]:
    size = parse_size(text)
    after = whatif.set_ram(snapshot, ram_bytes=size)
    return after, Edit(kind="ram", value=size, text=f"RAM {printable(text)}")


def _swap_total(snapshot: Snapshot, text: str) -> tuple[Snapshot, Edit]:
    size = parse_size(text)
    after = whatif.set_swap_total(snapshot, swap_bytes=size)
    return after, Edit(kind="swap_total", value=size, text=f"swap space {printable(text)}")


_APPLY = {
    "adj": _adj,
    "oom_adj": _oom_adj,
    "grow": lambda snapshot, text: _sized("grow", snapshot, text),
    "rss": lambda snapshot, text: _sized("rss", snapshot, text),
    "swap": lambda snapshot, text: _sized("swap", snapshot, text),
    "kill": _kill,
    "ram": _ram,
    "swap_total": _swap_total,
    "limit": cgroup_edits.limit,
    "swap_limit": cgroup_edits.swap_limit,
    "move": cgroup_edits.move,
    "oom_group": cgroup_edits.oom_group,
}
