"""Findings about memory cgroups: limits that hang or never bite, workers killed unseen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...kernel.adjust import oom_score_adj_of
from ...kernel.badness import OOM_SCORE_ADJ_MIN
from ...memcg import UNLIMITED_PAGES, Memcg
from ...snapshot import Task
from ...units import human
from ..cgroups import container_of
from ..choice import choose
from ..places import Place, place_of
from ..scopes import OomScope, is_limited
from .finding import Facts, Finding, listed, named


def unkillable_cgroups(facts: Facts) -> Iterator[Finding]:
    """A limited cgroup whose processes are all at -1000: at its limit nobody can be killed."""
    for scope in facts.cgroup_scopes:
        inside = [task for task in facts.inside(scope) if task.has_mm is not False]
        if scope.memcg is None or not is_limited(scope.memcg) or not inside:
            continue
        if all(oom_score_adj_of(task) == OOM_SCORE_ADJ_MIN for task in inside):
            yield Finding(
                "critical",
                "unkillable_cgroup",
                scope.name,
                f"all of it is at -1000 ({listed(inside)}): at its limit the kernel finds nobody "
                "to kill, and whoever needs memory there waits or fails",
                "let one of them be killed, or take the limit away",
                tuple(task.pid for task in inside),
                scope.path,
            )


def swap_beside_a_limit(facts: Facts) -> Iterator[Finding]:
    """A limit on memory alone: with swap unlimited its processes swap instead of meeting it.

    Said where those who may swap hold at least half of the cgroup's memory.
    """
    swap = facts.snapshot.machine.swap_pages
    page_size = facts.snapshot.machine.page_size
    for scope in facts.cgroup_scopes if swap else ():
        memcg = scope.memcg
        if memcg is None or memcg.limit_pages in (None, UNLIMITED_PAGES):
            continue
        free = [
            task
            for below in facts.members.below(memcg.path)
            if _swaps_freely(facts, below)
            for task in facts.members.own[below.path]
        ]
        if free and _pages(free) * 2 >= _pages(facts.inside(scope)):
            much = (swap or 0) >= (memcg.limit_pages or 0)
            yield Finding(
                "warning" if much else "info",
                "swap_beside_limit",
                scope.name,
                f"its limit of {human((memcg.limit_pages or 0) * page_size)} is on memory alone: "
                f"{listed(free)} may swap out up to {human((swap or 0) * page_size)} before it "
                "bites, and slow down long before that",
                "MemorySwapMax= (memory.swap.max); docker: --memory-swap",
                tuple(task.pid for task in free),
                scope.path,
            )


def _pages(tasks: Iterable[Task]) -> int:
    return sum(task.rss_pages or task.rss_stat_pages or 0 for task in tasks)


def _swaps_freely(facts: Facts, memcg: Memcg) -> bool:
    """Tell whether nothing from the cgroup up to the top limits its swap."""
    above = [one for one in facts.members.above(memcg.path) if one.path != "/"]
    if any(one.version == 1 and one.swappiness == 0 for one in above[:1]):
        return False
    limits = [m.swap_limit_pages if m.version == 2 else m.memsw_limit_pages for m in above]
    return bool(limits) and all(limit == UNLIMITED_PAGES for limit in limits)


def workers_of_containers(facts: Facts) -> Iterator[Finding]:
    """A container whose likely victim is not its main process: it lives on without its worker."""
    for scope, main in _with_main(facts):
        if scope.place.kind != "container" or scope.ranking is None:
            continue
        choice = choose(scope.ranking, panics=False)
        dead = {task.pid for task in choice.killed}
        dead |= {score.task.pid for score in scope.ranking.possible_victims}
        if choice.victim is None or main.pid in dead:
            continue
        yield Finding(
            "warning",
            "worker_not_main",
            scope.name,
            f"an OOM in it kills {named(choice.victim)}, not its main process {named(main)}: "
            "the container lives on without it, and no engine restarts it",
            "memory.oom.group (Kubernetes sets it), or let the main process watch its workers",
            (choice.victim.pid, main.pid),
            scope.path,
        )


def silent_kills(facts: Facts) -> Iterator[Finding]:
    """A cgroup that has lost processes to an OOM while its main process lives on."""
    for scope, main in _with_main(facts):
        kills = _own_kills(facts, scope)
        if kills:
            times = "once" if kills == 1 else f"{kills} times"
            yield Finding(
                "warning",
                "silent_kills",
                scope.name,
                f"an OOM killed in it {times} since it was made, and its main process "
                f"{named(main)} lives on: workers were killed and nobody was told",
                "look at oomlab report and the program's own log; raise the limit or set "
                "memory.oom.group",
                (main.pid,),
                scope.path,
            )


def _own_kills(facts: Facts, scope: OomScope) -> int:
    """Count who was killed in it and in its own cgroups below, not in other units there."""
    places = ((memcg, place_of(memcg.path)) for memcg in facts.members.below(scope.path or "/"))
    own = (memcg for memcg, place in places if place._replace(path="", below="") == _of(scope))
    return sum(memcg.oom_kills or 0 for memcg in own)


def _of(scope: OomScope) -> Place:
    return scope.place._replace(path="", below="")


def _with_main(facts: Facts) -> Iterator[tuple[OomScope, Task]]:
    """Yield the services and containers with their main process, all alive."""
    for scope in facts.cgroup_scopes:
        if scope.place.kind not in ("container", "unit") or scope.place.below:
            continue
        inside = [task for task in facts.inside(scope) if task.has_mm is not False]
        if inside:
            yield scope, _main(facts, scope, inside)


def _main(facts: Facts, scope: OomScope, inside: list[Task]) -> Task:
    """Return the main process: as the engine's files say, else the oldest."""
    known = container_of(facts.snapshot, scope.place)
    if known is not None and known.main_pid is not None:
        for task in inside:
            if task.pid == known.main_pid:
                return task
    return min(inside, key=lambda task: (task.start_ticks or 0, task.pid))
