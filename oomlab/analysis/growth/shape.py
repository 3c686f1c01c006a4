"""The shape of one series of sizes: level, rising, falling, or up and down.

All sizes are in bytes, all times in seconds. The rules and their limits are in docs/memory.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt
from statistics import fmean, median
from typing import Literal, NamedTuple

from .history import Series
from .slope import Slope, climb, theil_sen

FEWEST_SAMPLES = 12
"""Fewer say nothing about a shape: each half needs six for an interval of its slope."""
STILL_BYTES = 256 << 10
"""Less than this is no growth: on two CPUs the kernel's three RSS counters together may be off
by 186 pages, and touching code for the first time costs about as much."""
_SAME_LEVEL = 0.05
"""What comes and goes within this share of the level is level."""
_NOISES = 6
"""Independent noise of a few hundred samples stays within six standard deviations."""
_MATTERS_NOISES = 4
"""A trend that chance makes of noise that remembers seldom exceeds so many of its deviations."""
_TOOTH_SHARE = 0.35
"""A tooth reaches over this share of the whole range at least."""
_GIVEN_BACK = 0.6
"""A tooth's fall takes back this share of its rise, or the rise takes back the fall."""
_FLOOR_SHARE = 0.2
"""Floors of teeth that rise by this share of a tooth in all are no return any more."""
_STEP_SHARE = 0.7
_RETURN_SHARE = 0.25
_STOPPED_SHARE = 0.1
_SLOWED_SHARE = 0.5
_MOST_MEMORY = 0.9
_GAUSS = 1.4826
"""Median absolute deviation to standard deviation."""

Form = Literal["level", "rising", "slowing", "returning", "falling", "teeth", "rising teeth"]


class Shape(NamedTuple):
    """The form of a series, its slope, and what shows it."""

    form: Form
    slope: Slope
    growth_bytes: float
    """Slope times span."""
    facts: tuple[str, ...] = ()
    """Keys of further evidence: "spike", "step", "stopped"."""
    extent_bytes: float = 0.0
    """How far it swings: of teeth their mean height, else the whole range."""
    returns: int = 0
    """Of teeth: how many times it fell back."""


class _Turns(NamedTuple):
    """The highest and lowest points between which a series swings."""

    rises: list[float]
    falls: list[float]
    floors: list[tuple[float, float]]
    """(time, value) of each low point after a fall."""


def shape_of(series: Series) -> Shape | None:
    """Return the shape of a series of bytes; None for too few samples."""
    times, values = series
    slope = theil_sen(times, values) if len(values) >= FEWEST_SAMPLES else None
    if slope is None:
        return None
    growth = slope.per_second * (times[-1] - times[0])
    extent = max(values) - min(values)
    level = Shape("level", slope, growth, extent_bytes=extent)
    if extent <= STILL_BYTES:
        return level
    noise = noise_of(values)
    teeth = _teeth(series, slope, growth, noise)
    if teeth is not None:
        return teeth
    if slope.trend < 0 and matters(-growth, noise):
        return level._replace(form="falling")
    if not (slope.trend > 0 and matters(growth, noise)):
        return _late_rise(series, noise) or level._replace(facts=_spikes(values, noise))
    return _rise(series, level, noise)


def noise_of(values: Sequence[float]) -> float:
    """Return the standard deviation of what differs between samples at random.

    From the spread of the second differences about their median, which neither slopes nor a
    few jumps enter. Noise may remember: for a first-order process with autocorrelation r the
    variance of the second differences is 3 - r times that of the first.
    """
    steps = [b - a for a, b in pairwise(values)]
    bends = _spread([b - a for a, b in pairwise(steps)])
    if bends == 0:
        return 0.0
    memory = 3 - (bends / _spread(steps)) ** 2 if _spread(steps) else 0.0
    memory = min(max(memory, 0.0), _MOST_MEMORY)
    return bends / sqrt(2 * (3 - 4 * memory + memory * memory))


def _spread(values: Sequence[float]) -> float:
    middle = median(values)
    return _GAUSS * median(abs(value - middle) for value in values)


def matters(growth: float, noise: float) -> bool:
    """Tell whether a change is more than counters and noise make."""
    return growth > max(STILL_BYTES, _MATTERS_NOISES * noise)


def _teeth(series: Series, slope: Slope, growth: float, noise: float) -> Shape | None:
    """Return the shape of a series that fell back at least twice, None for others."""
    times, values = series
    if max(values) - min(values) <= _SAME_LEVEL * median(values):
        return None
    # Teeth stand on whatever slope there is: their height shows when it is taken away.
    left = [value - slope.per_second * time for time, value in zip(times, values, strict=True)]
    reach = max(left) - min(left)
    turns = _turns(series, max(_TOOTH_SHARE * reach, _NOISES * noise, STILL_BYTES))
    if len(turns.falls) < 2 or len(turns.rises) < 2:
        return None
    height = fmean(turns.rises)
    if fmean(turns.falls) < _GIVEN_BACK * height:
        return None
    shape = Shape("teeth", slope, growth, extent_bytes=height, returns=len(turns.falls))
    floors = [value for _, value in turns.floors]
    if len(floors) < 3:
        return shape
    lifted = floors[-1] - floors[0]
    if lifted <= max(_FLOOR_SHARE * height, _NOISES * noise, STILL_BYTES):
        return shape
    line, rate = (
        theil_sen(*zip(*turns.floors, strict=True)),
        climb(*zip(*turns.floors, strict=True)),
    )
    climbing = all(b > a for a, b in pairwise(floors))
    if rate is not None and (climbing or (line is not None and line.trend > 0)):
        return shape._replace(form="rising teeth", growth_bytes=lifted, slope=rate)
    return shape


def _turns(series: Series, threshold: float) -> _Turns:
    """Split a series into swings of at least ``threshold``: a zigzag."""
    turns = _Turns([], [], [])
    low = high = (series.times[0], series.values[0])
    direction = 0
    for point in zip(*series, strict=True):
        if direction >= 0 and point[1] > high[1]:
            high = point
        if direction <= 0 and point[1] < low[1]:
            low = point
        if direction >= 0 and high[1] - point[1] >= threshold:
            if direction > 0:
                turns.rises.append(high[1] - low[1])
            direction, low = -1, point
        elif direction <= 0 and point[1] - low[1] >= threshold:
            if direction < 0:
                turns.falls.append(high[1] - low[1])
                turns.floors.append(low)  # where a series begins is no floor
            direction, high = 1, point
    if direction > 0:
        turns.rises.append(high[1] - low[1])
    elif direction < 0:
        turns.falls.append(high[1] - low[1])
    return turns


def _rise(series: Series, level: Shape, noise: float) -> Shape:
    """Tell what kind of rise it is: one step, over, slowing, giving back, or going on."""
    times, values = series
    growth = _last(values) - _first(values)
    if max(b - a for a, b in pairwise(values)) >= _STEP_SHARE * growth:
        return level._replace(form="level", facts=("step",))
    middle = times[0] + (times[-1] - times[0]) / 2
    early, late = _half(series, 0, middle), _half(series, middle, times[-1])
    if early is not None and late is not None:
        gained = late.per_second * (times[-1] - middle)
        if late.trend <= 0 or gained <= max(_STOPPED_SHARE * growth, noise):
            return level._replace(form="level", facts=("stopped",))
        if early.per_second < _STOPPED_SHARE * late.per_second:
            return level._replace(form="rising", slope=late, growth_bytes=gained, facts=("lately",))
        if late.per_second < _SLOWED_SHARE * early.per_second:
            return level._replace(form="slowing")
    if _most_returned(values) - _NOISES * noise > _RETURN_SHARE * growth:
        return level._replace(form="returning")
    return level._replace(form="rising")


def _late_rise(series: Series, noise: float) -> Shape | None:
    """Return the rise of a series that was level at first and rises now."""
    times, values = series
    middle = times[0] + (times[-1] - times[0]) / 2
    late = _half(series, middle, times[-1])
    if late is None or not late.trend > 0:
        return None
    growth = late.per_second * (times[-1] - middle)
    recent = series.since(middle).values
    if not matters(growth, noise) or growth < 2 * noise * _NOISES:
        return None
    if max(b - a for a, b in pairwise(recent)) >= _STEP_SHARE * growth:
        return None
    extent = max(values) - min(values)
    return Shape("rising", late, growth, facts=("lately",), extent_bytes=extent)


def _half(series: Series, start: float, end: float) -> Slope | None:
    part = [(t, v) for t, v in zip(*series, strict=True) if start <= t <= end]
    if len(part) < FEWEST_SAMPLES // 2:
        return None
    return theil_sen([t for t, _ in part], [v for _, v in part])


def _first(values: Sequence[float]) -> float:
    return median(values[: max(1, len(values) // 10)])


def _last(values: Sequence[float]) -> float:
    return median(values[-max(1, len(values) // 10) :])


def _most_returned(values: Sequence[float]) -> float:
    """Return the deepest fall from a height reached before."""
    highest, deepest = values[0], 0.0
    for value in values:
        highest = max(highest, value)
        deepest = max(deepest, highest - value)
    return deepest


def _spikes(values: Sequence[float], noise: float) -> tuple[str, ...]:
    height = max(values) - median(values)
    return ("spike",) if height > max(_NOISES * noise, STILL_BYTES) else ()
