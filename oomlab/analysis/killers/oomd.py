"""systemd-oomd's choice: a whole cgroup, by swap usage or by reclaim activity.

Sources: systemd-oomd.service(8), oomd.conf(5), systemd.resource-control(5), as of systemd 255 and
newer; the descent and what decides among equals are those of its src/oom/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from ...errors import InputError
from ...kernel.scope import is_inside, parent_of, system_scope
from ...memcg import Memcg
from ...snapshot import Machine, Snapshot
from ..cgroups import all_paths
from ..ranking import Ranking, rank
from .partial import Measured, Places, places_by_measure

LEAST_SWAP_PERCENT = 5
"""A cgroup with no more of all swap than this is not killed for swap."""


class Standing(NamedTuple):
    """How a cgroup stands for one of the two causes of a kill. What is None is unknown."""

    why_not: str | None
    """Why it is not killed for this, None where it may be."""
    avoided: bool | None
    """ManagedOOMPreference=avoid, and systemd-oomd heeds it."""
    places: Places | None = None
    """The best and the worst place, None for one that is not killed."""


class Candidate(NamedTuple):
    """A cgroup below the monitored one."""

    memcg: Memcg
    swap: Standing
    pressure: Standing

    @property
    def may_be_killed(self) -> bool:
        """Whether it is in the running for either cause."""
        return self.swap.why_not is None or self.pressure.why_not is None


@dataclass(frozen=True, kw_only=True)
class OomdRanking:
    """The cgroups that systemd-oomd weighs below one monitored cgroup, and all others there."""

    snapshot: Snapshot
    monitored: str
    kernel: Ranking
    candidates: tuple[Candidate, ...]
    spared: tuple[Candidate, ...]

    @cached_property
    def by_swap(self) -> tuple[Candidate, ...]:
        """Those that may be killed to relieve swap, likeliest first."""
        return _ordered(self.candidates, lambda one: one.swap)

    @cached_property
    def by_pressure(self) -> tuple[Candidate, ...]:
        """Those that may be killed to relieve memory pressure, likeliest first."""
        return _ordered(self.candidates, lambda one: one.pressure)


def _ordered(
    candidates: Iterable[Candidate], standing: Callable[[Candidate], Standing]
) -> tuple[Candidate, ...]:
    placed = [(standing(one).places, one) for one in candidates]
    known = [(sum(places), places, one) for places, one in placed if places is not None]
    return tuple(one for *_, one in sorted(known, key=lambda item: item[:2]))


def rank_oomd(
    snapshot: Snapshot, monitored: str = "/", *, kernel: str | None = None
) -> OomdRanking:
    """Rank the cgroups below a monitored one as systemd-oomd would kill them.

    ``monitored`` is the cgroup of a unit with ManagedOOMSwap=kill or ManagedOOMMemoryPressure=
    kill, which the cgroup file system does not show. Raises InputError where the snapshot has
    no memory cgroups, only those of cgroup v1, or not that one.
    """
    by_path = {memcg.path: memcg for memcg in snapshot.memcgs or ()}
    if not by_path:
        raise InputError(
            "systemd-oomd kills cgroups, and the source has no memory cgroups "
            "(oomlab snapshot saves them)"
        )
    if any(memcg.version == 1 for memcg in by_path.values()):
        raise InputError("systemd-oomd needs cgroup v2; the memory cgroups here are of v1")
    if monitored not in by_path:
        raise InputError(f"no memory cgroup {monitored!r} to be monitored")
    children = _children(snapshot)
    eligible = {memcg.path for memcg in _descend(by_path, children, monitored)}
    weighed = [
        _weigh(memcg, by_path[monitored], snapshot.machine, _place(memcg, children, eligible))
        for memcg in by_path.values()
        if memcg.path != monitored or memcg.path in eligible
        if is_inside(memcg.path, monitored)
    ]
    placed = _placed(weighed)
    return OomdRanking(
        snapshot=snapshot,
        monitored=monitored,
        kernel=rank(snapshot, kernel=kernel, scope=system_scope(snapshot)),
        candidates=tuple(one for one in placed if one.may_be_killed),
        spared=tuple(one for one in placed if not one.may_be_killed),
    )


def _children(snapshot: Snapshot) -> dict[str, list[str]]:
    """Return the known cgroups right below each: those without the controller count as well."""
    found: dict[str, list[str]] = {}
    seen: set[str] = set()
    for path in all_paths(snapshot):
        below, above = path, parent_of(path)
        while above is not None and below not in seen:
            seen.add(below)
            found.setdefault(above, []).append(below)
            below, above = above, parent_of(above)
    return found


def _descend(
    by_path: dict[str, Memcg], children: dict[str, list[str]], path: str
) -> Iterator[Memcg]:
    """Yield the candidates: leaves, and from above the first with memory.oom.group set."""
    below = children.get(path, [])
    if not below:
        yield by_path[path]
    for child in below:
        memcg = by_path.get(child)
        if memcg is None or memcg.oom_group is None:
            continue  # without the memory controller, or gone: nothing is known of it
        if memcg.oom_group:
            yield memcg
        else:
            yield from _descend(by_path, children, child)


def _place(memcg: Memcg, children: dict[str, list[str]], eligible: set[str]) -> str | None:
    if memcg.path in eligible:
        return None
    return "not a leaf" if children.get(memcg.path) else "not reached"


def _weigh(memcg: Memcg, monitored: Memcg, machine: Machine, why: str | None) -> Candidate:
    def standing(heeded: bool | None, own_reason: str | None) -> Standing:
        wish = memcg.oomd_preference
        omitted = "ManagedOOMPreference=omit" if heeded and wish == "omit" else None
        unknown = wish is None or heeded is None
        avoided = None if unknown else bool(heeded) and wish == "avoid"
        return Standing(why or omitted or own_reason, avoided)

    for_swap = _heeds(memcg, 0)
    for_pressure = _heeds(memcg, monitored.owner_uid)
    return Candidate(
        memcg,
        standing(for_swap, _swap_spares(memcg, machine)),
        standing(for_pressure, _idle(memcg)),
    )


def _heeds(memcg: Memcg, owner: int | None) -> bool | None:
    """Tell whether a preference counts: root owns the cgroup, or ``owner`` does.

    That is who owns the monitored cgroup, and root where swap is to be relieved.
    """
    if memcg.oomd_preference == "none" or memcg.owner_uid == 0:
        return True
    if memcg.owner_uid is None or owner is None:
        return None
    return memcg.owner_uid == owner


def _swap_spares(memcg: Memcg, machine: Machine) -> str | None:
    total, used = machine.swap_pages, memcg.swap_usage_pages
    if total == 0:
        return "there is no swap"
    if total is None or used is None:
        return None
    least = total * machine.page_size * LEAST_SWAP_PERCENT // 100
    if used * machine.page_size <= least:
        return f"no more than {LEAST_SWAP_PERCENT}% of swap"
    return None


def _idle(memcg: Memcg) -> str | None:
    idle = memcg.pagescans == 0 and memcg.usage_pages == 0
    return "neither reclaim nor memory" if idle else None


def _placed(weighed: list[Candidate]) -> list[Candidate]:
    by_swap = _places_by(_swap, [one for one in weighed if one.swap.why_not is None])
    by_pressure = _places_by(_reclaim, [one for one in weighed if one.pressure.why_not is None])
    return [
        one._replace(
            swap=one.swap._replace(places=by_swap.get(one.memcg.path)),
            pressure=one.pressure._replace(places=by_pressure.get(one.memcg.path)),
        )
        for one in weighed
    ]


def _places_by(
    measure: Callable[[Candidate], Measured], candidates: list[Candidate]
) -> dict[str, Places]:
    places = places_by_measure([measure(one) for one in candidates])
    return {one.memcg.path: place for one, place in zip(candidates, places, strict=True)}


_ENDLESS = 1 << 62


def _swap(one: Candidate) -> Measured:
    used = one.memcg.swap_usage_pages
    low, high = (0, _ENDLESS) if used is None else (used, used)
    return Measured(used is not None, one.swap.avoided, (low, 0), (high, 0))


def _reclaim(one: Candidate) -> Measured:
    """Bound (pages scanned since the last look a second ago, usage), compared in this order.

    One look shows the sum since the cgroup's beginning only: its growth is at most that.
    """
    scans, usage = one.memcg.pagescans, one.memcg.usage_pages
    low, high = (0, _ENDLESS) if usage is None else (usage, usage)
    most = (_ENDLESS if scans is None else scans, high)
    return Measured(bool(scans or usage), one.pressure.avoided, (0, low), most)
