"""How fast a series rises: the slope of Theil and Sen, and how sure that is.

The median of the slopes of all pairs of samples: up to 29 % of the samples may be anything
without moving it far (Sen 1968, J. Am. Stat. Assoc. 63, 1379). The interval is Sen's own, from
the variance of Kendall's S; because memory remembers (a sample is like the one before), that
variance is raised by the lag-1 autocorrelation of what the line leaves over (Yue and Wang 2004,
Water Resources Management 18, 201).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from math import floor, inf, sqrt
from statistics import fmean, median, stdev
from typing import NamedTuple

Z_95 = 1.959964
"""The 97.5 % point of the normal distribution: intervals are of 95 %."""

_MOST_MEMORY = 0.95
"""Autocorrelation beyond which a short series could tell nothing at all."""


class Slope(NamedTuple):
    """Change per second, with the bounds of its 95 % interval (infinite where too few)."""

    per_second: float
    low: float
    high: float
    trend: int
    """1 rising, -1 falling, 0 neither, by Mann and Kendall's test at 95 %. It takes the samples
    for independent: what only wanders passes it too, so ask whether the change matters."""


def theil_sen(times: Sequence[float], values: Sequence[float]) -> Slope | None:
    """Return the slope of ``values`` over ``times`` (seconds); None for fewer than two times."""
    count = len(values)
    slopes = sorted(
        (values[j] - values[i]) / (times[j] - times[i])
        for i in range(count)
        for j in range(i + 1, count)
        if times[j] != times[i]
    )
    if not slopes:
        return None
    middle, deviation = median(slopes), sqrt(_variance(values))
    rises, falls = len(slopes) - bisect_right(slopes, 0.0), bisect_left(slopes, 0.0)
    trend = 0
    if abs(rises - falls) > Z_95 * deviation:
        trend = 1 if rises > falls else -1
    if slopes[0] == slopes[-1] and count > 2:
        return Slope(middle, middle, middle, trend)
    reach = Z_95 * deviation * sqrt(_inflation(times, values, middle))
    # Sen's ranks, counted from 1 and rounded outwards: never narrower than they should be.
    first = floor((len(slopes) - reach) / 2)
    low = slopes[first - 1] if first >= 1 else -inf
    high = slopes[-first] if first >= 1 else inf
    return Slope(middle, low, high, trend)


def climb(times: Sequence[float], values: Sequence[float]) -> Slope | None:
    """Return the mean slope from each value to the next; None for fewer than three values.

    For the floors of teeth, which are few: their steps are taken for independent and normal, so
    the interval is Student's.
    """
    steps = [after - before for before, after in pairwise(values)]
    if len(steps) < 2 or times[-1] == times[0]:
        return None
    spacing = (times[-1] - times[0]) / len(steps)
    reach = student_95(len(steps) - 1) * stdev(steps) / sqrt(len(steps))
    step = fmean(steps)
    low, high = (step - reach) / spacing, (step + reach) / spacing
    return Slope(step / spacing, low, high, (low > 0) - (high < 0))


_STUDENT_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


def student_95(freedom: int) -> float:
    """Return Student's 97.5 % point; for more than ten degrees of freedom that of ten."""
    return _STUDENT_95[min(freedom, len(_STUDENT_95)) - 1]


def _variance(values: Sequence[float]) -> float:
    """Return the variance of Kendall's S, less what ties take away."""
    count = len(values)
    ties = (number for number in Counter(values).values() if number > 1)
    tied = sum(number * (number - 1) * (2 * number + 5) for number in ties)
    return (count * (count - 1) * (2 * count + 5) - tied) / 18


def _inflation(times: Sequence[float], values: Sequence[float], slope: float) -> float:
    """Return by how much autocorrelation widens the variance; never less than 1."""
    count = len(values)
    left = [value - slope * time for time, value in zip(times, values, strict=True)]
    mean = fmean(left)
    left = [value - mean for value in left]
    total = sum(value * value for value in left)
    if total == 0:
        return 1.0
    memory = sum(a * b for a, b in pairwise(left)) / total
    # About a fitted line it comes out too small, by (2 + 4 rho) / n.
    memory = (count * memory + 2) / (count - 4) if count > 4 else 0.0
    memory = min(max(memory, 0.0), _MOST_MEMORY)
    return (1 + memory) / (1 - memory)
