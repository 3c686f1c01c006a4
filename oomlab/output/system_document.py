"""The machine's memory as a JSON document."""

from __future__ import annotations

from typing import Any

from ..analysis.available import drop_caches, from_old_estimate, overcommit, reserve
from ..analysis.system import mapped_files, uses
from .system import System

SYSTEM_SCHEMA = "oomlab.system/1"


def system_document(system: System) -> dict[str, Any]:
    """Return the JSON document: bytes throughout."""
    info = system.info
    kept, state, dropped = (
        reserve(info),
        overcommit(info, system.machine.overcommit_memory),
        drop_caches(info),
    )
    low, high = mapped_files(info)
    return {
        "schema": SYSTEM_SCHEMA,
        "total_bytes": info.count("MemTotal"),
        "headroom_bytes": system.headroom,
        "available_bytes": info.get("MemAvailable"),
        "swap_total_bytes": info.get("SwapTotal"),
        "swap_free_bytes": info.get("SwapFree"),
        "parts": [
            {"part": use.key, "bytes": use.size, "reclaim": use.reclaim} for use in uses(info)
        ],
        "mapped_cache_bytes": {"low": low, "high": high},
        "unevictable_bytes": info.get("Unevictable"),
        "reserve": None if kept is None else kept._asdict(),
        "available_steps": [
            {"step": step.name, "bytes": step.size} for step in from_old_estimate(info) or ()
        ],
        "overcommit": {
            "mode": state.mode,
            "limit_bytes": state.limit,
            "committed_bytes": state.committed,
            "left_bytes": state.left,
        },
        "drop_caches": {
            "cache_low_bytes": dropped.cache_low,
            "cache_high_bytes": dropped.cache_high,
            "dirty_bytes": dropped.dirty,
            "slab_high_bytes": dropped.slab_high,
        },
        "held": None if system.held is None else system.held._asdict(),
        "zram": [zram._asdict() for zram in info.zrams],
        "zswap_enabled": info.zswap_enabled,
        "counters": dict(info.counters),
    }
