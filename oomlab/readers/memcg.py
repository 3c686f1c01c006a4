"""The text of a memory cgroup's files, of both versions, and the Memcg they make. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import SourceError
from ..memcg import UNLIMITED_PAGES, Memcg
from .pressure import parse_pressure

FILES = (
    "memory.max",
    "memory.swap.max",
    "memory.high",
    "memory.min",
    "memory.low",
    "memory.current",
    "memory.swap.current",
    "memory.peak",
    "memory.oom.group",
    "memory.events.local",
    "memory.events",
    "memory.pressure",
    "memory.stat",
    "memory.limit_in_bytes",
    "memory.memsw.limit_in_bytes",
    "memory.usage_in_bytes",
    "memory.memsw.usage_in_bytes",
    "memory.max_usage_in_bytes",
    "memory.failcnt",
    "memory.use_hierarchy",
    "memory.swappiness",
    "memory.oom_control",
    "cgroup.procs",
)
"""All files that a Memcg is made of; each cgroup has those of its version."""


XATTRS = ("user.oomd_avoid", "user.oomd_omit")
"""Extended attributes of a v2 cgroup's directory, given among the files by their own names."""


def parse_memcgs(
    cgroups: Mapping[str, Mapping[str, str]],
    page_size: int,
    creation_orders: Mapping[str, int] | None = None,
) -> tuple[Memcg, ...]:
    """Make Memcgs of the text of their files, leaving out cgroups without the controller."""
    orders = creation_orders or {path: index for index, path in enumerate(cgroups)}
    found = []
    for path, files in cgroups.items():
        try:
            found.append(parse_memcg(path, files, page_size, orders.get(path)))
        except ValueError as error:
            raise SourceError(f"memory cgroup {path}: {error}") from error
    return tuple(memcg for memcg in found if memcg is not None)


def parse_memcg(
    path: str, files: Mapping[str, str], page_size: int, creation_order: int | None
) -> Memcg | None:
    """Make one Memcg, or None where the memory controller is off there.

    Raises ValueError where a file does not hold the number it should.
    """
    if "memory.limit_in_bytes" in files:
        of_version = _version_1(files, page_size)
    elif "memory.current" in files or "memory.max" in files or path == "/":
        of_version = _version_2(files, page_size)
    else:
        return None
    procs = files.get("cgroup.procs")
    return Memcg(
        path=path,
        creation_order=creation_order,
        pids=tuple(map(int, procs.split())) if procs is not None else None,
        pressure=parse_pressure(files.get("memory.pressure", "")),
        **of_version,
    )


def _version_1(files: Mapping[str, str], page_size: int) -> dict[str, Any]:
    stat = _figures(files.get("memory.stat", ""))
    # The total_ lines count what is below as well, as the other version's do.
    figures = _stat_pages(stat, {f"total_{k}": v for k, v in _STAT_1.items()}, page_size)
    control = _figures(files.get("memory.oom_control", ""))
    disabled = control.get("oom_kill_disable")
    shared = _number(files.get("memory.use_hierarchy"))
    return {
        "version": 1,
        "limit_pages": _pages(files.get("memory.limit_in_bytes"), page_size),
        "memsw_limit_pages": _pages(files.get("memory.memsw.limit_in_bytes"), page_size),
        "usage_pages": _pages(files.get("memory.usage_in_bytes"), page_size),
        "memsw_usage_pages": _pages(files.get("memory.memsw.usage_in_bytes"), page_size),
        "peak_pages": _pages(files.get("memory.max_usage_in_bytes"), page_size),
        "limit_hits": _number(files.get("memory.failcnt")),
        "swappiness": _number(files.get("memory.swappiness")),
        "oom_kills": control.get("oom_kill"),
        "oom_kill_disabled": None if disabled is None else bool(disabled),
        "hierarchical": None if shared is None else bool(shared),
        **figures,
    }


def _version_2(files: Mapping[str, str], page_size: int) -> dict[str, Any]:
    stat = _figures(files.get("memory.stat", ""))
    below = _figures(files.get("memory.events", ""))
    own = _figures(files.get("memory.events.local", "")) or below
    group, limit = files.get("memory.oom.group"), files.get("memory.max")
    current = "memory.current" in files
    return {
        "version": 2,
        # Only the root has no files of its own; inside a cgroup namespace "/" is no root.
        "limit_pages": _pages(limit, page_size) if limit or current else UNLIMITED_PAGES,
        "swap_limit_pages": _pages(files.get("memory.swap.max"), page_size),
        "high_pages": _pages(files.get("memory.high"), page_size),
        "min_pages": _pages(files.get("memory.min"), page_size),
        "low_pages": _pages(files.get("memory.low"), page_size),
        "usage_pages": _pages(files.get("memory.current"), page_size),
        "swap_usage_pages": _pages(files.get("memory.swap.current"), page_size),
        "peak_pages": _pages(files.get("memory.peak"), page_size),
        "oom_group": group.strip() == "1" if group else None,
        "oom_kills": own.get("oom_kill"),
        "oom_kills_below": below.get("oom_kill"),
        "oom_group_kills": below.get("oom_group_kill"),
        "oom_events": below.get("oom"),
        "limit_hits": own.get("max"),
        "pagescans": stat.get("pgscan"),
        "oomd_preference": _oomd_preference(files),
        **_stat_pages(stat, _STAT_2, page_size),
    }


def _oomd_preference(files: Mapping[str, str]) -> str | None:
    """Return what systemd set: omit outweighs avoid; None where nobody looked."""
    if not all(name in files for name in XATTRS):
        return None
    avoid, omit = (files[name].strip().lower() in _TRUE for name in XATTRS)
    return "omit" if omit else "avoid" if avoid else "none"


_TRUE = frozenset({"1", "yes", "y", "true", "t", "on"})
"""As systemd reads a boolean."""


_STAT_1 = {
    "rss": "anon_pages",
    "shmem": "shmem_pages",
    "inactive_file": "inactive_file_pages",
    "active_file": "active_file_pages",
    "unevictable": "unevictable_pages",
    "swap": "swap_usage_pages",
}
_STAT_2 = {
    "anon": "anon_pages",
    "shmem": "shmem_pages",
    "inactive_file": "inactive_file_pages",
    "active_file": "active_file_pages",
    "unevictable": "unevictable_pages",
    "slab_reclaimable": "slab_reclaimable_pages",
}


def _stat_pages(
    stat: Mapping[str, int], names: Mapping[str, str], page_size: int
) -> dict[str, int]:
    return {field: stat[line] // page_size for line, field in names.items() if line in stat}


def _pages(text: str | None, page_size: int) -> int | None:
    """Return a limit or usage in pages, UNLIMITED_PAGES for max and v1's largest number."""
    if text is None or not text.strip():
        return None
    if text.strip() == "max":
        return UNLIMITED_PAGES
    pages = int(text) // page_size
    # v1 prints the largest page count times the page size, which depends on the kernel.
    return UNLIMITED_PAGES if int(text) >= (1 << 62) else pages


def _number(text: str | None) -> int | None:
    return int(text) if text and text.strip() else None


def _figures(text: str) -> dict[str, int]:
    """Return the lines of "name number" that a flat keyed file holds."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}
