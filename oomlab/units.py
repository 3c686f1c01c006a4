"""Pages, kB, bytes and human sizes: the only module that knows 1024."""

from __future__ import annotations

from .errors import InputError

KIB = 1024
_SUFFIXES = "KMGTPE"
_SIZE = r"(?P<sign>[+-]?)(?P<number>\d+(?:\.\d+)?|\.\d+)\s*(?P<suffix>[KMGTPE]?)(?:i?B)?"


def kib_to_pages(kib: int, page_size: int) -> int:
    """Return whole pages in ``kib`` KiB; the kernel prints exact multiples of the page size."""
    return kib * KIB // page_size


def bytes_to_pages(size_bytes: int, page_size: int) -> int:
    """Return the pages that hold ``size_bytes``: memory is handed out whole, so round up."""
    return -(-size_bytes // page_size)


def pages_to_bytes(pages: int | None, page_size: int) -> int | None:
    """Return pages in bytes, unknown as unknown."""
    return None if pages is None else pages * page_size


def kib_to_bytes(kib: int | None) -> int | None:
    """Return KiB in bytes, unknown as unknown."""
    return None if kib is None else kib * KIB


def human(size_bytes: int) -> str:
    """Return a size as ``ls -h`` shows it: powers of 1024, one decimal below ten.

    >>> human(0), human(4096), human(3_435_973_837), human(-1_610_612_736)
    ('0', '4.0K', '3.2G', '-1.5G')
    """
    sign = "-" if size_bytes < 0 else ""
    size = abs(size_bytes)
    if size < KIB:
        return f"{sign}{size}"
    scaled = float(size)
    for suffix in _SUFFIXES:
        scaled /= KIB
        # 1023.6 would print as the five characters "1024K": go on to the next unit.
        if scaled < KIB - 0.5 or suffix == _SUFFIXES[-1]:
            break
    return f"{sign}{scaled:.1f}{suffix}" if scaled < 9.95 else f"{sign}{scaled:.0f}{suffix}"


def human_range(low_bytes: int, high_bytes: int) -> str:
    """Return two sizes as one where both look alike.

    >>> human_range(126_500_000, 127_000_000), human_range(4096, 8192)
    ('121M', '4.0K to 8.0K')
    """
    low, high = human(low_bytes), human(high_bytes)
    return low if low == high else f"{low} to {high}"


def parse_size(text: str, *, signed: bool = False) -> int:
    """Return the bytes in ``text``: ``8G``, ``512MiB``, ``1.5g``, ``4096``.

    Units are powers of 1024 whatever they are called, as in docker and systemd; a plain
    number is bytes. With ``signed``, ``+2G`` and ``-2G`` are read too.

    Raises InputError where ``text`` is no size.
    """
    import re  # only commands that take sizes need it

    match = re.fullmatch(_SIZE, text.strip(), re.IGNORECASE | re.ASCII)
    if match is None or (match["sign"] and not signed):
        example = "+2G or -512M" if signed else "8G, 512M or 4096"
        raise InputError(f"{text!r} is not a size (write for example {example})")
    power = _SUFFIXES.index(match["suffix"].upper()) + 1 if match["suffix"] else 0
    whole, _, fraction = match["number"].partition(".")
    if len(match["number"]) > 30:
        raise InputError(f"{text[:40]!r} is too large to be a size")
    # Integers throughout: a float would lose bytes from 8 PiB on.
    numerator = int(whole + fraction) if whole + fraction else 0
    size: int = numerator * KIB**power // 10 ** len(fraction)
    return -size if match["sign"] == "-" else size


def duration(seconds: float) -> str:
    """Return a length of time as people say it: two units at most.

    >>> duration(0.4), duration(90), duration(7200), duration(200000)
    ('0.4s', '1m30s', '2h', '2d7h')
    """
    if seconds < 10:
        return f"{seconds:.1f}".removesuffix(".0") + "s"
    left = round(seconds)
    parts = []
    for name, size in (("y", 31_536_000), ("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        parts.append((count, name))
    while len(parts) > 1 and not parts[0][0]:
        parts.pop(0)
    return "".join(f"{count}{name}" for count, name in parts[:2] if count)


_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
_MOST_SECONDS = 36_500 * 86_400


def parse_duration(text: str) -> float:
    """Return the seconds in ``text``: ``2s``, ``500ms``, ``1.5h``, ``3d``; a plain number too.

    Raises InputError where ``text`` is no length of time, or none at all.
    """
    import re

    match = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)\s*(ms|s|m|min|h|d)?", text.strip())
    if match is None or len(text) > 20 or not float(match[1]):
        raise InputError(f"{text[:40]!r} is no length of time (write for example 2s, 500ms or 1h)")
    seconds = float(match[1]) * _SECONDS[match[2] or "s"]
    if seconds > _MOST_SECONDS:  # the kernel's and Python's clocks end at 292 years
        raise InputError(f"{text!r} is too long: at most 36500d")
    return seconds
