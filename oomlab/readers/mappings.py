"""/proc/PID/smaps, smaps_rollup and maps: as a stream, since a process may have 10^6 mappings."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

from ..errors import SourceError, UnknownTaskError
from ..mappings import AddressSpace, Mapping, SmapsSizes
from ..snapshot import Gap
from ..units import KIB
from .files import read_at
from .procpid import decode_name

_CHUNK = 1 << 16
_ENTRY = re.compile(
    rb"([0-9a-f]+)-([0-9a-f]+) (\S{4}) ([0-9a-f]+) (\S+) (\d+) *(.*)\n((?:[A-Z].*\n)*)"
)
_LABELS = {
    b"Rss:": "rss",
    b"Pss:": "pss",
    b"Shared_Clean:": "shared_clean",
    b"Shared_Dirty:": "shared_dirty",
    b"Private_Clean:": "private_clean",
    b"Private_Dirty:": "private_dirty",
    b"Anonymous:": "anonymous",
    b"LazyFree:": "lazyfree",
    b"AnonHugePages:": "anon_huge",
    b"ShmemPmdMapped:": "shmem_huge",
    b"FilePmdMapped:": "file_huge",
    b"Shared_Hugetlb:": "shared_hugetlb",
    b"Private_Hugetlb:": "private_hugetlb",
    b"Swap:": "swap",
    b"SwapPss:": "swap_pss",
    b"Locked:": "locked",
    b"Pss_Anon:": "pss_anon",
    b"Pss_File:": "pss_file",
    b"Pss_Shmem:": "pss_shmem",
}
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


def parse_mappings(chunks: Iterable[bytes]) -> Iterator[Mapping]:
    """Parse smaps or maps, given in pieces, one mapping after the other.

    Raises SourceError where there is a line that is of neither.
    """
    parse_sizes = _SizesParser()
    rest = b""
    for chunk in chunks:
        rest += chunk
        # The last entry may go on in the next piece: keep it back, from its first line on.
        complete = _last_entry(rest)
        yield from _parse_entries(rest[:complete], parse_sizes)
        rest = rest[complete:]
    yield from _parse_entries(rest, parse_sizes)


_HEADER = re.compile(rb"^[0-9a-f]+-", re.MULTILINE)


def _last_entry(text: bytes) -> int:
    """Return where the last entry begins."""
    end = len(text)
    while end > 0:
        start = text.rfind(b"\n", 0, end) + 1
        if _HEADER.match(text, start):
            return start
        end = start - 1
    return 0


def _parse_entries(text: bytes, parse_sizes: _SizesParser) -> Iterator[Mapping]:
    at = 0
    while at < len(text):
        found = _ENTRY.match(text, at)
        if found is None:
            raise SourceError(f"no mapping as proc(5) describes it: {text[at : at + 80]!r}")
        start, end, permissions, offset, device, inode, path, body = found.groups()
        sizes, page, flags = parse_sizes(body) if body else (None, None, None)
        yield Mapping(
            int(start, 16),
            int(end, 16),
            permissions.decode("ascii"),
            int(offset, 16),
            device.decode("ascii"),
            int(inode),
            decode_name(path),
            sizes,
            page,
            flags,
        )
        at = found.end()


_Parsed = tuple[SmapsSizes, int | None, str | None]


class _SizesParser:
    """Parses the lines below a mapping's first; their order is learnt from the first of them.

    All mappings of one kernel have the same lines, so labels are compared, not searched.
    Equal sizes are kept once: most of 10^5 mappings are guards and hold nothing.
    """

    def __init__(self) -> None:
        self._labels: Any = None
        self._get_labels: Any = None
        self._get_values: Any = None
        self._names: list[str] = []
        self._known: dict[tuple[bytes, ...], _Parsed] = {}

    def __call__(self, body: bytes) -> _Parsed:
        sizes, _, tail = body.partition(b"\nVmFlags:")
        words = sizes.split()
        try:
            if self._labels is None or self._get_labels(words) != self._labels:
                self._learn(sizes)
        except IndexError:
            self._learn(sizes)
        values = self._get_values(words)
        key = (*values, tail)
        parsed = self._known.get(key)
        if parsed is None:
            parsed = self._parse(values, tail)
            if len(self._known) < _KEPT:
                self._known[key] = parsed
        return parsed

    def _parse(self, values: tuple[bytes, ...], tail: bytes) -> _Parsed:
        named = dict(zip(self._names, (int(value) * KIB for value in values), strict=True))
        page = named.pop("", None)
        # One flag stands there twice: "sd" is shared dirty or soft dirty; a set would do too.
        flags = tail.partition(b"\n")[0].decode("ascii").strip() if tail else None
        return SmapsSizes(**named), page, flags

    def _learn(self, text: bytes) -> None:
        at, labels, values, self._names = 0, [], [], []
        for line in text.split(b"\n"):
            words = line.split()
            if words and (words[0] in _LABELS or words[0] == b"KernelPageSize:"):
                labels.append(at)
                values.append(at + 1)
                self._names.append(_LABELS.get(words[0], ""))
            at += len(words)
        if len(values) < 2:
            raise SourceError(f"no sizes as proc(5) describes them: {text[:80]!r}")
        self._get_labels, self._get_values = itemgetter(*labels), itemgetter(*values)
        self._labels = self._get_labels(text.split())
        self._known.clear()


_KEPT = 4096


def parse_rollup(text: bytes) -> SmapsSizes | None:
    """Parse smaps_rollup: one entry of all mappings together. None where there are none."""
    found = next(parse_mappings([text]), None)
    return found.sizes if found is not None else None


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
