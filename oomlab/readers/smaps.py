"""The text of /proc/PID/smaps, maps and smaps_rollup, as a stream. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Any

from ..errors import SourceError
from ..mappings import Mapping, SmapsSizes
from ..units import KIB
from .procpid import decode_name

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
