"""Page faults: how many, how fast, and what that means."""

from __future__ import annotations

from typing import NamedTuple

from ..process import Vitals
from ..units import human


class FaultRates(NamedTuple):
    """Faults a second, over a measured interval or over the process's whole life."""

    seconds: float
    minor: float
    major: float
    measured: bool


def fault_rates(first: Vitals | None, last: Vitals) -> FaultRates | None:
    """Return the rates between two readings; over its life where there is only one."""
    if first is None:
        age = last.age_seconds
        if not age:
            return None
        return FaultRates(age, last.minor_faults / age, last.major_faults / age, False)
    seconds = last.at_seconds - first.at_seconds
    if seconds <= 0:
        return None
    return FaultRates(
        seconds,
        (last.minor_faults - first.minor_faults) / seconds,
        (last.major_faults - first.major_faults) / seconds,
        True,
    )


_MANY_MAJOR = 10
"""A second. A fault from a disk takes 0.1 ms (NVMe) to 10 ms (spinning)."""
_MANY_MINOR = 100
"""A second: 400 KiB/s, 1.4 GiB in an hour. Each takes the kernel about a microsecond or less."""


def fault_meaning(rates: FaultRates | None, page_size: int) -> list[str]:
    """Return what the rates mean, a sentence each."""
    if rates is None:
        return []
    said = []
    if rates.major >= _MANY_MAJOR:
        said.append(
            f"{rates.major:.0f} major faults a second: it waits for disk or swap each time. "
            "Its files or swapped pages don't stay in memory (thrashing), or it has just begun."
        )
    if rates.minor >= _MANY_MINOR:
        size = human(int(rates.minor * page_size))
        said.append(
            f"{rates.minor:.0f} minor faults a second map {size} a second (more where huge pages "
            "are): it grows, or its allocator gives memory back and takes it again (higher "
            "M_TRIM_THRESHOLD, pools)."
        )
    if rates.measured and not said:
        said.append("Few faults: what it works on is in memory, and it takes little that is new.")
    return said
