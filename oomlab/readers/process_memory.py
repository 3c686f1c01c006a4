"""Another process's memory and pagemap, /proc/PID/mem and /proc/PID/pagemap, by address."""

from __future__ import annotations

import os
import sys
import time
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from ..errors import SourceError, UnknownTaskError
from ..glibc.memory import Memory
from ..glibc.ranges import Pages
from ..mappings import Mapping
from .files import open_regular
from .pagemap import read_pages
from .procpid import decode_name
from .smaps import parse_mappings

_MAX_ADDRESS = (1 << 63) - 1
_MAX_FILE = 256 << 20


class ElfHeader(NamedTuple):
    """What the program's ELF header says."""

    pointer_bytes: int
    machine: int


def process_name(root: Path, pid: int) -> str:
    """Return a process's comm. Raises UnknownTaskError where there is no such process."""
    try:
        return decode_name((root / str(pid) / "comm").read_bytes().removesuffix(b"\n"))
    except OSError as error:
        raise UnknownTaskError(f"no process {pid} in {root}") from error


class ProcessMemory:
    """One process, opened once: what is read all belongs to it. Use as a context manager.

    Raises UnknownTaskError where it is gone, SourceError where its memory may not be read.
    """

    def __init__(self, root: Path, pid: int) -> None:
        self._root, self.pid = root, pid
        self.page_size = os.sysconf("SC_PAGE_SIZE")
        with ExitStack() as opened:
            self._directory = self._open(opened, f"{root}/{pid}", None)
            self.name = process_name(root, pid)
            if not self.read_mappings():
                raise SourceError(
                    f"process {pid} has no memory of its own: a thread of the kernel or a zombie"
                )
            self._mem = self._open(opened, "mem", self._directory)
            try:
                self._pagemap: int | None = self._open(opened, "pagemap", self._directory)
            except SourceError:
                self._pagemap = None
            self._opened = opened.pop_all()

    def __enter__(self) -> ProcessMemory:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.close()

    def _open(self, opened: ExitStack, name: str, directory: int | None) -> int:
        flags = os.O_RDONLY | (os.O_DIRECTORY if directory is None else 0)
        try:
            descriptor = os.open(name, flags, dir_fd=directory)
        except (FileNotFoundError, ProcessLookupError) as error:
            if directory is not None and name != "mem":
                raise SourceError(f"no {name} in {self._root}/{self.pid}") from error
            raise UnknownTaskError(f"no process {self.pid} in {self._root}") from error
        except PermissionError as error:
            raise self._denied() from error
        opened.callback(os.close, descriptor)
        return descriptor

    def _denied(self) -> SourceError:
        return SourceError(
            f"the memory of process {self.pid} may not be read: be its owner (and see "
            "kernel.yama.ptrace_scope) or root"
        )

    def read_mappings(self) -> tuple[Mapping, ...]:
        """Read its mappings, at once and again whenever they may have changed; none of a zombie."""
        try:
            self.mappings = tuple(parse_mappings(self._lines("maps")))
        except PermissionError as error:
            raise self._denied() from error
        except (FileNotFoundError, ProcessLookupError) as error:
            raise UnknownTaskError(f"process {self.pid} ended while it was read") from error
        self._starts = [one.start for one in self.mappings]
        return self.mappings

    def _lines(self, name: str) -> Iterator[bytes]:
        """Yield a file in pieces. A read of maps ends where its page does, not the file's end."""
        descriptor = os.open(name, os.O_RDONLY, dir_fd=self._directory)
        try:
            while piece := os.read(descriptor, 1 << 16):
                yield piece
        finally:
            os.close(descriptor)

    def elf_header(self) -> ElfHeader | None:
        """Read the header of the program, or of another ELF file that is mapped.

        From the file: read from memory, its first pages would count as the process's from then on.
        """
        for path in dict.fromkeys(one.path for one in self.mappings if one.offset == 0):
            head = self.file(path, 20) if path.startswith("/") else b""
            if head[:4] == b"\x7fELF" and head[4] in (1, 2):
                order = "little" if head[5] == 1 else "big"
                if order != sys.byteorder:
                    return None
                return ElfHeader(4 * head[4], int.from_bytes(head[18:20], sys.byteorder))
        return None

    def memory(self, header: ElfHeader, most_seconds: float) -> Memory:
        """Return the memory in words of the process's own width; the time runs from now on."""
        begun = time.monotonic()
        return Memory(
            self.read,
            header.pointer_bytes,
            lambda: 1 - (time.monotonic() - begun) / most_seconds,
        )

    def read(self, address: int, size: int) -> bytes:
        """Read bytes; fewer or none where nothing is mapped any more.

        Anonymous pages that are not in memory are zero, and are not touched: reading them would
        have the kernel give the process page tables for them.
        """
        parts: list[bytes] = []
        while size > 0 and 0 <= address < _MAX_ADDRESS:
            end, one = self._around(address)
            # Program text is not read: what is read stays in the process's page tables.
            if one is not None and one.permissions[:2] != "rw":
                break
            wanted = min(size, end - address)
            sparse = one is not None and _is_anonymous(one) and self._pagemap is not None
            part = self._sparse(address, wanted) if sparse else self._plain(address, wanted)
            parts.append(part)
            if len(part) < wanted:
                break
            address += wanted
            size -= wanted
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _around(self, address: int) -> tuple[int, Mapping | None]:
        """Return the mapping an address lies in, and its end; None up to where the next begins."""
        index = bisect_right(self._starts, address)
        if index and address < self.mappings[index - 1].end:
            return self.mappings[index - 1].end, self.mappings[index - 1]
        return (self._starts[index] if index < len(self._starts) else _MAX_ADDRESS), None

    def _sparse(self, address: int, size: int) -> bytes:
        known = self.pages(address, address + size)
        if known is None or not known.returned:
            return self._plain(address, size)
        parts, at = [], address
        for start, end in (*known.returned, (address + size, address + size)):
            if start > at:
                part = self._plain(at, start - at)
                parts.append(part)
                if len(part) < start - at:
                    return b"".join(parts)
            parts.append(bytes(end - start))
            at = end
        return b"".join(parts)

    def _plain(self, address: int, size: int) -> bytes:
        parts = []
        while size > 0 and 0 <= address <= _MAX_ADDRESS - size:
            try:
                part = os.pread(self._mem, size, address)
            except OSError:
                break
            if not part:
                break
            parts.append(part)
            address += len(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def file(self, path: str, size: int = _MAX_FILE) -> bytes:
        """Return the beginning of a file that is mapped, as the process sees it; else nothing."""
        name = path.removesuffix(" (deleted)").lstrip("/")
        try:
            with open_regular(self._root / str(self.pid) / "root" / name) as opened:
                return opened.read(size)
        except OSError:
            return b""

    def pages(self, start: int, end: int) -> Pages | None:
        """Return which pages between two addresses are not in memory, None where unknown.

        Whoever may read the memory may read this: only the frames' numbers need CAP_SYS_ADMIN.
        """
        if self._pagemap is None:
            return None
        return read_pages(self._pagemap, start, end, self.page_size)


def _is_anonymous(one: Mapping) -> bool:
    return (one.anonymous or one.path == "[heap]") and one.permissions.endswith("p")
