"""/proc/meminfo, /proc/zoneinfo, and what /sys says of compressed swap."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from ..errors import SourceError
from ..meminfo import MemInfo, Zone, Zram
from ..units import KIB

_COUNTER = re.compile(rb"^([\w()]+): +(\d+)( kB)?$", re.MULTILINE)
_ZONE = re.compile(r"^Node (\d+), zone +(\S+)$")
_SIZES = {
    "min": "min_pages",
    "low": "low_pages",
    "high": "high_pages",
    "managed": "managed_pages",
    "boost": "boost_pages",
}


def read_meminfo(root: Path) -> MemInfo:
    """Read the counters behind a /proc, and /sys beside it. Raises SourceError."""
    try:
        text = (root / "meminfo").read_bytes()
    except OSError as error:
        raise SourceError(
            f"{root}/meminfo: {error.strerror}; give --proc a mounted /proc"
        ) from error
    zones = b""
    with contextlib.suppress(OSError):
        zones = (root / "zoneinfo").read_bytes()
    sys = root.parent / "sys"  # /proc and /sys, or a host's mounted side by side
    page_size = os.sysconf("SC_PAGE_SIZE")
    return MemInfo(
        parse_counters(text), page_size, parse_zones(zones), _read_zrams(sys), _zswap(sys)
    )


def parse_counters(meminfo: bytes) -> tuple[tuple[str, int], ...]:
    """Return meminfo's lines in bytes. Raises SourceError where there is no MemTotal."""
    found = tuple(
        (name.decode("ascii"), int(value) * (KIB if unit else 1))
        for name, value, unit in _COUNTER.findall(meminfo)
    )
    if not dict(found).get("MemTotal"):
        raise SourceError("meminfo has no MemTotal line")
    return found


def parse_zones(zoneinfo: bytes) -> tuple[Zone, ...]:
    """Return the zones of /proc/zoneinfo. Raises SourceError where it is damaged.

    One without memory counts too where it has a watermark: the kernel sums all of them.
    """
    zones: list[Zone] = []
    for block in re.split(r"^(?=Node )", zoneinfo.decode("ascii", "replace"), flags=re.MULTILINE):
        try:
            zone = _parse_zone(block)
        except (IndexError, ValueError) as error:
            raise SourceError(f"zoneinfo is not as proc(5) describes it: {error}") from error
        if zone is not None and (zone.managed_pages or zone.free_pages or zone.low_pages):
            zones.append(zone)
    return tuple(zones)


def _parse_zone(block: str) -> Zone | None:
    lines = block.splitlines()
    head = _ZONE.match(lines[0]) if lines else None
    if head is None:
        return None
    found: dict[str, int] = {}
    protection: tuple[int, ...] = ()
    in_lists = 0
    for line in lines[1:]:
        words = line.split()
        if line.startswith("  pages free"):
            found["free_pages"] = int(words[2])
        elif len(words) == 2 and words[0] in _SIZES and _SIZES[words[0]] not in found:
            found[_SIZES[words[0]]] = int(words[1])
        elif words[:1] == ["protection:"]:
            protection = tuple(map(int, re.findall(r"\d+", line)))
        elif words[:1] == ["count:"]:
            in_lists += int(words[1])
        elif words[:1] == ["present"] and len(words) == 2:
            found.setdefault("present", int(words[1]))
    present = found.pop("present", 0)
    found.setdefault("managed_pages", present)  # 3.9 and older have only present
    for name in ("free_pages", *_SIZES.values()):
        found.setdefault(name, 0)
    return Zone(
        int(head[1]), head[2], protection_pages=protection, cpu_list_pages=in_lists, **found
    )


def _read_zrams(sys: Path) -> tuple[Zram, ...]:
    found = []
    for device in sorted((sys / "block").glob("zram*")):
        with contextlib.suppress(OSError, ValueError, IndexError):
            size = int((device / "disksize").read_text())
            words = (device / "mm_stat").read_text().split()
            found.append(Zram(device.name, size, int(words[0]), int(words[2])))
    return tuple(zram for zram in found if zram.disk_bytes)


def _zswap(sys: Path) -> bool | None:
    try:
        return (sys / "module/zswap/parameters/enabled").read_text().strip() == "Y"
    except OSError:
        return None
