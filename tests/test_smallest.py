"""The search for the smallest change, against trying everything."""

from __future__ import annotations

from itertools import product
from operator import lt

from hypothesis import given, settings
from hypothesis import strategies as st

from oomlab.analysis.smallest import NEVER, Conflict, Mover, Solution, smallest

Drawn = tuple[tuple[int, ...], int, int]
"""Steps by which a mover's key rises, its first key, its setting now."""


def movers(most: int) -> st.SearchStrategy[list[Drawn]]:
    steps = st.lists(st.integers(0, 4), min_size=1, max_size=4).map(tuple)
    one = steps.flatmap(
        lambda rises: st.tuples(st.just(rises), st.integers(-8, 8), st.integers(0, len(rises)))
    )
    return st.lists(one, min_size=1, max_size=most)


def made(drawn: Drawn, digit: int, weight: int) -> Mover:
    """Keys are doubled, with the side's own digit: the sides never tie."""
    rises, first, now = drawn
    keys = [first]
    for rise in rises:
        keys.append(keys[-1] + rise)
    return Mover(lambda x: keys[x] * 2 + digit, now, 0, len(rises), weight)


def cost(sides: list[list[Mover]], chosen: tuple[tuple[int, ...], ...]) -> tuple[int, int, int]:
    moved = [
        (m.weight, x - m.now)
        for side, settings_ in zip(sides, chosen, strict=True)
        for m, x in zip(side, settings_, strict=True)
    ]
    return (
        sum(weight * abs(change) for weight, change in moved),
        sum(weight for weight, change in moved if change),
        sum(weight for weight, change in moved if change < 0),
    )


def works(sides: list[list[Mover]], chosen: tuple[tuple[int, ...], ...]) -> bool:
    low, high = (
        [m.key(x) for m, x in zip(side, xs, strict=True)]
        for side, xs in zip(sides, chosen, strict=True)
    )
    return max(low) < min(high)


@settings(max_examples=250, deadline=None)
@given(movers(3), movers(3), st.integers(0, 1), st.lists(st.integers(1, 3), min_size=6, max_size=6))
def test_no_smaller_change_works(
    below: list[Drawn], above: list[Drawn], digit: int, weights: list[int]
) -> None:
    sides = [
        [made(drawn, digit, weight) for drawn, weight in zip(below, weights, strict=False)],
        [made(drawn, 1 - digit, weight) for drawn, weight in zip(above, weights[3:], strict=False)],
    ]
    found = smallest(*sides)
    every = [range(m.lowest, m.highest + 1) for side in sides for m in side]
    split = len(sides[0])
    working = [
        cost(sides, chosen)
        for settings_ in product(*every)
        if works(sides, chosen := (settings_[:split], settings_[split:]))
    ]
    if isinstance(found, Conflict):
        assert not working
        assert lt(
            sides[1][found.sacrificed].key(sides[1][found.sacrificed].highest),
            sides[0][found.protected].key(0),
        )
    else:
        assert works(sides, found)
        assert cost(sides, found) == min(working)


def test_nothing_is_moved_that_need_not_be() -> None:
    low, high = Mover(lambda x: x, 3, 0, 9), Mover(lambda x: x, 5, 0, 9)
    assert smallest([low], [high]) == Solution((3,), (5,))


def test_one_large_change_is_better_than_two_small_ones_of_the_same_sum() -> None:
    low, high = Mover(lambda x: 2 * x, 5, 0, 9), Mover(lambda x: 2 * x + 1, 2, 0, 9)
    assert smallest([low], [high]) == Solution((5,), (5,))


def test_who_is_never_chosen_is_below_everybody() -> None:
    low = Mover(lambda x: NEVER if x == 0 else x, 5, 0, 9)
    assert smallest([low], [Mover(lambda _: -100, 0, 0, 0)]) == Solution((0,), (0,))
