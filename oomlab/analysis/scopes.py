"""Every place where an OOM can happen on a machine: itself, limited cgroups, memory nodes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..errors import InputError
from ..kernel.eras import Era
from ..kernel.evidence import pick_era
from ..kernel.nodes import nodes_in
from ..kernel.scope import (
    Members,
    Scope,
    memcg_scope,
    node_scope,
    parent_of,
    reported_scope,
    system_scope,
)
from ..memcg import UNLIMITED_PAGES, Memcg, Pressure
from ..snapshot import Snapshot, Task
from .cgroups import cgroup_of, name_of
from .places import Place, place_of
from .ranking import Ranking, rank
from .room import Room, machine_room, memcg_room, nodes_room


class OomScope(NamedTuple):
    """One place where memory can run out, and what would happen then."""

    constraint: str
    place: Place
    name: str
    """How a user calls it: the container's or unit's name, "machine", "nodes 0-1"."""
    room: Room
    """Its own limits, and what is left of them."""
    memcg: Memcg | None = None
    nodes: frozenset[int] | None = None
    ranking: Ranking | None = None
    """Whom the kernel would kill there; None where totalpages can't be known (``why_not``)."""
    why_not: str | None = None
    limit_of: str | None = None
    """The ancestor whose limit is lower than its own; None where its own is the tightest."""
    first: str | None = None
    """Where memory runs out first if this scope grows: an ancestor's path ("" for the machine),
    None for its own limit."""
    headroom_pages: int | None = None
    """What it can still take, at most, until memory runs out there or anywhere above it."""

    @property
    def path(self) -> str | None:
        """The memory cgroup's path."""
        return None if self.memcg is None else self.memcg.path

    @property
    def pressure(self) -> Pressure | None:
        """How much its tasks wait for memory."""
        if self.memcg is not None:
            return self.memcg.pressure
        machine_wide = self.constraint == "CONSTRAINT_NONE"
        return self._machine_pressure if machine_wide else None

    @property
    def _machine_pressure(self) -> Pressure | None:
        return self.ranking.snapshot.machine.pressure if self.ranking is not None else None

    @property
    def waits(self) -> bool:
        """Tell whether v1's oom_kill_disable makes its tasks wait instead of dying."""
        return self.memcg is not None and self.memcg.oom_kill_disabled is True


def find_scopes(
    snapshot: Snapshot, *, kernel: str | Era | None = None, every: bool = False
) -> list[OomScope]:
    """Return the scopes of a snapshot, nearest to running out of memory first.

    With ``every``, memory cgroups without a limit too: no OOM happens at theirs. Raises
    InputError where the kernel's rules can't be known.
    """
    era = kernel if isinstance(kernel, Era) else pick_era(snapshot, kernel)
    members = Members(snapshot)
    scopes = [_machine(snapshot, era)]
    scopes += [_memcg(members, m, era) for m in members.by_path.values() if every or is_limited(m)]
    scopes += _cpusets(snapshot, era)
    return sorted(scopes, key=_nearness)


def scopes_of(snapshot: Snapshot, task: Task, *, kernel: str | Era | None = None) -> list[OomScope]:
    """Return the scopes in which a task is a candidate, the innermost first.

    Raises InputError where the kernel's rules can't be known.
    """
    era = kernel if isinstance(kernel, Era) else pick_era(snapshot, kernel)
    members = Members(snapshot)
    found = []
    own = next((path for path, tasks in members.own.items() if task in tasks), None)
    if own is not None:
        found += [_memcg(members, m, era) for m in members.above(own) if is_limited(m)]
    found += [scope for scope in _cpusets(snapshot, era) if _has(scope, task)]
    return [*found, _machine(snapshot, era)]


def is_limited(memcg: Memcg) -> bool:
    """Tell whether an OOM can happen at this cgroup's own limit, of memory or of both."""
    limits = (memcg.limit_pages, memcg.memsw_limit_pages)
    return any(limit is not None and limit != UNLIMITED_PAGES for limit in limits)


def limited_above(snapshot: Snapshot, path: str) -> str | None:
    """Return the innermost cgroup, from ``path`` up, that has a limit; None for the machine."""
    above = Members(snapshot).above(path)
    return next((memcg.path for memcg in above if is_limited(memcg)), None)


def _has(scope: OomScope, task: Task) -> bool:
    return scope.ranking is not None and any(one is task for one in scope.ranking.scope.tasks)


def _nearness(scope: OomScope) -> tuple[bool, float, int, str]:
    """Sort by the share used for good, the largest first; without one by the room left."""
    share, room = scope.room.share_used, scope.room.headroom_pages
    unlimited = scope.memcg is not None and not is_limited(scope.memcg)
    near = -share if share is not None and not unlimited else 1.0
    return (share is None or unlimited, near, room if room is not None else 1 << 62, scope.name)


def _machine(snapshot: Snapshot, era: Era) -> OomScope:
    room = machine_room(snapshot.machine)
    ranking, why_not = None, None
    try:
        ranking = rank(snapshot, kernel=era, scope=system_scope(snapshot))
    except InputError as error:
        why_not = str(error)
    return OomScope(
        constraint="CONSTRAINT_NONE",
        place=place_of("/"),
        name="machine",
        room=room,
        ranking=ranking,
        why_not=why_not,
        headroom_pages=room.headroom_pages,
    )


def _memcg(members: Members, memcg: Memcg, era: Era) -> OomScope:
    snapshot, place = members.snapshot, place_of(memcg.path)
    ranking, why_not = None, None
    try:
        scope = _scope_of(members, memcg, era)
        ranking = rank(snapshot, kernel=era, scope=scope)
    except InputError as error:
        why_not = str(error)
    first, headroom = _first_to_run_out(members, memcg)
    return OomScope(
        constraint="CONSTRAINT_MEMCG",
        place=place,
        name=name_of(snapshot, place),
        room=memcg_room(members, memcg.path),
        memcg=memcg,
        ranking=ranking,
        why_not=why_not,
        limit_of=_tighter_above(members, memcg),
        first=first,
        headroom_pages=headroom,
    )


def _scope_of(members: Members, memcg: Memcg, era: Era) -> Scope:
    """Return the cgroup's scope: of the very OOM that a report is of, what the report says."""
    reported = members.snapshot.reported
    if reported is not None and reported.memcg == memcg.path:
        scope = reported_scope(members.snapshot)
        assert scope is not None
        return scope
    return memcg_scope(members.snapshot, memcg.path, era.facts, members)


def _tighter_above(members: Members, memcg: Memcg) -> str | None:
    """Return the ancestor with the lowest limit where that is lower than the cgroup's own."""
    lowest, of = memcg.limit_pages, None
    for one in members.above(memcg.path)[1:]:
        if one.limit_pages is not None and (lowest is None or one.limit_pages < lowest):
            lowest, of = one.limit_pages, one.path
    return of


def _first_to_run_out(members: Members, memcg: Memcg) -> tuple[str | None, int | None]:
    """Return whose limit is met first if the cgroup grows, and how much it can take until then.

    A charge goes up from the cgroup to the top and fails at the first limit that it meets
    (try_charge() in mm/memcontrol.c), so of equals the innermost comes first.
    """
    rooms: list[tuple[str | None, int | None]] = []
    for one in members.above(memcg.path):
        if is_limited(one):
            path = None if one is memcg else one.path
            rooms.append((path, memcg_room(members, one.path).headroom_pages))
    rooms.append(("", machine_room(members.snapshot.machine).headroom_pages))
    known = [(pages, path) for path, pages in rooms if pages is not None]
    if not known:
        return None, None
    pages, path = min(known, key=lambda room: room[0])
    # A limit whose room is unknown may be met earlier.
    certain = len(known) == len(rooms)
    return path, pages if certain else None


def _cpusets(snapshot: Snapshot, era: Era) -> list[OomScope]:
    """Return a scope for each set of memory nodes that some tasks are confined to."""
    with_memory = frozenset(n.number for n in snapshot.machine.nodes or () if n.present_pages)
    if len(with_memory) < 2:
        return []
    confined: dict[frozenset[int], list[Task]] = {}
    for task in snapshot.tasks:
        if task.mems_allowed is None or task.kernel_thread:
            continue
        nodes = nodes_in(task.mems_allowed) & with_memory
        if nodes and nodes != with_memory:
            confined.setdefault(nodes, []).append(task)
    found = []
    for nodes, tasks in confined.items():
        scope = node_scope(snapshot, nodes, "CONSTRAINT_CPUSET", era.facts)
        found.append(_nodes(snapshot, era, scope, tasks))
    return found


def _nodes(snapshot: Snapshot, era: Era, scope: Scope, confined: list[Task]) -> OomScope:
    nodes = scope.nodes or frozenset()
    room = nodes_room(snapshot.machine, nodes)
    listed = ",".join(map(str, sorted(nodes)))
    return OomScope(
        constraint="CONSTRAINT_CPUSET",
        place=place_of(_common(confined)),
        name=f"node{'s' if len(nodes) > 1 else ''} {listed}",
        room=room,
        nodes=nodes,
        ranking=rank(snapshot, kernel=era, scope=scope),
        headroom_pages=room.headroom_pages,
    )


def _common(tasks: Iterable[Task]) -> str:
    """Return the innermost cgroup that holds all of the tasks."""
    common: str | None = None
    for task in tasks:
        path = task.cgroup_path("cpuset") or cgroup_of(task) or "/"
        common = path if common is None else common
        while common != "/" and path != common and not path.startswith(f"{common}/"):
            common = parent_of(common) or "/"
    return common or "/"
