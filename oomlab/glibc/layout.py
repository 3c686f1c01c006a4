"""How glibc's structures lie in memory, release by release.

Sources: malloc/malloc.c and malloc/arena.c of glibc 2.23, 2.27, 2.31, 2.36, 2.41, 2.42 and 2.43.
Which layout a process has is decided by what fits its memory; the release only says which to try
first.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

NBINS = 128
PREV_INUSE, IS_MMAPPED, NON_MAIN_ARENA = 1, 2, 4
NONCONTIGUOUS = 2
"""In malloc_state.flags: the main arena does not count on sbrk any more."""

_BINMAP_BYTES = 16
_I386, _POWERPC, _X86_64 = 3, 20, 62
"""ELF machines where long double asks for chunks aligned to 16 though pointers have 4 bytes."""


class Layout(NamedTuple):
    """struct malloc_state and what chunks look like. Offsets and sizes in bytes."""

    pointer_bytes: int
    alignment: int
    """MALLOC_ALIGNMENT."""
    fastbins_offset: int
    fastbins: int
    """NFASTBINS; glibc 2.43 has none."""
    attached_threads: bool = True
    """Since 2.23."""

    @property
    def header_bytes(self) -> int:
        """CHUNK_HDR_SZ."""
        return 2 * self.pointer_bytes

    @property
    def minimum(self) -> int:
        """MINSIZE."""
        return -(-4 * self.pointer_bytes // self.alignment) * self.alignment

    @property
    def chunk_struct_bytes(self) -> int:
        """Return ``sizeof (struct malloc_chunk)``."""
        return 6 * self.pointer_bytes

    @property
    def top_offset(self) -> int:
        """Where ``top`` lies; ``last_remainder`` follows."""
        return self.fastbins_offset + self.fastbins * self.pointer_bytes

    @property
    def bins_offset(self) -> int:
        """Where the bins lie."""
        return self.top_offset + 2 * self.pointer_bytes

    @property
    def next_offset(self) -> int:
        """Where ``next`` lies, behind bins and binmap."""
        return self.bins_offset + (2 * NBINS - 2) * self.pointer_bytes + _BINMAP_BYTES

    @property
    def state_bytes(self) -> int:
        """Return ``sizeof (struct malloc_state)``."""
        return self.next_offset + (5 if self.attached_threads else 4) * self.pointer_bytes

    def chunk_from(self, address: int) -> int:
        """Return the first place from ``address`` on where a chunk may begin."""
        memory = address + self.header_bytes
        return -(-memory // self.alignment) * self.alignment - self.header_bytes

    def may_be_chunk(self, address: int) -> bool:
        """Say whether a chunk may begin there."""
        return address > 0 and (address + self.header_bytes) % self.alignment == 0


def layouts(pointer_bytes: int, machine: int = _X86_64) -> list[Layout]:
    """Return all layouts of malloc_state for this width of pointers, newest first."""
    if pointer_bytes == 8:
        return [
            Layout(8, 16, 8, 0),  # 2.43
            Layout(8, 16, 16, 10),  # 2.27
            Layout(8, 16, 8, 10),  # up to 2.26
        ]
    wide = 16 if machine in (_I386, _POWERPC, _X86_64) else 8
    return [
        Layout(4, wide, 8, 0),
        Layout(4, 16, 12, 11),
        Layout(4, 8, 12, 10),
        Layout(4, 16, 8, 11),
        Layout(4, 8, 8, 10),
    ]


class ParameterLayout(NamedTuple):
    """struct malloc_par: where each field lies, in bytes from its start."""

    since: tuple[int, int]
    words: dict[str, int]
    ints: dict[str, int]
    size: int


_HEAD = ("trim_threshold", "top_pad", "mmap_threshold", "arena_test", "arena_max")
_COUNTS = ("n_mmaps", "n_mmaps_max", "max_n_mmaps", "no_dyn_threshold")
_TAIL = ("mmapped_mem", "max_mmapped_mem", "sbrk_base")
_TCACHE = ("tcache_bins", "tcache_max_bytes", "tcache_count", "tcache_unsorted_limit")
_INTS = frozenset({*_COUNTS, "thp_mode", "hp_flags"})
_HUGE = ("thp_pagesize", "hp_pagesize", "hp_flags")

_PARAMETERS = (
    ((2, 43), (*_HEAD, "thp_mode", *_HUGE, *_COUNTS, *_TAIL, *_TCACHE)),
    ((2, 35), (*_HEAD, *_HUGE, *_COUNTS, *_TAIL, *_TCACHE)),
    ((2, 26), (*_HEAD, *_COUNTS, *_TAIL, *_TCACHE)),
    ((2, 24), (*_HEAD, *_COUNTS, *_TAIL)),
    ((2, 15), (*_HEAD, *_COUNTS, "mmapped_mem", "max_mmapped_mem", "max_total_mem", "sbrk_base")),
)


def parameter_layouts(pointer_bytes: int) -> list[ParameterLayout]:
    """Return all layouts of malloc_par for this width of pointers, newest first."""
    return [_placed(since, fields, pointer_bytes) for since, fields in _PARAMETERS]


def _placed(since: tuple[int, int], fields: tuple[str, ...], pointer: int) -> ParameterLayout:
    words: dict[str, int] = {}
    ints: dict[str, int] = {}
    offset = 0
    for field in fields:
        if field in _INTS:
            ints[field] = offset
            offset += 4
        else:
            offset = -(-offset // pointer) * pointer
            words[field] = offset
            offset += pointer
    return ParameterLayout(since, words, ints, offset)


class TcacheLayout(NamedTuple):
    """struct tcache_perthread_struct."""

    since: tuple[int, int]
    bins: int
    small_bins: int
    count_code: Literal["b", "H"]
    """Width of a count: ``b`` or ``H``."""
    counts_down: bool
    """2.42 and newer count the slots that are left."""

    def struct_bytes(self, pointer_bytes: int) -> int:
        """Return ``sizeof (tcache_perthread_struct)``."""
        return self.entries_offset(pointer_bytes) + self.bins * pointer_bytes

    def entries_offset(self, pointer_bytes: int) -> int:
        """Return where the heads of the lists lie, behind the counts."""
        counts = self.bins * (1 if self.count_code == "b" else 2)
        return -(-counts // pointer_bytes) * pointer_bytes

    def chunk_bytes(self, layout: Layout) -> int:
        """Return the size of the chunk that holds the struct."""
        wanted = self.struct_bytes(layout.pointer_bytes) + layout.pointer_bytes
        return -(-wanted // layout.alignment) * layout.alignment


TCACHES = (
    TcacheLayout((2, 42), 76, 64, "H", True),
    TcacheLayout((2, 30), 64, 64, "H", False),
    TcacheLayout((2, 26), 64, 64, "b", False),
)
SAFE_LINKING = (2, 32)
"""From this release on, pointers in fastbins and tcache are kept xor-ed with their place >> 12."""
