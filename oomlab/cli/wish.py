"""A wish as typed, its selectors as pids, and the suggestion that meets it."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple

from ..output.escape import printable
from .notices import tell

if TYPE_CHECKING:
    from ..analysis.suggestion import Suggestion
    from ..snapshot import Snapshot


class Wished(NamedTuple):
    """What the user asked for, as typed."""

    protect: list[str]
    sacrifice: list[str] | None
    leave: list[str] | None
    everyone: bool
    allow_growth: str | None
    cgroup: str | None
    raise_only: bool
    allow_unkillable: bool


def same_maps(snapshot: Snapshot) -> tuple[frozenset[int], ...]:
    """Return who is on one memory map, as far as this process may know it."""
    from ..readers.same_map import read_same_maps

    return read_same_maps(
        task.pid for task in snapshot.tasks if task.total_vm_pages and not task.passed_over
    )


def suggestion_for(
    snapshot: Snapshot, wish: Wished, kernel: str | None, maps: tuple[frozenset[int], ...]
) -> Suggestion:
    """Return what meets the wish; ``maps`` are who is known to be on one memory map.

    Raises InputError where a selector means nothing or several things.
    """
    from ..analysis.advice import DELIBERATE
    from ..analysis.ranking import rank
    from ..analysis.selectors import find_memcg
    from ..analysis.suggest import suggest as smallest_change
    from ..analysis.suggestion import NO_GROWTH
    from .selection import chosen_pids, parse_growth

    memcg = None if wish.cgroup is None else find_memcg(snapshot, wish.cgroup)
    ranking = rank(snapshot, kernel=kernel, memcg=memcg)
    growth = NO_GROWTH
    if wish.allow_growth is not None:
        growth = parse_growth(wish.allow_growth, snapshot.machine.page_size)
    protect = chosen_pids(snapshot, wish.protect)
    return smallest_change(
        ranking,
        protect,
        None if wish.sacrifice is None else _sacrificed(snapshot, wish.sacrifice, protect),
        leave=chosen_pids(snapshot, wish.leave or []),
        leave_below=None if wish.everyone else DELIBERATE,
        growth=growth,
        raise_only=wish.raise_only,
        allow_unkillable=wish.allow_unkillable,
        shared=maps,
    )


def _sacrificed(snapshot: Snapshot, texts: list[str], protect: Collection[int]) -> Collection[int]:
    """Return the pids to be sacrificed: of a pod or unit not those that somebody set low."""
    from ..analysis.advice import DELIBERATE
    from ..analysis.suggestion import is_set_low
    from .selection import chosen_pids

    low = {task.pid: task for task in snapshot.tasks if is_set_low(task, DELIBERATE)}
    chosen = chosen_pids(snapshot, texts, {*protect, *low})
    left = low.keys() & chosen_pids(snapshot, texts, protect).keys() - chosen.keys()
    if left:
        names = ", ".join(sorted({printable(low[pid].comm) for pid in left})[:4])
        tell(
            f"note: {len(left)} of those to sacrifice that somebody set to {DELIBERATE} or below "
            f"are left as they are ({names}): name them by PID to count them"
        )
    return chosen
