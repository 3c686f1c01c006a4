"""Rates of growth as text and as JSON: signed sizes a minute, intervals, verdicts."""

from __future__ import annotations

from math import isfinite

from ..analysis.growth.judge import Judgement
from ..analysis.growth.slope import Slope
from ..units import human

_MINUTE = 60
UNREMARKABLE = frozenset({"steady", "too few samples"})
"""Verdicts that need no evidence beside them."""


def signed(bytes_per_minute: float | None) -> str:
    """Return a change as a signed size: +1.2M, -340K, 0; unknown is a question mark."""
    if bytes_per_minute is None or not isfinite(bytes_per_minute):
        return "?"
    size = round(bytes_per_minute)
    return f"+{human(size)}" if size > 0 else human(size)


def per_minute(per_second: float | None) -> float | None:
    """Return a rate per minute."""
    return None if per_second is None else per_second * _MINUTE


def interval_text(slope: Slope) -> str:
    """Return a rate per minute with its interval."""
    rate, low, high = (value * _MINUTE for value in slope[:3])
    if not (isfinite(low) and isfinite(high)):
        return f"{signed(rate)} a minute, 95% interval unknown yet"
    return f"{signed(rate)} a minute, 95%: {signed(low)} to {signed(high)}"


def verdict_text(found: Judgement) -> str:
    """Return a verdict, its evidence and the rate."""
    text = f"{found.verdict}: {found.because}"
    if found.slope is not None and found.verdict not in UNREMARKABLE:
        text += f" ({interval_text(found.slope)})"
    return f"{text}."


def slope_entry(slope: Slope | None) -> dict[str, float | None] | None:
    """Return a slope as JSON has it."""
    if slope is None:
        return None
    return {
        "bytes_per_second": slope.per_second,
        "low_bytes_per_second": finite(slope.low),
        "high_bytes_per_second": finite(slope.high),
    }


def finite(value: float) -> float | None:
    """Return a number that JSON has; None for an infinite one."""
    return value if isfinite(value) else None
