"""The memory cgroup tree: limits, usage and members, of cgroup v1 and v2."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..errors import SourceError
from ..snapshot import UNLIMITED_PAGES, Memcg

_OWN_PROC = Path("/proc")
_FILES = (
    "memory.max",
    "memory.swap.max",
    "memory.current",
    "memory.swap.current",
    "memory.oom.group",
    "memory.events.local",
    "memory.events",
    "memory.limit_in_bytes",
    "memory.memsw.limit_in_bytes",
    "memory.usage_in_bytes",
    "memory.swappiness",
    "memory.oom_control",
    "cgroup.procs",
)


def find_memory_hierarchy(proc: Path) -> Path | None:
    """Return where the memory controller's cgroups are mounted, v1's before v2's.

    Another /proc than our own names places as its own processes see them: its init's root
    leads there.
    """
    unified = None
    try:
        of = "self" if proc == _OWN_PROC else "1"
        mounts = (proc / of / "mountinfo").read_text("utf-8", "surrogateescape")
    except OSError:
        return None
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        kind, *rest = after.split()
        point = Path(before.split()[4].replace("\\040", " "))
        if proc != _OWN_PROC:
            point = proc / "1" / "root" / point.relative_to("/")
        if kind == "cgroup" and "memory" in rest[-1].split(","):
            return point
        if kind == "cgroup2" and unified is None:
            unified = point
    return unified


def read_memcgs(mount: Path) -> tuple[Memcg, ...]:
    """Read all memory cgroups below a mount. Raises SourceError where it can't be listed."""
    if not mount.is_dir():
        raise SourceError(f"{mount}: no cgroup hierarchy there")
    files: dict[str, dict[str, str]] = {}
    orders: dict[str, int] = {}
    for path, directory in _directories(mount):
        try:
            orders[path] = directory.stat().st_ino
        except FileNotFoundError:
            continue  # removed since it was listed, as containers come and go
        files[path] = _read_files(directory)
    return parse_memcgs(files, os.sysconf("SC_PAGE_SIZE"), orders)


def parse_memcgs(
    cgroups: Mapping[str, Mapping[str, str]],
    page_size: int,
    creation_orders: Mapping[str, int] | None = None,
) -> tuple[Memcg, ...]:
    """Make Memcgs of the text of their files, leaving out cgroups without the controller."""
    orders = creation_orders or {path: index for index, path in enumerate(cgroups)}
    found = [
        parse_memcg(path, files, page_size, orders.get(path)) for path, files in cgroups.items()
    ]
    return tuple(memcg for memcg in found if memcg is not None)


def parse_memcg(
    path: str, files: Mapping[str, str], page_size: int, creation_order: int | None
) -> Memcg | None:
    """Make one Memcg, or None where the memory controller is off there."""
    if "memory.limit_in_bytes" in files:
        limits = {
            "limit_pages": _pages(files.get("memory.limit_in_bytes"), page_size),
            "memsw_limit_pages": _pages(files.get("memory.memsw.limit_in_bytes"), page_size),
            "usage_pages": _pages(files.get("memory.usage_in_bytes"), page_size),
        }
        version, events = 1, files.get("memory.oom_control", "")
    elif "memory.current" in files or path == "/":
        limits = {
            "limit_pages": UNLIMITED_PAGES
            if path == "/"
            else _pages(files.get("memory.max"), page_size),
            "swap_limit_pages": _pages(files.get("memory.swap.max"), page_size),
            "usage_pages": _pages(files.get("memory.current"), page_size),
            "swap_usage_pages": _pages(files.get("memory.swap.current"), page_size),
        }
        version, events = 2, files.get("memory.events.local") or files.get("memory.events", "")
    else:
        return None
    swappiness, group = files.get("memory.swappiness"), files.get("memory.oom.group")
    procs = files.get("cgroup.procs")
    return Memcg(
        path=path,
        version=version,
        swappiness=int(swappiness) if swappiness else None,
        oom_group=group.strip() == "1" if group else None,
        oom_kills=_event(events, "oom_kill"),
        creation_order=creation_order,
        pids=tuple(map(int, procs.split())) if procs is not None else None,
        **limits,
    )


def _pages(text: str | None, page_size: int) -> int | None:
    """Return a limit or usage in pages, UNLIMITED_PAGES for max and v1's largest number."""
    if text is None or not text.strip():
        return None
    if text.strip() == "max":
        return UNLIMITED_PAGES
    pages = int(text) // page_size
    # v1 prints the largest page count times the page size, which depends on the kernel.
    return UNLIMITED_PAGES if int(text) >= (1 << 62) else pages


def _event(text: str, name: str) -> int | None:
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return None


def _directories(mount: Path) -> Iterator[tuple[str, Path]]:
    for directory, names, _ in os.walk(mount):
        names.sort()
        below = Path(directory).relative_to(mount)
        yield ("/" if below == Path() else f"/{below}"), Path(directory)


def _read_files(directory: Path) -> dict[str, str]:
    files = {}
    for name in _FILES:
        try:
            files[name] = (directory / name).read_text()
        except OSError:
            continue  # not of this version, or the cgroup is gone
    return files
