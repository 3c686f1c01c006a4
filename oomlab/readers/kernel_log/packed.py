"""Packed logs as plain bytes: gzip, xz, bzip2, zstd, told by their first bytes.

A packed file may unpack to any size: never more of it is held than a few buffers.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO, Protocol

from ...errors import SourceError

_READ_BYTES = 1 << 16
_XZ_BYTES = 80 << 20
"""``xz -9`` needs 65 MiB to unpack."""
_ZST_WINDOW_BYTES = 64 << 20
_ZST_STEP_BYTES = 256
"""A block of 4 bytes can unpack to 128 KiB, so this bounds what one step makes to 8 MiB."""


class _Unpacker(Protocol):
    eof: bool
    unused_data: bytes

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class Unpacked:
    """A packed stream read as plain bytes, never more at once than is asked for."""

    def __init__(self, stream: BinaryIO, make: Callable[[], _Unpacker]) -> None:
        self._stream, self._make = stream, make
        self._unpacker = make()
        self._rest = b""
        self._fresh = True
        self.damage: str | None = None

    def readinto(self, view: memoryview) -> int:
        """Fill ``view`` as far as one step goes; 0 at the end or where the file is damaged."""
        while self.damage is None:
            if not self._rest and self._needs_input():
                self._rest = self._stream.read(_READ_BYTES)
                if not self._rest:
                    if not self._fresh:
                        self.damage = "the packed file is cut short"
                    return 0
            try:
                data = self._unpacker.decompress(self._rest, len(view))
            except _errors() as error:
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
        return 0

    def _needs_input(self) -> bool:
        return bool(getattr(self._unpacker, "needs_input", True))


def _errors() -> tuple[type[Exception], ...]:
    """Return what unpackers raise; some libraries are imported only where they are needed."""
    names = (("lzma", "LZMAError"), ("zstandard", "ZstdError"), ("compression.zstd", "ZstdError"))
    imported = [getattr(sys.modules[m], error) for m, error in names if m in sys.modules]
    return (zlib.error, OSError, EOFError, ValueError, *imported)


def _gzip() -> Any:
    return zlib.decompressobj(wbits=31)


def _xz() -> Any:
    import lzma

    return lzma.LZMADecompressor(memlimit=_XZ_BYTES)


def _bz2() -> Any:
    import bz2

    return bz2.BZ2Decompressor()


def _zst() -> Any:
    try:
        from compression import zstd  # type: ignore[import-not-found]  # Python 3.14
    except ImportError:
        try:
            import zstandard
        except ImportError:
            raise SourceError(
                "a .zst file needs the zstandard package: pip install 'oomlab[zstd]' "
                "(or: zstd -dc FILE | oomlab report -)"
            ) from None
        made = zstandard.ZstdDecompressor(max_window_size=_ZST_WINDOW_BYTES)
        return _Zstandard(made.decompressobj())
    limit = {zstd.DecompressionParameter.window_log_max: _ZST_WINDOW_BYTES.bit_length() - 1}
    return zstd.ZstdDecompressor(options=limit)


class _Zstandard:
    """The zstandard package's object, which knows no maximum length, as the others are."""

    def __init__(self, inner: Any) -> None:
        self._inner, self._ready = inner, b""
        self.eof, self.needs_input = False, True
        self.unused_data = self.unconsumed_tail = b""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        self.unconsumed_tail = data
        if not self._ready and data:
            piece, self.unconsumed_tail = data[:_ZST_STEP_BYTES], data[_ZST_STEP_BYTES:]
            self._ready = self._inner.decompress(piece)
        given, self._ready = self._ready[:max_length], self._ready[max_length:]
        self.needs_input = not self._ready
        if self._inner.eof and not self._ready:
            self.eof = True
            self.unused_data = self._inner.unused_data + self.unconsumed_tail
        return bytes(given)


_PACKERS: tuple[tuple[bytes, Callable[[], Any]], ...] = (
    (b"\x1f\x8b", _gzip),
    (b"\xfd7zXZ\x00", _xz),
    (b"BZh", _bz2),
    (b"\x28\xb5\x2f\xfd", _zst),
)
"""First bytes of packed files; the name's ending says nothing."""
MAGIC_BYTES = 8


def is_packed(start: bytes) -> bool:
    """Tell by the first bytes whether a file is packed in a way that is known here."""
    return start.startswith(tuple(magic for magic, _ in _PACKERS))


def unpacked(stream: BinaryIO, start: bytes) -> Unpacked | None:
    """Return the packed stream that begins with ``start`` unpacked; None where it is not packed.

    Raises SourceError where the library that it needs is not there.
    """
    for magic, make in _PACKERS:
        if start.startswith(magic):
            return Unpacked(stream, make)
    return None
