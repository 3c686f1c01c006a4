"""Who holds shared memory: mounted tmpfs files, deleted ones, memfd, SysV, MAP_SHARED; sockets."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..meminfo import Held
from .files import read_at

_BLOCK_BYTES = 512
"""Of st_blocks, whatever the file system's own blocks are."""
_SHMEM_RSS = re.compile(rb"^RssShmem:\s+([1-9]\d*) kB", re.MULTILINE)
_SOCKETS = re.compile(r"^(TCP|UDP): .*\bmem (\d+)$", re.MULTILINE)
_Inode = tuple[int, int]


def read_held(root: Path, pids: Iterable[int] | None = None) -> Held:
    """Look through the descriptors and shared mappings of all processes, or of some.

    Each file counts once, with what it has allocated: pages in swap too. Processes that may not
    be looked into are counted as unseen.
    """
    search = _Search()
    if pids is None:
        pids = [int(path.name) for path in root.iterdir() if path.name.isdecimal()]
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, NotADirectoryError):
            search.look_into(root, pid)
    search.tell_deleted_ones()
    return Held(
        mounted_bytes=sum(search.mounts.values()),
        deleted_bytes=sum(search.deleted.values()),
        memfd_bytes=sum(search.memfds.values()),
        shared_anon_bytes=sum(search.shared.values()),
        sysv_bytes=_read_sysv(root),
        pipes=len(search.pipes),
        sockets_bytes=_read_sockets(root),
        unseen=search.unseen,
    )


class _Search:
    def __init__(self) -> None:
        self.mounts: dict[int, int] = {}
        """Bytes in use by device."""
        self.deleted: dict[_Inode, int] = {}
        self.memfds: dict[_Inode, int] = {}
        self.shared: dict[_Inode, int] = {}
        self.pipes: set[str] = set()
        self.unseen = 0
        self._namespaces: set[str] = set()
        self._own = _memory_device()
        """Of the kernel's own tmpfs: memfd, SysV and shared anonymous memory lie there."""

    def look_into(self, root: Path, pid: int) -> None:
        directory = os.open(root / str(pid), os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._look_at_mounts(root, pid, directory)
            self._look_at_descriptors(directory)
            if _SHMEM_RSS.search(read_at(directory, "status")):
                self._look_at_mappings(directory)
        except PermissionError:
            self.unseen += 1
        finally:
            os.close(directory)

    def tell_deleted_ones(self) -> None:
        """Keep of the deleted files those on tmpfs, and count none in its mount too."""
        for device, inode in list(self.deleted):
            if device in self.mounts:
                self.mounts[device] -= self.deleted[device, inode]
            else:
                del self.deleted[device, inode]

    def _look_at_mounts(self, root: Path, pid: int, directory: int) -> None:
        namespace = os.readlink("ns/mnt", dir_fd=directory)
        if namespace in self._namespaces:
            return
        self._namespaces.add(namespace)
        for device, place in tmpfs_mounts(read_at(directory, "mountinfo")):
            if device not in self.mounts:
                with contextlib.suppress(OSError):
                    path = f"{root}/{pid}/root{place}"
                    found = os.statvfs(path)
                    if os.stat(path).st_dev == device:  # noqa: PTH116  # bytes below /proc
                        self.mounts[device] = (found.f_blocks - found.f_bfree) * found.f_frsize

    def _look_at_descriptors(self, directory: int) -> None:
        descriptors = os.open("fd", os.O_RDONLY | os.O_DIRECTORY, dir_fd=directory)
        try:
            for name in os.listdir(descriptors):  # noqa: PTH208  # a descriptor
                with contextlib.suppress(FileNotFoundError):
                    target = os.readlink(name, dir_fd=descriptors)
                    if target.startswith("pipe:["):
                        self.pipes.add(target)
                    elif target.startswith("/memfd:"):
                        _add(self.memfds, os.stat(name, dir_fd=descriptors))
                    elif target.endswith(" (deleted)"):
                        _add(self.deleted, os.stat(name, dir_fd=descriptors))
        finally:
            os.close(descriptors)

    def _look_at_mappings(self, directory: int) -> None:
        wanted = f" {os.major(self._own):02x}:{os.minor(self._own):02x} "
        for line in os.fsdecode(read_at(directory, "maps")).splitlines():
            words = line.split(None, 5)
            if wanted in line and len(words) == 6 and not words[5].startswith("/SYSV"):
                start, _, end = words[0].partition("-")
                # map_files prints addresses without leading zeros, maps with some.
                place = f"map_files/{int(start, 16):x}-{int(end, 16):x}"
                kind = self.memfds if words[5].startswith("/memfd:") else self.shared
                with contextlib.suppress(FileNotFoundError):
                    _add(kind, os.stat(place, dir_fd=directory))


def _add(files: dict[_Inode, int], found: os.stat_result) -> None:
    files[found.st_dev, found.st_ino] = found.st_blocks * _BLOCK_BYTES


def _memory_device() -> int:
    descriptor = os.memfd_create("oomlab")
    try:
        return os.fstat(descriptor).st_dev
    finally:
        os.close(descriptor)


def tmpfs_mounts(mountinfo: bytes) -> Iterator[tuple[int, str]]:
    """Yield the device and the mount point of each tmpfs that mountinfo lists.

    ramfs is no part of Shmem, and does not tell what it has.
    """
    for line in mountinfo.splitlines():
        left, _, right = line.partition(b" - ")
        words, kind = left.split(), right.split()[:1]
        if len(words) > 4 and kind and kind[0] in (b"tmpfs", b"devtmpfs"):
            major, _, minor = words[2].partition(b":")
            place = re.sub(rb"\\(\d{3})", lambda m: bytes([int(m[1], 8)]), words[4])
            yield os.makedev(int(major), int(minor)), os.fsdecode(place)


def _read_sysv(root: Path) -> int:
    """Return what the segments of this IPC namespace have in memory."""
    try:
        rows = [line.split() for line in (root / "sysvipc/shm").read_bytes().splitlines()[1:]]
    except OSError:
        return 0
    return sum(int(row[14]) for row in rows if len(row) > 14)


def _read_sockets(root: Path) -> int | None:
    """Return the buffers of TCP and UDP of all network namespaces; None where not told."""
    for place in ("net/sockstat", "1/net/sockstat"):
        with contextlib.suppress(OSError):
            pages = parse_sockstat((root / place).read_text("ascii"))
            return pages * os.sysconf("SC_PAGE_SIZE")
    return None


def parse_sockstat(text: str) -> int:
    """Return the pages of TCP's and UDP's buffers, of /proc/net/sockstat."""
    return sum(int(pages) for _, pages in _SOCKETS.findall(text))
