"""Logs in UTF-16, as PowerShell's ``>`` and Out-File write them: read as UTF-8 on the way in.

A byte order mark tells it, or a NUL in every second byte of the first ones and in no other.
"""

from __future__ import annotations

from collections.abc import Callable

HEAD_BYTES = 64
_MARKS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_STEP_BYTES = 1 << 16
_MOSTLY = 0.75
"""Kernel lines are ASCII; a name of another script may stand between."""

ReadInto = Callable[[memoryview], int]


def utf16_of(start: bytes) -> str | None:
    """Return which UTF-16 a stream that begins so is in, None where it is in none."""
    if start[:2] in _MARKS:
        return _MARKS[start[:2]]
    pairs = len(start) // 2
    if pairs < HEAD_BYTES // 4:
        return None
    first, second = start[: 2 * pairs : 2], start[1 : 2 * pairs : 2]
    if not first.count(0) and second.count(0) >= _MOSTLY * pairs:
        return "utf-16-le"
    if not second.count(0) and first.count(0) >= _MOSTLY * pairs:
        return "utf-16-be"
    return None


def as_utf8(read_into: ReadInto, encoding: str) -> ReadInto:
    """Return a reader of a stream in UTF-16 as one in UTF-8. What is no letter becomes U+FFFD."""
    import codecs

    decoder = codecs.getincrementaldecoder(encoding)("replace")
    buffer = memoryview(bytearray(_STEP_BYTES))
    ready = b""

    def read(view: memoryview) -> int:
        nonlocal ready
        while not ready:
            count = read_into(buffer)
            ready = decoder.decode(bytes(buffer[:count]), final=not count).encode("utf-8")
            if not count:
                break
        given, ready = ready[: len(view)], ready[len(view) :]
        view[: len(given)] = given
        return len(given)

    return read


def decoded(read_into: ReadInto) -> ReadInto:
    """Return a reader that gives UTF-8 whether the stream is in UTF-16 or not."""
    inner: ReadInto | None = None

    def read(view: memoryview) -> int:
        nonlocal inner
        if inner is None:
            head, at_end = b"", False
            while len(head) < HEAD_BYTES and not at_end:
                piece = memoryview(bytearray(min(len(view), _STEP_BYTES)))
                count = read_into(piece)
                head, at_end = head + bytes(piece[:count]), not count
            plain = _after(head, read_into)
            encoding = utf16_of(head[:HEAD_BYTES])
            inner = plain if encoding is None else as_utf8(plain, encoding)
        return inner(view)

    return read


def _after(head: bytes, read_into: ReadInto) -> ReadInto:
    """Return a reader that gives ``head`` again before what follows."""

    def read(view: memoryview) -> int:
        nonlocal head
        if not head:
            return read_into(view)
        given, head = head[: len(view)], head[len(view) :]
        view[: len(given)] = given
        return len(given)

    return read
