"""Look at a machine again and again, cheaply: read anew only what has changed.

A process that did nothing since the last sample shows the very same /proc/PID/stat, and one that
only computed shows the same size and fault counts: for both the one small file is enough.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from heapq import nlargest
from pathlib import Path
from typing import NamedTuple

from ..errors import SourceError
from ..memcg import Memcg
from ..samples import Faults, Identity, Kinds, Sample, identity
from ..snapshot import Snapshot, Task, scan_order_key
from .cgroupfs import find_memory_mount, read_memcgs
from .files import open_directory
from .in_use import HeapReader
from .kinds import read_kinds
from .machine import read_machine
from .procfs import PROC, ProcScan
from .sizes import list_processes, scan_sizes

_READ_SIZE = 4096
_TURNS = 30
"""Every process is read in full once in so many samples: a setting may have changed unseen."""

_WITNESSES = 32

_Marks = tuple[bytes, bytes, bytes, bytes]
"""Start time, RSS, minor and major faults as stat prints them."""


class _Known(NamedTuple):
    """A process as it was seen last."""

    stat: bytes
    marks: _Marks
    task: Task
    who: Identity
    faults: Faults


class Sampler:
    """Samples one machine and remembers what need not be read again.

    With ``memcg`` that memory cgroup is sampled too: its figures, and which processes are in it.
    """

    def __init__(self, root: Path = PROC, memcg: str | None = None) -> None:
        self._root = root
        self._memcg = memcg
        self._mount = find_memory_mount(root) if memcg is not None else None
        self._known: dict[str, _Known] = {}
        self._number = 0
        self._heaps = HeapReader(root)
        self._boot_id = _read_boot_id(root)

    def sample(self, wanted: Collection[int] = (), heaps_of: Collection[int] = ()) -> Sample:
        """Return the machine as it is now; of the pids ``wanted`` all that there is to know.

        That is their kinds of memory and the kernel's own score; of those that are in
        ``heaps_of`` too, what is in use of their heaps when their turn has come. The first
        sample has scores of the largest and of some others: they tell which rules the kernel
        follows.
        Raises SourceError where there is no /proc.
        """
        machine, gaps = read_machine(self._root)
        seconds = time.monotonic()
        # Rules with a bonus for root ask in which user namespace that is.
        scan = ProcScan(self._root, page_size=machine.page_size, details={"userns"})
        self._known = self._read_processes(scan, machine.page_size)
        in_full = {t.pid: t for t in scan.read_some(set(wanted) if self._number else self._some())}
        self._number += 1
        memcgs = self._read_memcgs()
        places = {pid: one for one in memcgs or () for pid in one.pids or ()}
        tasks = sorted(
            (_placed(_same(known, in_full), places) for known in self._known.values()),
            key=scan_order_key,
        )
        if machine.swapped_out_pages == 0 and any(task.swap_pages for task in tasks):
            machine = machine._replace(swapped_out_pages=None)
        snapshot = Snapshot(
            machine=machine,
            tasks=tuple(tasks),
            memcgs=memcgs,
            taken_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            source=str(self._root),
            gaps=(*gaps, *scan.gaps()),
        )
        return Sample(
            seconds=seconds,
            snapshot=snapshot,
            boot_id=self._boot_id,
            faults={known.who: known.faults for known in self._known.values()},
            kinds=self._read_kinds(wanted, heaps_of),
        )

    def _some(self) -> set[int]:
        """Return the pids of the largest processes and of a spread of the others."""
        tasks = [known.task for known in self._known.values() if known.task.has_mm]
        largest = nlargest(_WITNESSES, tasks, key=lambda task: task.rss_pages or 0)
        spread = tasks[:: max(1, len(tasks) // _WITNESSES)]
        return {task.pid for task in (*largest, *spread)}

    def _read_kinds(
        self, wanted: Collection[int], heaps_of: Collection[int]
    ) -> dict[Identity, Kinds]:
        kinds = {}
        for pid in wanted:
            known, found = self._known.get(str(pid)), read_kinds(self._root, pid)
            if known is not None and found is not None:
                kinds[known.who] = found
        heaps = [who for who in kinds if who[0] in heaps_of]
        for who, in_use in self._heaps.read_some(heaps).items():
            kinds[who] = kinds[who]._replace(**in_use._asdict())
        return kinds

    def close(self) -> None:
        """End what still reads for later samples."""
        self._heaps.close()

    def _read_memcgs(self) -> tuple[Memcg, ...] | None:
        """Return the cgroup asked about with all whose limits bear on it."""
        if self._mount is None or self._memcg is None:
            return None
        return read_memcgs(*self._mount, only=self._memcg).memcgs

    def _read_processes(self, scan: ProcScan, page_size: int) -> dict[str, _Known]:
        """Return all processes; those that changed, are new or whose turn it is are read anew."""
        try:
            names, hidden = list_processes(str(self._root))
        except OSError as error:
            raise SourceError(f"{self._root}: {error.strerror}") from error
        scan.note_hidden(hidden)
        found: dict[str, _Known] = {}
        anew: dict[str, tuple[bytes, _Marks]] = {}
        readers = {str(pid) for pid in self._heaps.own_pids()}
        with open_directory(self._root) as root_fd:
            for name in names:
                if name in readers:
                    continue
                stat = _read_stat(root_fd, name)
                if not stat:
                    continue
                known = self._known.get(name)
                its_turn = (self._number + int(name)) % _TURNS == 0
                if known is not None and not its_turn and known.stat == stat:
                    found[name] = known
                    continue
                marks = _marks(stat)
                if known is not None and not its_turn and known.marks == marks:
                    found[name] = known._replace(stat=stat)
                else:
                    anew[name] = stat, marks
            rows, unusual = scan_sizes(root_fd, list(anew), page_size)
        # A score is a witness while it is fresh only; what is kept here will be old.
        others = (task._replace(kernel_oom_score=None) for task in scan.read_some(unusual))
        tasks = [*(Task(*row) for row in rows), *others]
        for task in tasks:
            name = str(task.pid)
            stat, marks = anew[name]
            faults = Faults(int(marks[2]), int(marks[3]))
            found[name] = _Known(stat, marks, task, identity(task), faults)
        return found


def _same(known: _Known, in_full: Mapping[int, Task]) -> Task:
    """Return a process as it was read in full, if it is still the same one."""
    task = in_full.get(known.task.pid)
    return task if task is not None and identity(task) == known.who else known.task


def _placed(task: Task, places: Mapping[int, Memcg]) -> Task:
    """Return the task with the memory cgroup whose cgroup.procs names it."""
    memcg = places.get(task.pid)
    if memcg is None:
        return task
    return task._replace(cgroups=(("memory" if memcg.version == 1 else "", memcg.path),))


def _read_stat(root_fd: int, name: str) -> bytes | None:
    """Return a process's stat, None where it has ended or is hidden."""
    try:
        file = os.open(f"{name}/stat", os.O_RDONLY, dir_fd=root_fd)
    except OSError:
        return None
    try:
        return os.read(file, _READ_SIZE)
    except OSError:
        return None
    finally:
        os.close(file)


def _marks(stat: bytes) -> _Marks:
    """Return what shows a change of size. Raises SourceError where stat is not proc(5)'s."""
    words = stat[stat.rindex(b")") + 2 :].split(None, 22)
    try:
        return words[19], words[21], words[7], words[9]
    except IndexError as error:
        raise SourceError(f"stat is not as proc(5) describes it: {stat[:80]!r}") from error


def _read_boot_id(root: Path) -> str:
    try:
        return (root / "sys/kernel/random/boot_id").read_text("ascii").strip()
    except (OSError, ValueError):
        return ""
