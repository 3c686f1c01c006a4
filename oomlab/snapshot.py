"""The one value: a machine as the OOM killer would see it, immutable, memory in pages.

``None`` always means that the source does not say; it is never shown or counted as 0.
Records are named tuples: a machine has tens of thousands of tasks, and a frozen dataclass takes
20 times as long to make and 7 times as long to import.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from .memcg import Container, Memcg, Pressure
from .meminfo import MemInfo


class Task(NamedTuple):
    """One process (thread group), with what its badness depends on.

    ``kernel_oom_score`` is the kernel's own /proc/PID/oom_score: a witness, never an input.
    """

    pid: int
    comm: str
    ppid: int | None = None
    state: str | None = None
    start_ticks: int | None = None
    """Start time since boot in units of USER_HZ (1/100 s): /proc/PID/stat field 22."""
    kernel_thread: bool = False
    has_mm: bool | None = None
    """Whether some thread still owns a memory map; None where that could not be read."""
    oom_score_adj: int | None = None
    rss_pages: int | None = None
    """VmRSS of status, which is also statm's second field."""
    rss_stat_pages: int | None = None
    """stat field 24; differs from ``rss_pages`` where only one of them is an exact sum."""
    swap_pages: int | None = None
    pagetable_bytes: int | None = None
    """VmPTE: all levels from 4.15 on, the last level only before."""
    pmd_bytes: int | None = None
    """VmPMD, which only 4.0 to 4.14 print."""
    kernel_oom_score: int | None = None
    oom_adj: int | None = None
    uid: int | None = None
    euid: int | None = None
    user: str | None = None
    nice: int | None = None
    threads: int | None = None
    cpu_ticks: int | None = None
    """User plus system time of the thread group in USER_HZ: stat fields 14 + 15."""
    flags: int | None = None
    """PF_* flags: stat field 9."""
    rss_anon_pages: int | None = None
    rss_file_pages: int | None = None
    rss_shmem_pages: int | None = None
    total_vm_pages: int | None = None
    cap_effective: int | None = None
    in_init_userns: bool | None = None
    mems_allowed: str | None = None
    cgroups: tuple[tuple[str, str], ...] | None = None
    """(controllers, path) in /proc/PID/cgroup's order; controllers is "" for cgroup v2."""
    cmdline: tuple[str, ...] | None = None
    hidden_pages: int | None = None
    """At most so many pages count against the task beside those that its source shows: swap and
    page tables that a report's table has no column for."""
    passed_over: bool = False
    """The kernel showed that it passes the task over although nothing visible says why:
    a vfork in progress or a memory map already reaped (MMF_OOM_SKIP)."""

    def cgroup_path(self, controller: str) -> str | None:
        """Return the task's path in the hierarchy of ``controller`` ("" for cgroup v2)."""
        for controllers, path in self.cgroups or ():
            if controller in controllers.split(","):
                return path
        return None


class Node(NamedTuple):
    """One NUMA node: pages it spans with holes, pages present, pages handed to the allocator."""

    number: int
    spanned_pages: int
    present_pages: int
    managed_pages: int | None = None
    free_pages: int | None = None
    file_pages: int | None = None
    """File cache on the node's two file lists, which reclaim takes from; tmpfs is not there."""


class Machine(NamedTuple):
    """What is true of the whole machine; any field may be unknown but the page size."""

    page_size: int
    word_bits: int = 64
    release: str | None = None
    ram_pages: int | None = None
    """MemTotal, which is the kernel's totalram_pages."""
    swap_pages: int | None = None
    """SwapTotal, which is the kernel's total_swap_pages unless a swapoff is running."""
    available_pages: int | None = None
    """MemAvailable: free memory and what reclaim would give without swapping."""
    free_pages: int | None = None
    """MemFree."""
    swap_free_pages: int | None = None
    """SwapFree."""
    anon_pages: int | None = None
    """AnonPages: anonymous memory in RAM, which only ends with its processes."""
    shmem_pages: int | None = None
    """Shmem: tmpfs and shared memory."""
    swapped_out_pages: int | None = None
    """Pages ever swapped out since boot (vmstat): 0 proves every swap counter to be 0."""
    oom_kills: int | None = None
    """Processes killed since boot, whoever's limit was hit (vmstat oom_kill, since 4.13)."""
    cpus: int | None = None
    """Online CPUs, from which the error of the per-CPU counters follows."""
    nodes: tuple[Node, ...] | None = None
    uptime_seconds: int | None = None
    timer_hz: int | None = None
    """CONFIG_HZ, which no file of /proc shows; only rules before 2.6.36 ask for it."""
    init_pid_namespace: bool | None = None
    """Whether pid 1 of this view is the global init; False inside a container."""
    meminfo_replaced: bool | None = None
    """Something is mounted over meminfo (lxcfs): the totals are sysinfo(2)'s instead."""
    oom_kill_allocating_task: int | None = None
    panic_on_oom: int | None = None
    oom_dump_tasks: int | None = None
    overcommit_memory: int | None = None
    overcommit_ratio: int | None = None
    overcommit_kbytes: int | None = None
    min_free_kbytes: int | None = None
    swappiness: int | None = None
    pressure: Pressure | None = None

    @property
    def init_pid(self) -> int | None:
        """The pid that the global init has in this view: 1, or None inside a container."""
        return None if self.init_pid_namespace is False else 1

    @property
    def totalpages(self) -> int | None:
        """RAM plus swap: what oom_score and a machine-wide OOM divide by."""
        if self.ram_pages is None or self.swap_pages is None:
            return None
        return self.ram_pages + self.swap_pages


class Reported(NamedTuple):
    """Which OOM a report's snapshot is of, and whose rules its lines show."""

    constraint: str
    rules_of: str
    """A release whose rules the report shows: a distribution's own may be another."""
    evidence: str
    memcg: str | None = None
    totalpages_low: int | None = None
    """Of an OOM of a memory cgroup or of some nodes: the least that totalpages can have been."""
    totalpages_high: int | None = None
    """The most; None where nothing bounds it."""
    root_bonus: str | None = None
    """Another root bonus than that release has, where the kernel's printed score shows it."""

    @property
    def is_fitted(self) -> bool:
        """Tell whether the printed score told a rule or totalpages: it can't check them too."""
        return f"; {FITTED}" in self.evidence


FITTED = "printed score"
"""Stands in ``Reported.evidence`` where the kernel's printed score was a part of it."""


MAX_PAGES = 1 << 52
"""More than any machine addresses: larger sizes are refused as mistakes."""


class Gap(NamedTuple):
    """Something that could not be read: what, why, and of which processes."""

    what: str
    why: str
    pids: tuple[int, ...] = ()

    def __str__(self) -> str:
        if not self.pids:
            return f"{self.what}: {self.why}"
        shown = ", ".join(map(str, self.pids[:3])) + (", ..." if len(self.pids) > 3 else "")
        noun = "process" if len(self.pids) == 1 else "processes"
        return f"{self.what} of {len(self.pids)} {noun} ({shown}): {self.why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A machine, its tasks in the kernel's scan order (order decides ties), its memory cgroups."""

    machine: Machine
    tasks: tuple[Task, ...]
    memcgs: tuple[Memcg, ...] | None = None
    taken_at: str | None = None
    """ISO 8601 time in UTC."""
    source: str = ""
    gaps: tuple[Gap, ...] = field(default=())
    containers: tuple[Container, ...] | None = None
    """Names of containers, where the local engines' state files could be read."""
    meminfo: MemInfo | None = None
    """The machine's memory counters, where they were asked for."""
    reported: Reported | None = None
    """Where the tasks are those of an OOM report: which OOM that was."""

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)


def scan_order_key(task: Task) -> tuple[int, int]:
    """Sort tasks into the global list's order: by start time, equal ticks by pid.

    Equal start ticks across a wrap of the pid counter can't be told apart from userland.
    """
    return (task.start_ticks if task.start_ticks is not None else 0, task.pid)
