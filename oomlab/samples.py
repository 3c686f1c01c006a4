"""What watching gathers: a machine's sizes at one moment, with what a snapshot has no room for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from .snapshot import Snapshot, Task

Identity = tuple[int, int]
"""A process for as long as it lives: its pid and its start time."""


class Faults(NamedTuple):
    """Page faults since the process began: /proc/PID/stat fields 10 and 12."""

    minor: int
    major: int


class Kinds(NamedTuple):
    """Resident bytes of one process by kind of memory, and what it has swapped out.

    ``anon_bytes``, ``file_bytes`` and ``shmem_bytes`` sum to the RSS of the moment when they
    were read. None is what could not be read.
    """

    anon_bytes: int | None = None
    heap_bytes: int | None = None
    """The part of ``anon_bytes`` that is in the brk heap."""
    mmap_bytes: int | None = None
    """The rest of it: private mappings, stacks, written data of programs and libraries."""
    file_bytes: int | None = None
    shmem_bytes: int | None = None
    swap_bytes: int | None = None
    allocated_bytes: int | None = None
    """What the program's allocator has taken from the kernel, where its heap was read."""
    in_use_bytes: int | None = None
    """What of that the program holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look at a machine."""

    seconds: float
    """CLOCK_MONOTONIC: it stands still while the machine sleeps, as its processes do."""
    snapshot: Snapshot
    boot_id: str = ""
    """/proc/sys/kernel/random/boot_id: monotonic time counts from that boot."""
    faults: Mapping[Identity, Faults] = field(default_factory=dict)
    kinds: Mapping[Identity, Kinds] = field(default_factory=dict)


def identity(task: Task) -> Identity:
    """Return what tells a process from another that got its pid later."""
    return task.pid, task.start_ticks if task.start_ticks is not None else -1


def used_pages(task: Task) -> int | None:
    """Return RSS and swap: what a process takes, wherever it is. None where unknown."""
    if task.rss_pages is None:
        return None
    return task.rss_pages + (task.swap_pages or 0)
