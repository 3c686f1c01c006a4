"""What a container's /proc hides or fakes, and where the truth is."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from ..errors import SourceError

_INIT_PID_NAMESPACE = "pid:[4026531836]"
"""The initial pid namespace has this fixed number (PROC_PID_INIT_INO)."""


def is_replaced(root: Path, name: str) -> bool:
    """Tell whether another file system is mounted over a file of ``root``."""
    try:
        return (root / name).stat().st_dev != root.stat().st_dev
    except OSError:
        return False


def read_sysinfo(page_size: int) -> dict[str, int]:
    """Ask sysinfo(2) for the totals; all that it does not tell is unknown then."""
    import ctypes

    class Sysinfo(ctypes.Structure):
        _fields_ = (
            ("uptime", ctypes.c_long),
            ("loads", ctypes.c_ulong * 3),
            ("totalram", ctypes.c_ulong),
            ("freeram", ctypes.c_ulong),
            ("sharedram", ctypes.c_ulong),
            ("bufferram", ctypes.c_ulong),
            ("totalswap", ctypes.c_ulong),
            ("freeswap", ctypes.c_ulong),
            ("procs", ctypes.c_ushort),
            ("pad", ctypes.c_ushort),
            ("totalhigh", ctypes.c_ulong),
            ("freehigh", ctypes.c_ulong),
            ("mem_unit", ctypes.c_uint),
            ("reserved", ctypes.c_char * 64),
        )

    info = Sysinfo()
    libc: Any = ctypes.CDLL(None, use_errno=True)
    if libc.sysinfo(ctypes.byref(info)) != 0:
        raise SourceError(f"sysinfo(2): {os.strerror(ctypes.get_errno())}")
    return {
        "ram_pages": info.totalram * info.mem_unit // page_size,
        "swap_pages": info.totalswap * info.mem_unit // page_size,
        "free_pages": info.freeram * info.mem_unit // page_size,
        "swap_free_pages": info.freeswap * info.mem_unit // page_size,
    }


def online_cpus(root: Path) -> int | None:
    """Count the CPUs that are online: the bound of the per-CPU counters grows with them.

    Where stat is faked (lxcfs) their number is unknown: too small a bound would be wrong.
    """
    if is_replaced(root, "stat"):
        return None
    try:
        found = len(re.findall(rb"^cpu\d+ ", (root / "stat").read_bytes(), re.MULTILINE))
    except OSError:
        return None
    return found or None


def sees_global_init(root: Path) -> bool | None:
    """Tell whether pid 1 here is the global init, which the OOM killer never chooses."""
    try:
        # Only the initial pid namespace shows the kernel's own threads, pid 2 first.
        if b") " in (kthreadd := (root / "2" / "stat").read_bytes()):
            words = kthreadd.rpartition(b")")[2].split()
            if len(words) > 6 and words[1] == b"0" and int(words[6]) & 0x00200000:
                return True
    except (OSError, ValueError):
        pass
    # hidepid may hide pid 2 even there. What init is in, or else what we are in, tells too.
    for process in ("1", "self"):
        try:
            return str((root / process / "ns" / "pid").readlink()) == _INIT_PID_NAMESPACE
        except OSError:
            continue
    try:
        # The kernel's 0 may have other reasons, but anything else is no global init's.
        return False if int((root / "1" / "oom_score").read_bytes()) else None
    except (OSError, ValueError):
        return None
