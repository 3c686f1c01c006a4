"""POSIX extended regular expressions as the C library has them: earlyoom's patterns.

Python's own expressions differ ([[:alpha:]], backslashes in brackets, \\d), so the C library that
earlyoom asks is asked here too, in the C locale, which earlyoom never leaves.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..errors import InputError

_REG_EXTENDED = 1
_REG_NOSUB = 8
_ALL_CATEGORIES = 0x1FBF
_ROOM_BYTES = 1024
"""More than regex_t takes in any C library: 64 bytes in glibc and musl."""


def compile_extended(pattern: str, option: str) -> Callable[[str], bool]:
    """Return what tells whether a name matches. Raises InputError where the pattern is wrong."""
    library = ctypes.CDLL(None)
    compiled = ctypes.create_string_buffer(_ROOM_BYTES)
    text = pattern.encode("utf-8", "surrogateescape")
    if b"\0" in text:
        raise InputError(f"{option}: a pattern holds no NUL")
    with _c_locale(library):
        error = library.regcomp(compiled, text, _REG_EXTENDED | _REG_NOSUB)
    if error:
        message = ctypes.create_string_buffer(200)
        library.regerror(error, compiled, message, len(message))
        why = message.value.decode("ascii", "replace")
        raise InputError(f"{option} {pattern[:60]!r} is not a regular expression: {why}")

    def matches(name: str) -> bool:
        raw = name.encode("utf-8", "surrogateescape")
        return bool(library.regexec(compiled, raw, 0, None, 0) == 0)

    return matches


@contextmanager
def _c_locale(library: ctypes.CDLL) -> Iterator[None]:
    """Use the C locale in this thread: an expression keeps the one that it was compiled in."""
    library.newlocale.restype = library.uselocale.restype = ctypes.c_void_p
    library.newlocale.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p]
    library.uselocale.argtypes = library.freelocale.argtypes = [ctypes.c_void_p]
    plain = library.newlocale(_ALL_CATEGORIES, b"C", None)
    before = library.uselocale(plain)
    try:
        yield
    finally:
        library.uselocale(before)
        library.freelocale(plain)
