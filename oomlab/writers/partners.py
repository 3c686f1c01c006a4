"""Who is set along with a process: all on its memory map get the value that one of them is given.

Source: __set_oom_adj() in fs/proc/base.c; 44a70adec910 ("mm, oom_adj: make sure processes sharing
mm have same view of oom_score_adj") (in v4.8). It leaves out init, and who is in a vfork.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from ..errors import InputError
from ..readers.same_map import read_same_maps
from .adj import Target

_PROC = Path("/proc")


def partners_of(targets: Sequence[Target]) -> list[Target]:
    """Return who else is on a target's memory map, with its value now and what it will be given.

    Only where this process may look into both (readers/same_map.py). Raises InputError where two
    targets on one map shall get different values.
    """
    by_pid = {target.pid: target for target in targets}
    found: list[Target] = []
    for pids in read_same_maps(_with_a_map()):
        given = [by_pid[pid] for pid in sorted(pids & by_pid.keys())]
        if not given or len(pids) == 1:
            continue
        other = next((one for one in given if one.after != given[0].after), None)
        if other is not None:
            raise InputError(
                f"processes {given[0].pid} and {other.pid} are on one memory map, where the "
                f"kernel keeps one value: it can't be both {given[0].after} and {other.after}"
            )
        found += _targets(sorted(pids - by_pid.keys()), given[0].after)
    return found


def _with_a_map() -> Iterator[int]:
    """Yield the processes with a memory map: not init, kernel threads or zombies."""
    for name in os.listdir(_PROC):  # noqa: PTH208  # names alone are faster
        if not name.isdecimal() or name == "1":
            continue
        with suppress(OSError):
            if not (_PROC / name / "statm").read_bytes().startswith(b"0 "):
                yield int(name)


def _targets(pids: Iterable[int], after: int) -> Iterator[Target]:
    for pid in pids:
        with suppress(OSError, ValueError):
            directory = _PROC / str(pid)
            stat = (directory / "stat").read_bytes().decode("utf-8", "surrogateescape")
            before = int((directory / "oom_score_adj").read_text())
            name = stat.partition("(")[2].rpartition(")")[0]
            yield Target(pid, int(stat.rpartition(")")[2].split()[19]), name, before, after)
