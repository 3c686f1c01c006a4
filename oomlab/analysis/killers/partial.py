"""Places in an order of which only a part can be known."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

Item = TypeVar("Item")
Places = tuple[int, int]
"""The best and the worst place, from 1."""


def places_of(items: Sequence[Item], surely_before: Callable[[Item, Item], bool]) -> list[Places]:
    """Return each item's best and worst place.

    ``surely_before(a, b)`` tells whether ``a`` comes before ``b`` whatever can't be known.
    """
    above, below = [0] * len(items), [0] * len(items)
    for i, one in enumerate(items):
        for j, other in enumerate(items):
            if surely_before(one, other):
                above[j] += 1
                below[i] += 1
    return [(up + 1, len(items) - down) for up, down in zip(above, below, strict=True)]


Bound = tuple[int, int]


class Measured(NamedTuple):
    """One in an order of the largest first, as far as its measure is known."""

    certain: bool
    """Surely in the running: else it can't push another back."""
    avoided: bool | None
    """Comes after all that are not avoided; None is unknown."""
    least: Bound
    most: Bound


def places_by_measure(measured: Sequence[Measured]) -> list[Places]:
    """Return each one's best and worst place: avoided ones last, the most first.

    One is surely before another if its least exceeds the other's most. The time grows with
    n log n, that of places_of() with its square.
    """
    leasts: dict[bool, list[Bound]] = {False: [], True: []}
    mosts: dict[bool, list[Bound]] = {False: [], True: []}
    for one in measured:
        if one.avoided is not None:
            mosts[one.avoided].append(one.most)
            if one.certain:
                leasts[one.avoided].append(one.least)
    for bounds in (*leasts.values(), *mosts.values()):
        bounds.sort()
    found = []
    for one in measured:
        above = below = 0
        if one.avoided is not None:
            group = leasts[one.avoided]
            above = len(group) - bisect_right(group, one.most)
            above += len(leasts[False]) if one.avoided else 0
            below = bisect_left(mosts[one.avoided], one.least)
            below += 0 if one.avoided else len(mosts[True])
        found.append((above + 1, len(measured) - (below if one.certain else 0)))
    return found
