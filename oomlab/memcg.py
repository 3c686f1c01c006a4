"""A memory cgroup: limits and usage in pages, its pressure, and whose container it is."""

from __future__ import annotations

from typing import NamedTuple

UNLIMITED_PAGES = (1 << 63) - 1
"""A limit that is off. The kernel's own value depends on its page size; all are this large."""


def is_unlimited(pages: int) -> bool:
    """Tell whether a limit, or what is left of one, is no limit at all."""
    return pages >= UNLIMITED_PAGES >> 1


class Pressure(NamedTuple):
    """Pressure stall information of memory: shares of time in percent, as the kernel prints them.

    ``some``: at least one task waited for memory; ``full``: all that wanted to run did.
    Source: Documentation/accounting/psi.rst; eb414681d5a0 (in v4.20).
    """

    some_avg10_percent: float | None = None
    some_avg60_percent: float | None = None
    some_avg300_percent: float | None = None
    some_total_us: int | None = None
    full_avg10_percent: float | None = None
    full_avg60_percent: float | None = None
    full_avg300_percent: float | None = None
    full_total_us: int | None = None


class Memcg(NamedTuple):
    """One memory cgroup. Limits in pages; None is unknown, ``UNLIMITED_PAGES`` is no limit."""

    path: str
    version: int
    limit_pages: int | None = None
    swap_limit_pages: int | None = None
    """memory.swap.max (v2)."""
    memsw_limit_pages: int | None = None
    """memory.memsw.limit_in_bytes (v1)."""
    usage_pages: int | None = None
    swap_usage_pages: int | None = None
    swappiness: int | None = None
    """memory.swappiness (v1)."""
    oom_group: bool | None = None
    oom_kills: int | None = None
    """Processes of this very cgroup that an OOM killer killed, whoever's limit was hit."""
    creation_order: int | None = None
    """The directory's inode number: grows with creation, and siblings are walked by it."""
    pids: tuple[int, ...] | None = None
    """cgroup.procs; on v2 that is the very order in which the kernel walks the members."""
    high_pages: int | None = None
    """memory.high (v2): above it the members are slowed down and reclaimed from, never killed."""
    min_pages: int | None = None
    """memory.min (v2): reclaim from outside takes nothing below it."""
    low_pages: int | None = None
    """memory.low (v2): the same while others have something to give."""
    memsw_usage_pages: int | None = None
    """memory.memsw.usage_in_bytes (v1)."""
    peak_pages: int | None = None
    """memory.peak (v2), memory.max_usage_in_bytes (v1)."""
    anon_pages: int | None = None
    """Anonymous memory of the cgroup and all below it, as all figures of memory.stat here."""
    shmem_pages: int | None = None
    """tmpfs, shared anonymous and System V memory: goes to swap or stays, whoever dies."""
    inactive_file_pages: int | None = None
    active_file_pages: int | None = None
    unevictable_pages: int | None = None
    slab_reclaimable_pages: int | None = None
    pagescans: int | None = None
    """Pages that reclaim has looked at (pgscan, v2): systemd-oomd compares its growth."""
    oom_events: int | None = None
    """memory.events oom (v2), below included: how often an allocation was about to fail."""
    oom_kills_below: int | None = None
    """Processes killed in the cgroup and all below it (memory.events oom_kill, v2)."""
    oom_group_kills: int | None = None
    limit_hits: int | None = None
    """How often usage met the limit: memory.events max (v2), memory.failcnt (v1)."""
    oom_kill_disabled: bool | None = None
    """v1's memory.oom_control: at the limit the members wait instead of being killed."""
    hierarchical: bool | None = None
    """v1's memory.use_hierarchy: False if what is below is not charged to this cgroup (5.10)."""
    pressure: Pressure | None = None
    owner_uid: int | None = None
    """Who owns the directory: 0, or the user to whom the cgroup was handed."""
    oomd_preference: str | None = None
    """ManagedOOMPreference= as systemd leaves it for systemd-oomd in user.oomd_avoid and
    user.oomd_omit (v2): none, avoid or omit."""

    @property
    def file_pages(self) -> int | None:
        """File cache on both file lists: what reclaim drops before anybody is killed."""
        if self.inactive_file_pages is None or self.active_file_pages is None:
            return None
        return self.inactive_file_pages + self.active_file_pages


class Container(NamedTuple):
    """What a local engine's state files say of a container."""

    id: str
    """64 hexadecimal digits."""
    engine: str
    """docker, podman, containerd or cri-o."""
    name: str | None = None
    image: str | None = None
    main_pid: int | None = None
    """The container's pid 1 as the machine numbers it."""
    pod_uid: str | None = None
    pod: str | None = None
    namespace: str | None = None
    """The Kubernetes namespace of the pod."""
