"""The verdict on a process that was watched: does it leak, and what shows it."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Literal, NamedTuple

from ...units import duration, human
from .history import Series
from .shape import FEWEST_SAMPLES, STILL_BYTES, Shape, shape_of
from .slope import Slope, theil_sen

Verdict = Literal[
    "too few samples",
    "steady",
    "growing",
    "shrinking",
    "sawtooth",
    "leak-like",
    "fragmentation-like",
]

OWN_KINDS = ("anon", "swap")
"""Memory that only the process itself can give back (what is swapped out is nearly all such)."""
SHARED_KINDS = ("file", "shmem")
KINDS = ("anon", "heap", "mmap", "file", "shmem", "swap")
_FEWEST_HEAPS = 5
"""Looks at the allocator's heap, which are rarer than samples; for fewer no test finds a trend."""
_IN_USE_SHARE = 0.25
"""A heap of whose growth less than this is in use has holes, not tenants."""

_NAMES = {
    "anon": "anonymous memory",
    "heap": "the brk heap",
    "mmap": "anonymous mappings",
    "swap": "swap",
    "file": "file mappings",
    "shmem": "shared memory",
}


class Judgement(NamedTuple):
    """A verdict, the evidence in a sentence, and the slope of RSS and swap together."""

    verdict: Verdict
    because: str
    slope: Slope | None = None
    """Bytes per second."""


def judge(total: Series, kinds: Mapping[str, Series]) -> Judgement:
    """Judge a process by its RSS and swap in bytes, and by what is known of each kind.

    ``kinds`` holds series of KINDS, and of ``in_use`` and ``allocated`` where the allocator's
    heap was read; any may be missing. The definitions are in docs/memory.md.
    """
    shape = shape_of(total)
    if shape is None:
        count = len(total.values)
        slope = theil_sen(*total)
        return Judgement("too few samples", f"{count} of at least {FEWEST_SAMPLES}", slope)
    verdict, because = _judge_shape(shape, total, kinds)
    return Judgement(verdict, because, shape.slope)


def _judge_shape(shape: Shape, total: Series, kinds: Mapping[str, Series]) -> tuple[Verdict, str]:
    span = duration(total.times[-1] - total.times[0])
    if shape.form == "level":
        return "steady", _why_steady(shape, span)
    if shape.form == "falling":
        return "shrinking", f"{human(-round(shape.growth_bytes))} less in {span}"
    if shape.form == "teeth":
        height = human(round(shape.extent_bytes))
        return "sawtooth", f"rose by {height} and fell back {shape.returns} times in {span}"
    grew = f"grew by {human(round(shape.growth_bytes))} in {span}"
    if "lately" in shape.facts:
        grew = f"was level, then {grew.removesuffix(span)}in the second half of {span}"
    if shape.form == "slowing":
        return "growing", f"{grew}, ever slower: the second half at less than half the rate"
    if shape.form == "returning":
        return "growing", f"{grew}, and gave some back in between"
    return _judge_rise(shape, grew, kinds)


def _why_steady(shape: Shape, span: str) -> str:
    if "step" in shape.facts:
        return f"one step of {human(round(shape.extent_bytes))} in {span}, level before and after"
    if "stopped" in shape.facts:
        return f"grew at first, level in the second half of {span}"
    if "spike" in shape.facts:
        return f"came back from a spike of {human(round(shape.extent_bytes))} within {span}"
    if not shape.extent_bytes:
        return f"did not change in {span}"
    return f"no trend in {span}, within {human(round(shape.extent_bytes))}"


def _judge_rise(shape: Shape, grew: str, kinds: Mapping[str, Series]) -> tuple[Verdict, str]:
    """Judge a rise that goes on by what it is made of."""
    if shape.form == "rising teeth":
        grew = f"fell back {shape.returns} times, each time less far: the floor {grew}"
    sure, holes = shape.slope.low > 0, _holes(kinds)
    if holes is not None:
        if not sure:
            return "growing", f"{grew}; {holes}; {_why_unsure(shape.slope)}"
        return "fragmentation-like", f"{grew}; {holes}"
    rates = growth_by_kind(kinds)
    own = sum(rates.get(kind, 0.0) for kind in OWN_KINDS)
    shared = sum(rates.get(kind, 0.0) for kind in SHARED_KINDS)
    if "anon" not in rates:
        return "growing", f"{grew}, of a kind that was not read"
    parts = {kind: rate for kind, rate in rates.items() if kind != "anon" or "heap" not in rates}
    most = _NAMES[max(parts, key=lambda kind: parts[kind])]
    if own < shared:
        return "growing", f"{grew}, mostly in {most}: not the program's own"
    if not sure:
        return "growing", f"{grew}, mostly in {most}: {_why_unsure(shape.slope)}"
    steadily = "without a plateau or a return" if shape.form == "rising" else "on the whole"
    return "leak-like", f"{grew}, mostly in {most}, {steadily}"


def _why_unsure(slope: Slope) -> str:
    """Say why it is called no more than a rise yet: its rate is unknown, or may be 0."""
    known = "may be 0 as well" if isfinite(slope.low) else "can't be bounded yet"
    return f"too few samples, its rate {known}"


def growth_by_kind(kinds: Mapping[str, Series]) -> dict[str, float]:
    """Return each kind's slope in bytes per second, of those sampled at least twice."""
    slopes = {kind: theil_sen(*kinds[kind]) for kind in KINDS if kind in kinds}
    return {kind: slope.per_second for kind, slope in slopes.items() if slope is not None}


def _holes(kinds: Mapping[str, Series]) -> str | None:
    """Tell how little of the allocator's growth is in use, None where it is not so."""
    empty = Series([], [])
    allocated, in_use = kinds.get("allocated", empty), kinds.get("in_use", empty)
    if min(len(allocated.values), len(in_use.values)) < _FEWEST_HEAPS:
        return None
    heap, use = theil_sen(*allocated), theil_sen(*in_use)
    if heap is None or use is None or heap.trend <= 0:
        return None
    span = allocated.times[-1] - allocated.times[0]
    if heap.per_second * span <= STILL_BYTES or use.per_second > _IN_USE_SHARE * heap.per_second:
        return None
    grown, used = round(heap.per_second * span), round(use.per_second * span)
    return f"the allocator took {human(grown)} more, but what is in use grew by {human(used)} only"
