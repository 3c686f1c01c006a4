"""The smallest change of settings that puts every one of some movers below all of others.

Each mover has a key that never falls as its setting rises: its place in the order of choice.
Whatever the final settings are, some threshold lies between the protected's keys and the
sacrificed's; and for a given threshold each mover's least move is found by itself, by bisection.
So the cost is a function of the threshold alone. As the threshold rises the protected need less
and the sacrificed more, which bounds the cost of a whole span of thresholds from below: spans
that can't hold anything better are never opened.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import NamedTuple

NEVER = -(1 << 200)
"""The key of one that is never chosen: below any other."""


class Mover(NamedTuple):
    """Something with a setting: its key as a function of it, the setting now, and its limits."""

    key: Callable[[int], int]
    now: int
    lowest: int
    highest: int
    weight: int = 1
    """How many processes change with it."""


class Solution(NamedTuple):
    """The new settings, in the order of the movers given."""

    protected: tuple[int, ...]
    sacrificed: tuple[int, ...]


class Conflict(NamedTuple):
    """Why there is none: this protected one can't get below that sacrificed one."""

    protected: int
    """Index of the protected whose key stays highest, at its lowest setting."""
    sacrificed: int
    """Index of the sacrificed whose key stays lowest, at its highest setting."""


Cost = tuple[int, int, int]
"""Sum of the changes, processes changed, processes lowered: compared in this order."""


def smallest(protected: Sequence[Mover], sacrificed: Sequence[Mover]) -> Solution | Conflict:
    """Return the settings of least cost that put all protected keys below all sacrificed ones.

    Cost is the total absolute change, then the number of processes changed, then how many of
    them are lowered. No protected key may equal a sacrificed one, whatever the settings.
    Both sides need at least one mover.
    """
    floors = [mover.key(mover.lowest) for mover in protected]
    tops = [mover.key(mover.highest) for mover in sacrificed]
    least, most = max(floors) + 1, min(tops)
    if least > most:
        return Conflict(floors.index(max(floors)), tops.index(most))
    found = _Search(protected, sacrificed).between(least, most)
    return Solution(
        tuple(_protected_setting(mover, found) for mover in protected),
        tuple(_sacrificed_setting(mover, found) for mover in sacrificed),
    )


def _protected_setting(mover: Mover, threshold: int) -> int:
    """Return the highest setting up to today's whose key is below the threshold."""
    span = range(mover.lowest, mover.now)
    if mover.key(mover.now) < threshold:
        return mover.now
    return mover.lowest + bisect_left(span, threshold, key=mover.key) - 1


def _sacrificed_setting(mover: Mover, threshold: int) -> int:
    """Return the lowest setting from today's on whose key reaches the threshold."""
    span = range(mover.now, mover.highest)
    return mover.now + bisect_left(span, threshold, key=mover.key)


class _Search:
    """Best-first search over spans of thresholds."""

    def __init__(self, protected: Sequence[Mover], sacrificed: Sequence[Mover]) -> None:
        # Those furthest above come first: below a threshold nobody has to move.
        self._protected = sorted(((m.key(m.now), m) for m in protected), key=_key, reverse=True)
        # Those furthest below come first: a hopeless threshold shows itself after a few.
        keyed = sorted(((m.key(m.now), i) for i, m in enumerate(sacrificed)))
        self._keys = [key for key, _ in keyed]
        self._sacrificed = [sacrificed[index] for _, index in keyed]

    def between(self, least: int, most: int) -> int:
        """Return the best threshold from ``least`` to ``most``.

        Between two settings of a protected mover only the lowest threshold counts: the
        protected need the same for all of them and the sacrificed never less.
        """
        # Above the highest protected key, and below the lowest sacrificed, nothing gets better.
        most = max(least, min(most, self._protected[0][0] + 1))
        least = max(least, min(most, self._keys[0]))
        best_at, sacrifice = least, self._cost_of_sacrificed(least, None)
        assert sacrifice is not None  # without a budget it always is
        best = _sum(self._cost_of_protected(least), sacrifice)
        spans = [(_sum(self._cost_of_protected(most), sacrifice), least, most, sacrifice)]
        while spans and spans[0][0] < best:
            _, low, high, below = heapq.heappop(spans)
            middle = self._split(low, high)
            if middle is None:
                continue
            # The span below the middle keeps its lower end; its upper end is just below it.
            bound = _sum(self._cost_of_protected(middle - 1), below)
            heapq.heappush(spans, (bound, low, middle - 1, below))
            rest = self._cost_of_protected(high)
            sacrifice = self._cost_of_sacrificed(middle, best[0] - rest[0])
            if sacrifice is None:
                continue
            total = _sum(self._cost_of_protected(middle), sacrifice)
            if total < best:
                best, best_at = total, middle
            heapq.heappush(spans, (_sum(rest, sacrifice), middle, high, sacrifice))
        return best_at

    def _split(self, low: int, high: int) -> int | None:
        """Return a threshold above ``low`` from which some protected mover needs less."""
        widest, split = 0, None
        for key, mover in self._protected:
            if key < low:
                break
            first = _protected_setting(mover, low)
            last = _protected_setting(mover, high)
            if last - first > widest:
                widest, split = last - first, mover.key((first + last + 1) // 2) + 1
        return split

    def _cost_of_protected(self, threshold: int) -> Cost:
        total = changed = 0
        for key, mover in self._protected:
            if key < threshold:
                break
            total += (mover.now - _protected_setting(mover, threshold)) * mover.weight
            changed += mover.weight
        return total, changed, changed

    def _cost_of_sacrificed(self, threshold: int, budget: int | None) -> Cost | None:
        """Return what the sacrificed need, or None once it is more than ``budget``."""
        total = changed = 0
        for mover in self._sacrificed[: bisect_left(self._keys, threshold)]:
            total += (_sacrificed_setting(mover, threshold) - mover.now) * mover.weight
            changed += mover.weight
            if budget is not None and total > budget:
                return None
        return total, changed, 0


def _key(keyed: tuple[int, Mover]) -> int:
    return keyed[0]


def _sum(one: Cost, other: Cost) -> Cost:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]
