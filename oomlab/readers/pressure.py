"""Pressure stall information: /proc/pressure/memory, and a cgroup's memory.pressure."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ..memcg import Pressure

_LINE = re.compile(
    r"^(some|full) avg10=([0-9.]+) avg60=([0-9.]+) avg300=([0-9.]+) total=(\d+)$", re.MULTILINE
)


def read_pressure(path: Path) -> Pressure | None:
    """Read a pressure file; None where the kernel has none (before 4.20, or psi=0)."""
    try:
        return parse_pressure(path.read_text("ascii", "replace"))
    except OSError:
        return None


def parse_pressure(text: str) -> Pressure | None:
    """Return what the file says, or None where it is not as psi.rst describes it."""
    found: dict[str, Any] = {}
    for kind, *shares, total in _LINE.findall(text):
        for span, share in zip(("avg10", "avg60", "avg300"), shares, strict=True):
            try:
                found[f"{kind}_{span}_percent"] = float(share)
            except ValueError:
                return None
        found[f"{kind}_total_us"] = int(total)
    return Pressure(**found) if found else None
