"""Where logs come from: files plain or packed, standard input, directories, the journal."""

from __future__ import annotations

import io
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from ...errors import SourceError
from ...report import OomReport
from .scan import scan

_PACKED_BYTES = 1 << 18
_HEAD_BYTES = 4096
STDIN = "-"


class _Unpacker(Protocol):
    eof: bool
    unused_data: bytes

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class Unpacked:
    """A packed stream read as plain bytes, never more at once than is asked for."""

    def __init__(self, stream: Any, make: Callable[[], _Unpacker]) -> None:
        self._stream, self._make = stream, make
        self._unpacker = make()
        self._rest = b""
        self._fresh = True
        self.damage: str | None = None

    def readinto(self, view: memoryview) -> int:
        """Fill ``view`` as far as one step goes; 0 at the end or where the file is damaged."""
        while True:
            if not self._rest and self._needs_input():
                self._rest = self._stream.read(_PACKED_BYTES)
                if not self._rest:
                    if not self._fresh:
                        self.damage = "the packed file is cut short"
                    return 0
            try:
                data = self._unpacker.decompress(self._rest, len(view))
            except (zlib.error, OSError, EOFError, ValueError, _lzma_error()) as error:
                self.damage = f"the packed file is damaged ({error})"
                return 0
            self._fresh = False
            self._rest = getattr(self._unpacker, "unconsumed_tail", b"")
            if self._unpacker.eof:
                # Files may be several packed streams one after the other.
                self._rest = self._unpacker.unused_data.lstrip(b"\0")
                self._unpacker, self._fresh = self._make(), True
            if data:
                view[: len(data)] = data
                return len(data)

    def _needs_input(self) -> bool:
        return bool(getattr(self._unpacker, "needs_input", True))


def _lzma_error() -> type[Exception]:
    import lzma

    return lzma.LZMAError


def _gzip() -> Any:
    return zlib.decompressobj(wbits=31)


def _xz() -> Any:
    import lzma

    return lzma.LZMADecompressor(memlimit=1 << 27)


def _bz2() -> Any:
    import bz2

    return bz2.BZ2Decompressor()


def _zst() -> Any:
    try:
        from compression import zstd  # type: ignore[import-not-found]  # Python 3.14
    except ImportError:
        try:
            import zstandard  # type: ignore[import-not-found]
        except ImportError:
            raise SourceError(
                "a .zst file needs Python 3.14 or: pip install zstandard "
                "(or: zstd -dc FILE | oomlab report -)"
            ) from None
        return _Zstandard(zstandard.ZstdDecompressor().decompressobj())
    return zstd.ZstdDecompressor()


class _Zstandard:
    """The zstandard package's object, which knows no maximum length, as the others are."""

    needs_input = True

    def __init__(self, inner: Any) -> None:
        self._inner, self._ready = inner, b""
        self.eof, self.unused_data, self.unconsumed_tail = False, b"", b""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        # A frame's block unpacks to at most 128 kB, so small pieces bound what is held.
        if not self._ready:
            piece, self.unconsumed_tail = data[:1024], data[1024:]
            self._ready = self._inner.decompress(piece)
            self.eof = bool(self._inner.eof)
            self.unused_data = self._inner.unused_data + self.unconsumed_tail if self.eof else b""
        given, self._ready = self._ready[:max_length], self._ready[max_length:]
        self.needs_input = not self._ready
        return bytes(given)


_PACKERS: tuple[tuple[bytes, Callable[[], Any]], ...] = (
    (b"\x1f\x8b", _gzip),
    (b"\xfd7zXZ\x00", _xz),
    (b"BZh", _bz2),
    (b"\x28\xb5\x2f\xfd", _zst),
)
"""First bytes of packed files; the name's ending says nothing."""


def read_events(path: str, warn: Callable[[str], None]) -> Iterator[OomReport]:
    """Yield the events of one log ("-": standard input). Raises SourceError."""
    if path == STDIN:
        yield from _events(sys.stdin.buffer, "standard input", warn)
        return
    try:
        with Path(path).open("rb") as stream:
            yield from _events(stream, path, warn)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error


def _events(stream: Any, name: str, warn: Callable[[str], None]) -> Iterator[OomReport]:
    start = stream.peek(8)[:8] if isinstance(stream, io.BufferedReader) else b""
    for magic, make in _PACKERS:
        if start.startswith(magic):
            unpacked = Unpacked(stream, make)
            yield from scan(unpacked.readinto, name)
            if unpacked.damage is not None:
                warn(f"{name}: {unpacked.damage}: read up to there")
            return
    yield from scan(stream.readinto, name)


def read_head(path: str) -> bytes:
    """Return the first bytes of a source, unpacked; standard input keeps them to be read again.

    Raises SourceError.
    """
    if path == STDIN:
        stdin: Any = sys.stdin.buffer
        return bytes(stdin.peek(_HEAD_BYTES)[:_HEAD_BYTES])
    view = memoryview(bytearray(_HEAD_BYTES))
    try:
        with Path(path).open("rb") as stream:
            start = stream.peek(8)[:8]
            make = next((make for magic, make in _PACKERS if start.startswith(magic)), None)
            source = stream if make is None else Unpacked(stream, make)
            return bytes(view[: source.readinto(view)])
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error


def find_logs(paths: Sequence[str], *, recursive: bool) -> list[str]:
    """Return the files that ``paths`` name. Raises SourceError for a directory without ``-r``."""
    found: list[str] = []
    for path in paths:
        if path != STDIN and Path(path).is_dir():
            if not recursive:
                raise SourceError(f"{path} is a directory: give -r to read all files in it")
            found += sorted(str(p) for p in Path(path).rglob("*") if p.is_file())
        else:
            found.append(path)
    return found


def read_journal(warn: Callable[[str], None]) -> Iterator[OomReport]:
    """Yield the events of the systemd journal's kernel messages, all boots. Raises SourceError."""
    import subprocess

    command = ["journalctl", "-k", "-b", "all", "-o", "short-iso-precise", "--no-pager", "-q"]
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
            assert run.stdout is not None
            assert run.stderr is not None
            yield from _events(run.stdout, "journal", warn)
            said = run.stderr.read().decode("utf-8", "replace").strip()
    except OSError as error:
        raise SourceError(f"journalctl can't be run: {error.strerror}") from error
    if run.returncode:
        raise SourceError(f"journalctl failed: {said[:200] or run.returncode}")
