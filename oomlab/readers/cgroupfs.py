"""The memory cgroup tree: where it is mounted, and a Memcg for each directory of it."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from ..errors import SourceError
from ..kernel.scope import is_inside
from ..memcg import Memcg
from ..snapshot import Gap
from .memcg import FILES, XATTRS, parse_memcgs

_OWN_PROC = Path("/proc")
_GONE = (errno.ENOENT, errno.ENODEV)
"""Of a cgroup that is removed while it is read: its files are gone, or no longer answer."""
_ABSENT = (errno.EOPNOTSUPP, errno.EINVAL)
"""Of a file that is there but off, as memory.pressure is with psi=0."""


class MemoryMount(NamedTuple):
    """Where the memory controller's cgroups are mounted."""

    directory: Path
    root: str
    """The cgroup that the directory shows: not "/" where a container sees a part only."""


def find_memory_mount(proc: Path) -> MemoryMount | None:
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
        kind, *rest = after.split() or [""]
        places = before.split()
        if kind not in ("cgroup", "cgroup2") or len(places) < 5 or not rest:
            continue
        point = Path(_unescaped(places[4]))
        if proc != _OWN_PROC:
            point = proc / "1" / "root" / point.relative_to("/")
        mount = MemoryMount(point, _unescaped(places[3]))
        if kind == "cgroup" and "memory" in rest[-1].split(","):
            return mount
        if kind == "cgroup2" and unified is None:
            unified = mount
    return unified


def dies_in_group(proc: Path, pid: int) -> bool:
    """Tell whether a process's cgroup, or one above it, has memory.oom.group on (v2)."""
    mount = find_memory_mount(proc)
    try:
        lines = (proc / str(pid) / "cgroup").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return False
    path = next((line[3:] for line in lines if line.startswith("0::/")), None)
    if mount is None or path is None or not is_inside(path, mount.root):
        return False
    one = mount.directory / path.removeprefix(mount.root.rstrip("/")).strip("/")
    while one != mount.directory:
        if _is_on(one / "memory.oom.group"):
            return True
        one = one.parent
    return False


def _is_on(path: Path) -> bool:
    try:
        return path.read_text("ascii", "replace").strip() == "1"
    except OSError:
        return False


def _unescaped(place: str) -> str:
    """Undo the octal escapes of mountinfo (proc(5)): blank, tab, newline, backslash."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), place)


class MemcgTree(NamedTuple):
    """All memory cgroups below a mount, parents first, and what could not be read."""

    memcgs: tuple[Memcg, ...]
    gaps: tuple[Gap, ...]


def read_memcgs(mount: Path, root: str = "/", only: str | None = None) -> MemcgTree:
    """Read all memory cgroups below a mount that shows the cgroup ``root``.

    With ``only`` those are read whose limits bear on that cgroup: itself, what is below and what
    is above. One that is removed meanwhile is left out. Raises SourceError where it can't be
    listed.
    """
    if not mount.is_dir():
        raise SourceError(f"{mount}: no cgroup hierarchy there")
    denied: dict[str, list[str]] = {}

    def deny(error: OSError, path: str) -> None:
        if error.errno not in _GONE:
            denied.setdefault(error.strerror or str(error), []).append(path)

    files: dict[str, dict[str, str]] = {}
    orders: dict[str, int] = {}
    owners: dict[str, int] = {}
    inside = None if only is None else only if root == "/" else only.removeprefix(root)
    for below, directory in _directories(mount, deny, inside):
        path = below if root == "/" else root + below.rstrip("/")
        try:
            found = directory.stat()
            orders[path], owners[path] = found.st_ino, found.st_uid
            files[path] = _read_files(directory, deny)
        except OSError as error:
            deny(error, str(directory))
    parsed = parse_memcgs(files, os.sysconf("SC_PAGE_SIZE"), orders)
    memcgs = tuple(memcg._replace(owner_uid=owners[memcg.path]) for memcg in parsed)
    return MemcgTree(memcgs, tuple(_gap(why, paths) for why, paths in sorted(denied.items())))


def _gap(why: str, paths: list[str]) -> Gap:
    shown = ", ".join(paths[:3]) + (", ..." if len(paths) > 3 else "")
    return Gap(what=f"memory cgroups ({len(paths)} files: {shown})", why=why)


def _directories(
    mount: Path, deny: Callable[[OSError, str], None], only: str | None = None
) -> Iterator[tuple[str, Path]]:
    """Yield each directory with its path from the mount on, parents first."""
    top = mount
    for part in (only or "").split("/"):
        if part:
            yield ("/" if top == mount else f"/{top.relative_to(mount)}"), top
            top /= part
    for directory, names, _ in os.walk(top, onerror=lambda e: deny(e, str(e.filename))):
        names.sort()
        below = Path(directory).relative_to(mount)
        yield ("/" if below == Path() else f"/{below}"), Path(directory)


def _read_files(directory: Path, deny: Callable[[OSError, str], None]) -> dict[str, str]:
    """Read a cgroup's files. Raises OSError where the cgroup is gone or can't be listed."""
    files = {}
    there = frozenset(os.listdir(directory))  # noqa: PTH208  # names alone are faster
    for name in FILES:
        if name not in there:
            continue
        try:
            files[name] = (directory / name).read_text("ascii", "replace")
        except OSError as error:
            if error.errno in _GONE:
                raise
            if error.errno not in _ABSENT:
                deny(error, str(directory / name))
    # Every v2 cgroup has this file, and no other has systemd-oomd's attributes.
    return files | _read_xattrs(directory) if "cgroup.controllers" in there else files


def _read_xattrs(directory: Path) -> dict[str, str]:
    """Read systemd-oomd's attributes: empty where unset, none where they can't be read."""
    found = {}
    for name in XATTRS:
        try:
            found[name] = os.getxattr(directory, name).decode("ascii", "replace")
        except OSError as error:
            if error.errno in _GONE:
                raise
            if error.errno not in (errno.ENODATA, errno.ENOTSUP):
                return {}
            found[name] = ""
    return found
