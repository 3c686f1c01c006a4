"""When systemd-oomd acts: its limits, and where a machine stands against them.

Source: oomd.conf(5) of systemd 255 and newer.
"""

from __future__ import annotations

from typing import NamedTuple

from ...snapshot import Machine
from .oomd import OomdRanking

SWAP_USED_LIMIT_PERCENT = 90
"""SwapUsedLimit=: both memory and swap in use must exceed it."""
PRESSURE_LIMIT_PERCENT = 60
"""DefaultMemoryPressureLimit=: full avg10 of a monitored cgroup must exceed it ..."""
PRESSURE_SECONDS = 30
"""... for DefaultMemoryPressureDurationSec=."""


class Swap(NamedTuple):
    """Where the machine stands against SwapUsedLimit=, in percent; None is unknown."""

    memory_used_percent: float | None
    swap_used_percent: float | None
    acts: bool | None


def swap_state(machine: Machine) -> Swap:
    """Return whether systemd-oomd would now act to relieve swap, at the default limit."""
    memory = _used_percent(machine.ram_pages, machine.available_pages)
    swap = _used_percent(machine.swap_pages, machine.swap_free_pages)
    if machine.swap_pages == 0:
        return Swap(memory, None, False)
    over = [None if used is None else used > SWAP_USED_LIMIT_PERCENT for used in (memory, swap)]
    acts = False if False in over else None if None in over else True
    return Swap(memory, swap, acts)


def _used_percent(total: int | None, free: int | None) -> float | None:
    return None if not total or free is None else (total - free) * 100 / total


def pressure_percent(ranking: OomdRanking) -> float | None:
    """Return full avg10 of the monitored cgroup: the machine's own where that is the root."""
    memcg = next(m for m in ranking.snapshot.memcgs or () if m.path == ranking.monitored)
    pressure = memcg.pressure
    if ranking.monitored == "/":
        pressure = ranking.snapshot.machine.pressure or pressure
    return None if pressure is None else pressure.full_avg10_percent
