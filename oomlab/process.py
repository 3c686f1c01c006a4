"""What is asked of a single process beside what the OOM killer counts. ``None``: not told."""

from __future__ import annotations

from typing import NamedTuple

from .snapshot import Gap


class Vitals(NamedTuple):
    """Faults and sizes of one process at one moment."""

    pid: int
    at_seconds: float
    """CLOCK_MONOTONIC when they were read."""
    minor_faults: int
    """/proc/PID/stat field 10, of all its threads."""
    major_faults: int
    """Field 12: those that had to wait for a disk or swap."""
    age_seconds: float | None = None
    total_vm_pages: int | None = None
    """statm's first field: VIRT."""
    resident_pages: int | None = None
    shared_pages: int | None = None
    """statm's third field, file plus shmem pages: SHR."""


class Sharers(NamedTuple):
    """Who else has a file of memory mapped (shared anonymous memory, memfd, SysV, tmpfs)."""

    by_file: dict[tuple[str, int], tuple[int, ...]]
    """(device, inode) as in maps, to the other processes."""
    unseen: int = 0
    """Processes whose maps could not be read."""


class SysvSegment(NamedTuple):
    """One line of /proc/sysvipc/shm."""

    shmid: int
    attached: int
    destroyed: bool
    """IPC_RMID was called: it goes with the last process that has it attached."""


class ElfFacts(NamedTuple):
    """What a program or library says of its allocator."""

    path: str
    """As in maps."""
    defined: frozenset[str]
    """Those of the symbols asked for that it defines."""
    sections: frozenset[str]
    interpreter: str | None
    """The dynamic loader; None for a library and for a program linked statically."""
    stripped: bool
    """Only dynamic symbols are left: what is linked in can't be seen."""


class Unit(NamedTuple):
    """A systemd unit."""

    name: str
    uid: int | None = None
    """Of the user whose manager starts it; None for the system's."""


class UnitSetting(NamedTuple):
    """What the files of a systemd unit say of its processes' oom_score_adj."""

    unit: Unit
    oom_score_adj: int | None
    """None where neither the unit nor the manager's default sets it."""
    file: str | None
    """The file whose assignment counts."""
    found: bool
    """Whether there is a file of the unit at all."""


class ProcessFiles(NamedTuple):
    """All that explain reads of one process beside its mappings."""

    vitals: Vitals | None = None
    tunables: tuple[tuple[str, str], ...] | None = None
    """The variables of its first environment that allocators know; None: may not be read."""
    sharers: Sharers | None = None
    segments: tuple[SysvSegment, ...] = ()
    elves: tuple[ElfFacts, ...] | None = None
    """The program first, then its libraries; None where symbols could not be read."""
    unit_setting: UnitSetting | None = None
    """Of the unit that starts it; None where none does."""
    gaps: tuple[Gap, ...] = ()
