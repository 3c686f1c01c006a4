"""Arithmetic with figures of which some may be unknown (None)."""

from __future__ import annotations

from collections.abc import Iterable


def plus(one: int | None, other: int | None) -> int | None:
    """Return a sum, unknown if a part is."""
    return None if one is None or other is None else one + other


def minus(one: int | None, other: int | None) -> int | None:
    """Return a difference, unknown if a part is."""
    return None if one is None or other is None else one - other


def sum_if_known(parts: Iterable[int | None]) -> int | None:
    """Return the sum; None where any part is unknown. Of nothing it is 0.

    >>> sum_if_known([1, 2]), sum_if_known([1, None]), sum_if_known([])
    (3, None, 0)
    """
    total = 0
    for part in parts:
        if part is None:
            return None
        total += part
    return total
