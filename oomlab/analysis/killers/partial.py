"""Places in an order of which only a part can be known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

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
