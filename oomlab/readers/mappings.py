"""What one process has mapped: /proc/PID/smaps or maps, and what tells the mappings' kinds."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ..errors import SourceError, UnknownTaskError
from ..mappings import AddressSpace, Mapping
from ..snapshot import Gap
from .files import read_at
from .smaps import parse_mappings, parse_rollup

_CHUNK = 1 << 16
_NO_MEMORY = (FileNotFoundError, ProcessLookupError)


def read_address_space(root: Path, pid: int) -> AddressSpace:
    """Read what one process has mapped, and what tells the kinds of its mappings.

    What may not be read becomes a gap. A zombie and a thread of the kernel have no mappings.
    Raises UnknownTaskError where the process is gone, SourceError for a damaged file.
    """
    try:
        directory = os.open(root / str(pid), os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise UnknownTaskError(f"no process {pid} in {root}") from error
    try:
        return _read(directory, root, pid)
    except ProcessLookupError as error:
        raise UnknownTaskError(f"process {pid} ended while it was read") from error
    except ValueError as error:
        raise SourceError(f"{root}/{pid}/smaps: not as proc(5) describes it: {error}") from error
    finally:
        os.close(directory)


def _read(directory: int, root: Path, pid: int) -> AddressSpace:
    gaps: list[Gap] = []
    mappings = _read_list(directory, "smaps", pid, gaps)
    if mappings is None:  # a kernel without smaps (CONFIG_PROC_PAGE_MONITOR), or no rights
        mappings = _read_list(directory, "maps", pid, gaps)
    rollup = None
    with contextlib.suppress(OSError):
        rollup = parse_rollup(read_at(directory, "smaps_rollup"))
    exe = None
    with contextlib.suppress(OSError):
        exe = os.readlink("exe", dir_fd=directory).replace("\n", "\\012")
    pointers, running = _read_stack_pointers(directory) if mappings else ((), 0)
    os.stat("stat", dir_fd=directory)  # gone meanwhile: then nothing above is to be trusted
    return AddressSpace(
        pid,
        mappings,
        rollup,
        os.sysconf("SC_PAGE_SIZE"),
        exe,
        pointers,
        running,
        _memory_devices(directory),
        _noreserve_shows(root),
        tuple(gaps),
    )


def _read_list(directory: int, name: str, pid: int, gaps: list[Gap]) -> tuple[Mapping, ...] | None:
    try:
        return tuple(parse_mappings(_chunks(directory, name)))
    except FileNotFoundError:
        return None
    except PermissionError as error:
        gaps.append(Gap(what=name, why=error.strerror or str(error), pids=(pid,)))
        return None


def _chunks(directory: int, name: str) -> Iterator[bytes]:
    descriptor = os.open(name, os.O_RDONLY, dir_fd=directory)
    try:
        while chunk := os.read(descriptor, _CHUNK):
            yield chunk
    finally:
        os.close(descriptor)


def _read_stack_pointers(directory: int) -> tuple[tuple[int, ...], int]:
    """Return the stack pointers of sleeping threads, and of how many threads it is unknown."""
    pointers, unknown = [], 0
    try:
        tasks = os.open("task", os.O_RDONLY | os.O_DIRECTORY, dir_fd=directory)
    except OSError:
        return (), 0
    try:
        for tid in os.listdir(tasks):  # noqa: PTH208  # a descriptor
            try:
                # "NUMBER ARGUMENTS... SP PC", "-1 SP PC", or "running" (CONFIG_HAVE_ARCH_TRACEHOOK)
                words = read_at(tasks, f"{tid}/syscall").split()
                pointers.append(int(words[-2], 16))
            except _NO_MEMORY:
                continue  # the thread ended, or this kernel has no such file
            except (OSError, IndexError, ValueError):
                unknown += 1
    finally:
        os.close(tasks)
    return tuple(sorted(pointers)), unknown


def _memory_devices(directory: int) -> tuple[str, ...]:
    """Return the devices of tmpfs and ramfs file systems that the process sees mounted."""
    try:
        text = read_at(directory, "mountinfo")
    except OSError:
        return ()
    return parse_memory_devices(text)


def parse_memory_devices(mountinfo: bytes) -> tuple[str, ...]:
    """Return the devices, as maps prints them, of mounts whose files are memory."""
    devices = set()
    for line in mountinfo.splitlines():
        left, _, right = line.partition(b" - ")
        words, kind = left.split(), right.split()[:1]
        if len(words) > 2 and kind and kind[0] in (b"tmpfs", b"ramfs", b"devtmpfs", b"rootfs"):
            major, _, minor = words[2].partition(b":")
            devices.add(f"{int(major):02x}:{int(minor):02x}")
    return tuple(sorted(devices))


def _noreserve_shows(root: Path) -> bool:
    try:
        return (root / "sys/vm/overcommit_memory").read_bytes().strip() != b"2"
    except OSError:
        return True
