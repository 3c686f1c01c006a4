"""One process in depth: faults, the allocator's settings, who shares its memory files."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

from ..errors import SourceError, UnknownTaskError
from ..process import ProcessFiles, Sharers, SysvSegment, Unit, Vitals
from ..snapshot import Gap
from .files import read_at
from .procpid import decode_name
from .unit_files import read_unit_setting

_GONE = (FileNotFoundError, ProcessLookupError, NotADirectoryError)
_USER_HZ = 100
_SHM_DEST = 0o1000
"""Mode bit of a segment that goes with its last user (include/linux/shm.h)."""

_TUNABLES = re.compile(
    rb"^(GLIBC_TUNABLES|MALLOC_[A-Z_]+|(?:_RJEM_|JE_|JEMALLOC_)?MALLOC_CONF|TCMALLOC_[A-Z_]+"
    rb"|MIMALLOC_[A-Z_]+|GOGC|GOMEMLIMIT|GODEBUG|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS"
    rb"|JDK_JAVA_OPTIONS|PYTHONMALLOC|LD_PRELOAD|NODE_OPTIONS)=(.*)$",
    re.DOTALL,
)
"""All else in an environment may be a secret and is not kept."""


def read_vitals(root: Path, pid: int) -> Vitals:
    """Read a process's faults and sizes. Raises UnknownTaskError where it is gone."""
    try:
        directory = os.open(root / str(pid), os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise UnknownTaskError(f"no process {pid} in {root}") from error
    try:
        at = time.monotonic()
        stat = read_at(directory, "stat")
        statm = read_at(directory, "statm").split()
        uptime = float((root / "uptime").read_bytes().split()[0])
    except _GONE as error:
        raise UnknownTaskError(f"process {pid} ended while it was read") from error
    finally:
        os.close(directory)
    return parse_vitals(pid, stat, statm, at, uptime)


def parse_vitals(
    pid: int, stat: bytes, statm: list[bytes], at_seconds: float, uptime_seconds: float
) -> Vitals:
    """Make Vitals of stat and statm. Raises SourceError where they are damaged."""
    try:
        words = stat.rpartition(b")")[2].split()
        age = max(0.0, uptime_seconds - int(words[19]) / _USER_HZ)
        return Vitals(
            pid, at_seconds, int(words[7]), int(words[9]), age, *(int(w) for w in statm[:3])
        )
    except (IndexError, ValueError) as error:
        raise SourceError(f"stat is not as proc(5) describes it: {stat[:80]!r}") from error


def read_process_files(
    root: Path, pid: int, shared: Iterable[tuple[str, int]] = (), unit: Unit | None = None
) -> ProcessFiles:
    """Read what explain asks of one process beside its mappings.

    ``shared`` are files of memory, (device, inode) as in maps, whose other users are looked for;
    ``unit`` is the systemd unit that starts it, whose files lie beside ``root``.
    """
    gaps: list[Gap] = []
    tunables = None
    try:
        tunables = parse_tunables((root / str(pid) / "environ").read_bytes())
    except PermissionError as error:
        gaps.append(Gap(what="environ", why=error.strerror or str(error), pids=(pid,)))
    except OSError:
        pass  # it has ended, or is a thread of the kernel
    wanted = frozenset(shared)
    return ProcessFiles(
        vitals=read_vitals(root, pid),
        tunables=tunables,
        sharers=_find_sharers(root, pid, wanted) if wanted else None,
        segments=_read_segments(root) if wanted else (),
        unit_setting=read_unit_setting(root.parent, unit) if unit is not None else None,
        gaps=tuple(gaps),
    )


def parse_tunables(environ: bytes) -> tuple[tuple[str, str], ...]:
    """Return the variables of an environment that allocators know."""
    found = (_TUNABLES.match(entry) for entry in environ.split(b"\0"))
    return tuple((decode_name(m[1]), decode_name(m[2])) for m in found if m is not None)


def _find_sharers(root: Path, pid: int, wanted: frozenset[tuple[str, int]]) -> Sharers:
    """Look through the maps of all other processes for some files."""
    pattern = re.compile(
        rb" ("
        + rb"|".join(re.escape(f"{device} {inode}".encode()) for device, inode in wanted)
        + rb") "
    )
    by_file: dict[tuple[str, int], set[int]] = {}
    names = [path.name for path in root.iterdir() if path.name.isdecimal()]
    unseen = 0 if "1" in names else 1  # every /proc has a pid 1, unless some are hidden
    for name in names:
        if int(name) == pid:
            continue
        try:
            text = (root / name / "maps").read_bytes()
        except PermissionError:
            unseen += 1
            continue
        except OSError:
            continue
        for found in set(pattern.findall(text)):
            device, _, inode = found.decode("ascii").partition(" ")
            by_file.setdefault((device, int(inode)), set()).add(int(name))
    return Sharers({key: tuple(sorted(pids)) for key, pids in by_file.items()}, unseen)


def _read_segments(root: Path) -> tuple[SysvSegment, ...]:
    try:
        return parse_segments((root / "sysvipc/shm").read_bytes())
    except OSError:
        return ()


def parse_segments(text: bytes) -> tuple[SysvSegment, ...]:
    """Parse /proc/sysvipc/shm: key shmid perms size cpid lpid nattch ..."""
    rows = [line.split() for line in text.splitlines()[1:]]
    return tuple(
        SysvSegment(int(row[1]), int(row[6]), bool(int(row[2], 8) & _SHM_DEST))
        for row in rows
        if len(row) > 6
    )
