"""When a scope runs out at the present rate, and whom the kernel would kill then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from math import inf, sqrt
from statistics import median, variance
from typing import NamedTuple

from ...snapshot import Snapshot
from ..whatif import grow
from .history import Series
from .shape import FEWEST_SAMPLES, matters, noise_of
from .slope import Slope, student_95

_LATEST_SAMPLES = 3
"""What is left now is the median of so many: one odd sample moves no forecast."""
_BLOCKS = 9
_SMOOTHED = 1.5
"""The means of neighbouring blocks of a random walk differ by two thirds of its variance."""
_GAUSS = 1.4826
_HALVINGS = 50

LONGEST_SECONDS = 10 * 365 * 86_400
"""A rate so small that it takes ten years is no forecast."""


class RunOut(NamedTuple):
    """When nothing is left at the present rate, in seconds from the last sample."""

    slope: Slope
    """Of what is left, in bytes per second: negative."""
    seconds: float
    earliest_seconds: float
    latest_seconds: float
    """The bounds, of 95 %; the latest may be infinite."""


def run_out(headroom: Series, slope: Slope | None) -> RunOut | None:
    """Return when ``headroom`` (bytes over seconds) reaches zero, None where it doesn't shrink.

    It shrinks where its ``slope`` has a falling trend and the loss is more than noise.
    """
    times, values = headroom
    if slope is None or slope.trend >= 0 or len(values) < FEWEST_SAMPLES:
        return None
    span = times[-1] - times[0]
    if not matters(-slope.per_second * span, noise_of(values)):
        return None
    rate, latest = -slope.per_second, headroom.since(times[-_LATEST_SAMPLES])
    now = [v - rate * (times[-1] - t) for t, v in zip(*latest, strict=True)]
    left = max(0.0, median(now))
    if left / rate > LONGEST_SECONDS:
        return None
    spread = _spread(headroom, slope)
    early = _reached(left, lambda seconds: rate * seconds + spread(seconds))
    late = _reached(left, lambda seconds: rate * seconds - spread(seconds))
    return RunOut(
        slope,
        left / rate,
        min(early, left / -slope.low),
        max(late, left / -slope.high if slope.high < 0 else inf),
    )


def _spread(headroom: Series, slope: Slope) -> Callable[[float], float]:
    """Return how far from the line the loss may be after so many seconds, with 95 %.

    What grows in portions of random size is a random walk about its trend: the error of its
    rate and what is still to come both follow from how unequal the blocks of the past were.
    """
    times, values = headroom
    size, span = len(values), times[-1] - times[0]
    edges = [size * block // _BLOCKS for block in range(_BLOCKS + 1)]
    levels = [median(values[a:b]) for a, b in pairwise(edges)]
    steps = [later - earlier for earlier, later in pairwise(levels)]
    per_second = _SMOOTHED * variance(steps) / (span / _BLOCKS)
    line = [v - slope.per_second * t for t, v in zip(times, values, strict=True)]
    middle = median(line)
    noise = _GAUSS * median(abs(value - middle) for value in line)

    def spread(seconds: float) -> float:
        walked = per_second * (seconds + seconds * seconds / span)
        return student_95(len(steps) - 1) * sqrt(walked + noise * noise)

    return spread


def _reached(left: float, lost: Callable[[float], float]) -> float:
    """Return when ``lost`` reaches ``left``: a function that crosses it once, or never."""
    low, high = 0.0, 1.0
    if lost(low) >= left:
        return 0.0
    while lost(high) < left:
        low, high = high, 2 * high
        if high > 2 * LONGEST_SECONDS:
            return inf
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if lost(middle) >= left else (middle, high)
    return high


def grown(snapshot: Snapshot, rates: Mapping[int, float], seconds: float) -> Snapshot:
    """Return the snapshot as it will be when each of some processes has gone on growing.

    ``rates`` are bytes per second by pid. Their page tables stay as they are, as in what-if
    questions: 2 MiB for each GiB that a process grows.
    """
    for pid, rate in rates.items():
        snapshot = grow(snapshot, pid=pid, more_bytes=round(rate * seconds))
    return snapshot
