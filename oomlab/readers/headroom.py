"""What is left before the OOM killer must come, by the kernel's own estimate."""

from __future__ import annotations

import re
from pathlib import Path

from ..samples import ScopeUse
from ..snapshot import Machine
from ..units import kib_to_pages


def read_headroom(root: Path, machine: Machine) -> tuple[ScopeUse, ...]:
    """Return what is left of the machine: MemAvailable and free swap; nothing where unknown.

    MemAvailable (since 3.14) is what can be handed out without swapping, page cache that can be
    dropped included and the reserves excluded: si_mem_available() in mm/show_mem.c.
    """
    if machine.available_pages is None or machine.meminfo_replaced:
        return ()
    try:
        meminfo = (root / "meminfo").read_bytes()
    except OSError:
        return ()
    free_swap = parse_free_swap(meminfo, machine.page_size)
    if free_swap is None:
        return ()
    return (ScopeUse(None, machine.available_pages + free_swap),)


def parse_free_swap(meminfo: bytes, page_size: int) -> int | None:
    """Return SwapFree of /proc/meminfo in pages."""
    found = re.search(rb"^SwapFree: +(\d+) kB$", meminfo, re.MULTILINE)
    return kib_to_pages(int(found[1]), page_size) if found else None
