"""How much more a cgroup or the machine can use until the OOM killer comes.

Before it kills, the kernel reclaims: file cache goes first, then anonymous memory goes to swap
where there is some. So what is left is the free part of the limit, the file cache that may go,
and the swap that may be used. How much of the cache can really go is known only at the end
(dirty, mapped or busy pages), so it bounds the room from above; the free part bounds it from
below.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..kernel.scope import Members
from ..memcg import UNLIMITED_PAGES, Memcg
from ..snapshot import Machine
from .unknown import minus, sum_if_known


class Room(NamedTuple):
    """What a scope may use and uses, in pages; None is unknown."""

    limit_pages: int | None
    usage_pages: int | None
    swap_limit_pages: int | None
    """Swap that it may use, at most what the machine has."""
    swap_usage_pages: int | None
    reclaimable_pages: int | None
    """File cache and reclaimable slab: at most so much goes before anybody is killed."""
    free_pages: int | None
    """Between usage and limit; negative where the limit was lowered below the usage."""
    swap_free_pages: int | None

    @property
    def headroom_pages(self) -> int | None:
        """Pages that its processes can still take, at most, until the killer comes."""
        parts = (self.free_pages, self.reclaimable_pages, self.swap_free_pages)
        known = [part for part in parts if part is not None]
        return max(0, sum(known)) if len(known) == len(parts) else None

    @property
    def share_used(self) -> float | None:
        """The part of limit and swap that can't be given back: 1 where the killer comes."""
        if self.limit_pages is None or self.headroom_pages is None:
            return None
        total = self.limit_pages + (self.swap_limit_pages or 0)
        return 1.0 - min(1.0, self.headroom_pages / total) if total else 1.0


def machine_room(machine: Machine) -> Room:
    """Return the machine's room: MemAvailable already counts what reclaim would give."""
    ram, free, available = machine.ram_pages, machine.free_pages, machine.available_pages
    total, swap_free = machine.swap_pages, machine.swap_free_pages
    if swap_free is None and total == 0:
        swap_free = 0
    known = ram is not None and free is not None
    return Room(
        limit_pages=ram,
        usage_pages=ram - free if known and ram is not None and free is not None else None,
        swap_limit_pages=total,
        swap_usage_pages=minus(total, swap_free),
        reclaimable_pages=minus(available, free),
        free_pages=free,
        swap_free_pages=swap_free,
    )


def nodes_room(machine: Machine, nodes: frozenset[int]) -> Room:
    """Return the room on some memory nodes: their free memory, their file cache, and all swap."""
    chosen = [node for node in machine.nodes or () if node.number in nodes]
    limit = free = cache = None
    if chosen:  # what nodes have that are not known is unknown, not nothing
        limit = sum_if_known(node.managed_pages for node in chosen)
        free = sum_if_known(node.free_pages for node in chosen)
        cache = sum_if_known(node.file_pages for node in chosen)
    whole = machine_room(machine)
    return Room(
        limit_pages=limit,
        usage_pages=minus(limit, free),
        swap_limit_pages=whole.swap_limit_pages,
        swap_usage_pages=whole.swap_usage_pages,
        reclaimable_pages=cache,
        free_pages=free,
        swap_free_pages=whole.swap_free_pages,
    )


def memcg_room(members: Members, path: str) -> Room:
    """Return the room below a memory cgroup's own limits; its ancestors' may be less."""
    memcg, machine = members.by_path[path], members.snapshot.machine
    swap_limit, swap_free = _swap(memcg, members.above(path), machine)
    return Room(
        limit_pages=memcg.limit_pages,
        usage_pages=memcg.usage_pages,
        swap_limit_pages=swap_limit,
        swap_usage_pages=memcg.swap_usage_pages,
        reclaimable_pages=_reclaimable(members, memcg),
        free_pages=minus(memcg.limit_pages, memcg.usage_pages),
        swap_free_pages=swap_free,
    )


def _reclaimable(members: Members, top: Memcg) -> int | None:
    """Return what reclaim for this cgroup may take, at most.

    memory.min of a cgroup below protects that much of its usage; the cgroup's own protects it
    against others only.
    """
    if top.file_pages is None:
        return None
    total = top.file_pages + (top.slab_reclaimable_pages or 0)
    below = members.below(top.path)
    protected = [memcg for memcg in below if memcg.min_pages and memcg is not top]
    kept = 0
    for memcg in protected:
        if memcg.min_pages is None or memcg.usage_pages is None:
            continue
        if any(
            other is not memcg and memcg.path.startswith(f"{other.path}/") for other in protected
        ):
            continue  # counted with the one above it
        theirs = (memcg.file_pages or 0) + (memcg.slab_reclaimable_pages or 0)
        kept += max(0, theirs - max(0, memcg.usage_pages - memcg.min_pages))
    return max(0, total - kept)


def _swap(memcg: Memcg, above: Sequence[Memcg], machine: Machine) -> tuple[int | None, int | None]:
    """Return how much swap the cgroup may use in all, and how much more of it.

    Source: mem_cgroup_get_max() for the first; with a swappiness of 0 a cgroup's reclaim leaves
    anonymous memory where it is (get_scan_count() in mm/vmscan.c).
    """
    swappiness = memcg.swappiness if memcg.version == 1 else machine.swappiness
    total, left = machine.swap_pages, machine.swap_free_pages
    if total == 0 or swappiness == 0:
        total = left = 0
    if total is None:
        return None, None
    if memcg.version == 1:
        return _swap_of_version_1(memcg, total, left)
    own = total if memcg.swap_limit_pages is None else min(memcg.swap_limit_pages, total)
    for one in above:
        if one.swap_limit_pages is not None and one.swap_limit_pages != UNLIMITED_PAGES:
            rest = minus(one.swap_limit_pages, one.swap_usage_pages)
            left = None if left is None or rest is None else min(left, max(0, rest))
    return own, left


def _swap_of_version_1(memcg: Memcg, total: int, left: int | None) -> tuple[int | None, int | None]:
    """With v1 the second limit is of memory and swap together."""
    limit, both = memcg.limit_pages, memcg.memsw_limit_pages
    if both is None or both == UNLIMITED_PAGES or limit is None:
        return total, left
    share = min(total, max(0, both - limit))
    room, free = minus(both, memcg.memsw_usage_pages), minus(limit, memcg.usage_pages)
    if left is None or room is None or free is None:
        return share, None
    # Both together grow by no more than what is left of their limit: negative if that is less
    # than what is free of the memory limit alone.
    return share, min(left, room - free)
