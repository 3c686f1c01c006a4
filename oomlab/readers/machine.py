"""The machine as a whole: memory totals, CPUs, nodes, the vm.* settings."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..errors import SourceError
from ..snapshot import Gap, Machine, Node
from ..units import kib_to_pages
from .faked import is_replaced, online_cpus, read_sysinfo, sees_global_init
from .pressure import read_pressure

SYSCTLS = (
    "oom_kill_allocating_task",
    "panic_on_oom",
    "oom_dump_tasks",
    "overcommit_memory",
    "overcommit_ratio",
    "overcommit_kbytes",
    "min_free_kbytes",
    "swappiness",
)
"""Files of /proc/sys/vm that are kept as integers, each under its own name."""

_MOST_32_BIT_KIB = 4 << 20


def read_machine(root: Path) -> tuple[Machine, tuple[Gap, ...]]:
    """Read the machine behind a /proc. Raises SourceError where a file is not as expected."""
    try:
        return _read_machine(root)
    except ValueError as error:
        raise SourceError(f"{root}: not a /proc as the kernel prints it ({error})") from error


def _read_machine(root: Path) -> tuple[Machine, tuple[Gap, ...]]:
    try:
        text = (root / "meminfo").read_bytes()
    except OSError as error:
        raise SourceError(
            f"{root}/meminfo: {error.strerror}; oomlab needs Linux and a mounted /proc "
            "(or a snapshot or a kernel log: --from FILE)"
        ) from error
    page_size = os.sysconf("SC_PAGE_SIZE")
    meminfo, word_bits = parse_meminfo(text, page_size), parse_word_bits(text)
    gaps: list[Gap] = []
    replaced = is_replaced(root, "meminfo")
    if replaced:
        # lxcfs and its like put a container's limits there; the kernel's totals are sysinfo's.
        meminfo = read_sysinfo(page_size)
        gaps.append(Gap(what="meminfo", why="something is mounted over it; used sysinfo(2)"))
    zones = _read_optional(root / "zoneinfo", gaps)
    vmstat = _read_optional(root / "vmstat", gaps)
    release = _read_optional(root / "sys/kernel/osrelease", gaps)
    inside = sees_global_init(root)
    if inside is False:
        gaps.append(Gap(what="processes", why="this is a container's /proc: others are not seen"))
    return Machine(
        page_size=page_size,
        word_bits=word_bits,
        release=release.decode("ascii", "replace").strip() if release else None,
        cpus=online_cpus(root),
        nodes=parse_zoneinfo(zones) if zones else None,
        swapped_out_pages=parse_swapped_out(vmstat) if vmstat else None,
        oom_kills=parse_oom_kills(vmstat) if vmstat else None,
        uptime_seconds=_read_uptime(root),
        init_pid_namespace=inside,
        meminfo_replaced=replaced,
        pressure=read_pressure(root / "pressure" / "memory"),
        **meminfo,
        **_read_sysctls(root, gaps),
    ), tuple(gaps)


def parse_meminfo(text: bytes, page_size: int) -> dict[str, int]:
    """Return Machine's fields out of /proc/meminfo; its kB are exact multiples of a page.

    Raises SourceError where MemTotal or SwapTotal is missing.
    """
    found = dict(re.findall(_MEMINFO, text, re.MULTILINE))
    if b"MemTotal" not in found or b"SwapTotal" not in found:
        raise SourceError("meminfo has no MemTotal or no SwapTotal line")
    if int(found[b"MemTotal"]) == 0:
        raise SourceError("meminfo says that there is no memory")
    return {_FIELDS[key]: kib_to_pages(int(kib), page_size) for key, kib in found.items()}


_MEMINFO = rb"^(MemTotal|SwapTotal|MemAvailable|MemFree|SwapFree|AnonPages|Shmem): +(\d+) kB$"
_FIELDS = {
    b"MemTotal": "ram_pages",
    b"SwapTotal": "swap_pages",
    b"MemAvailable": "available_pages",
    b"MemFree": "free_pages",
    b"SwapFree": "swap_free_pages",
    b"AnonPages": "anon_pages",
    b"Shmem": "shmem_pages",
}


def parse_word_bits(text: bytes) -> int:
    """Return the kernel's word size: its vmalloc area exceeds 4 GiB on 64 bits only.

    Python's own word size is no guide: a 32-bit userland may run on a 64-bit kernel.
    """
    found = re.search(rb"^VmallocTotal: +(\d+) kB$", text, re.MULTILINE)
    if found is None:
        return os.sysconf("SC_LONG_BIT")
    return 64 if int(found[1]) > _MOST_32_BIT_KIB else 32


def parse_zoneinfo(text: bytes) -> tuple[Node, ...] | None:
    """Return each NUMA node's pages out of /proc/zoneinfo, summed over its zones.

    The file lists are the node's from 4.8 on and were each zone's before: their sum is the same.
    """
    totals: dict[int, dict[bytes, int]] = {}
    node = None
    for line in text.splitlines():
        words = line.split()
        if line.startswith(b"Node ") and len(words) >= 2:
            node = totals.setdefault(int(words[1].rstrip(b",")), {})
        elif node is not None and words[:2] == [b"pages", b"free"]:
            node[b"free"] = node.get(b"free", 0) + int(words[2])
        elif node is not None and len(words) == 2 and words[0] in _NODE_FIGURES:
            name = _NODE_FIGURES[words[0]]
            node[name] = node.get(name, 0) + int(words[1])
    if not totals:
        return None
    return tuple(
        Node(
            number=number,
            spanned_pages=pages.get(b"spanned", 0),
            present_pages=pages.get(b"present", 0),
            managed_pages=pages.get(b"managed"),
            free_pages=pages.get(b"free"),
            file_pages=pages.get(b"file"),
        )
        for number, pages in sorted(totals.items())
    )


_NODE_FIGURES = {
    b"spanned": b"spanned",
    b"present": b"present",
    b"managed": b"managed",
    b"nr_inactive_file": b"file",
    b"nr_active_file": b"file",
}


def parse_swapped_out(text: bytes) -> int:
    """Return the pages ever swapped out, to a device, to zswap or as zero-filled pages."""
    found = re.findall(rb"^(?:pswpout|zswpout|swpout_zero) (\d+)$", text, re.MULTILINE)
    return sum(map(int, found))


def parse_oom_kills(text: bytes) -> int | None:
    """Return how many processes were killed since boot, at cgroups' limits too; None before 4.13.

    Source: 8e675f7af507 ("mm/oom_kill: count global and memory cgroup oom kills") (in v4.13).
    """
    found = re.search(rb"^oom_kill (\d+)$", text, re.MULTILINE)
    return int(found[1]) if found else None


def _read_uptime(root: Path) -> int | None:
    try:
        return int((root / "uptime").read_bytes().split(b".")[0])
    except (OSError, ValueError):
        return None


def _read_sysctls(root: Path, gaps: list[Gap]) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for name in SYSCTLS:
        text = _read_optional(root / "sys/vm" / name, gaps)
        try:
            found[name] = int(text) if text else None
        except ValueError:
            found[name] = None
    return found


def _read_optional(path: Path, gaps: list[Gap]) -> bytes | None:
    """Read a file that some kernels lack (silently None) or may forbid (a gap)."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        gaps.append(Gap(what=str(path), why=error.strerror or str(error)))
        return None
