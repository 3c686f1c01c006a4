"""What killing a process would free, against what it is charged for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..mappings import AddressSpace, Mapping, SmapsSizes
from ..process import ProcessFiles
from ..snapshot import Task
from .mappings import Kind

_OF_MEMORY = (Kind.SHARED_ANON, Kind.MEMFD, Kind.TMPFS, Kind.SYSV)


class Part(NamedTuple):
    """One part of what a process holds: at least ``low`` and at most ``high`` bytes of it."""

    name: str
    low: int
    high: int
    why: str = ""


class Freeing(NamedTuple):
    """What is freed by a process's death and what is not, in bytes."""

    freed: tuple[Part, ...]
    kept: tuple[Part, ...]
    swap: Part | None
    """Swap space that is freed."""

    @property
    def low(self) -> int:
        """At least so much RAM is freed."""
        return sum(part.low for part in self.freed)

    @property
    def high(self) -> int:
        """At most so much RAM is freed."""
        return sum(part.high for part in self.freed)


def killing_frees(
    task: Task, space: AddressSpace, kinds: Sequence[Kind], files: ProcessFiles, page_size: int
) -> Freeing | None:
    """Return what the process's death frees. None for one that has no memory.

    Private memory and page tables go. Pages that others map too stay, files stay in the page
    cache, and memory that is a file (shmem) goes only with its last user.
    """
    if task.has_mm is False or task.rss_pages is None:
        return None
    tables = Part("page tables", task.pagetable_bytes or 0, task.pagetable_bytes or 0)
    if not space.has_sizes:
        return _from_status(task, tables, page_size)
    mapped = list(zip(space.mappings or (), kinds, strict=True))
    anon, others = _Sum(), _Sum()
    stays = 0
    freed_shmem = {kind: _Sum() for kind in _OF_MEMORY}
    kept_shmem = {kind: _Sum() for kind in _OF_MEMORY}
    for one, kind in mapped:
        sizes = one.sizes or SmapsSizes()
        low, high = private_anon(sizes)
        anon.add(low, high)
        others.add((sizes.anonymous or 0) - high, (sizes.anonymous or 0) - low)
        if kind in _OF_MEMORY:
            _add_shmem(one, kind, files, freed_shmem[kind], kept_shmem[kind])
        else:
            stays += (sizes.rss or 0) - (sizes.anonymous or 0)
    freed = [anon.part("private anonymous memory", ""), tables]
    freed += [_sole(kind, found) for kind, found in freed_shmem.items() if found.high]
    kept = [
        others.part("anonymous memory that others map too", "copy on write since fork(2)"),
        Part("page cache of files", stays, stays, "not freed, but reclaimable once clean"),
    ]
    kept += [_kept(kind, found) for kind, found in kept_shmem.items()]
    pool = sum(hugetlb_bytes(one) for one in space.mappings or ())
    kept.append(Part("hugetlb pages", pool, pool, "they go back to their pool, for nobody else"))
    swap = _swap(space.mappings or ())
    return Freeing(tuple(freed), tuple(part for part in kept if part.high), swap)


_KEPT = {
    Kind.SHARED_ANON: "others have it mapped",
    Kind.MEMFD: "others have it mapped",
    Kind.TMPFS: "the files stay until they are deleted",
    Kind.SYSV: "segments stay until ipcrm(1) or IPC_RMID",
}


def _kept(kind: Kind, found: _Sum) -> Part:
    unseen = "if somebody unseen holds it too"
    return found.part(kind.value, _KEPT[kind] if found.low else unseen)


def hugetlb_bytes(one: Mapping) -> int:
    """Return what a mapping has of hugetlb pages, which are no part of its RSS."""
    sizes = one.sizes or SmapsSizes()
    return (sizes.shared_hugetlb or 0) + (sizes.private_hugetlb or 0)


class _Sum:
    def __init__(self) -> None:
        self.low = self.high = 0

    def add(self, low: int, high: int) -> None:
        self.low += low
        self.high += high

    def part(self, name: str, why: str) -> Part:
        return Part(name, self.low, self.high, why)


def private_anon(sizes: SmapsSizes) -> tuple[int, int]:
    """Return bounds of a mapping's anonymous pages that are mapped once.

    smaps splits pages by private and shared, and by anonymous and of a file, but not by both;
    a mapping without a file has anonymous pages only, and there the two bounds are equal.
    """
    anonymous = sizes.anonymous or 0
    private = (sizes.private_clean or 0) + (sizes.private_dirty or 0)
    shared = (sizes.shared_clean or 0) + (sizes.shared_dirty or 0)
    return max(0, anonymous - shared), min(anonymous, private)


def _add_shmem(one: Mapping, kind: Kind, files: ProcessFiles, freed: _Sum, kept: _Sum) -> None:
    sizes = one.sizes or SmapsSizes()
    whole = (sizes.rss or 0) - (sizes.anonymous or 0)
    _, high = private_anon(sizes)
    sole = _goes_with_last_user(one, kind, files) and _is_sole_user(one, kind, files)
    # Pages that are mapped once and not anonymous; another mapping of the rest may be its own.
    private = (sizes.private_clean or 0) + (sizes.private_dirty or 0)
    low = max(0, private - high) if sole else 0
    most = 0 if sole is False else whole
    freed.add(low, most)
    kept.add(whole - most, whole - low)


def _goes_with_last_user(one: Mapping, kind: Kind, files: ProcessFiles) -> bool:
    if kind is Kind.SYSV:
        return any(s.destroyed for s in files.segments if s.shmid == one.inode)
    return kind is not Kind.TMPFS or one.path.endswith(" (deleted)")


def _is_sole_user(one: Mapping, kind: Kind, files: ProcessFiles) -> bool | None:
    """Tell whether nobody else has the file mapped; None where not all can be seen.

    Shared memory is not copied by fork(2): a child that has not touched it yet still has it.
    """
    if kind is Kind.SYSV:
        return all(s.attached == 1 for s in files.segments if s.shmid == one.inode)
    if files.sharers is None:
        return None
    if files.sharers.by_file.get((one.device, one.inode)):
        return False
    # A descriptor, or a process that we may not look into, may hold it too.
    return None if files.sharers.unseen or kind is not Kind.SHARED_ANON else True


def _sole(kind: Kind, found: _Sum) -> Part:
    certain = found.low == found.high
    why = "nobody else maps it" if certain else "unless somebody unseen holds it too"
    return found.part(f"{kind.value} of its own", why)


def _swap(mappings: Sequence[Mapping]) -> Part | None:
    """Bound the swap entries that are this process's only.

    With s shared entries of n >= 2 users each, Swap is own + s and SwapPss own + s / n.
    """
    low = high = 0
    for one in mappings:
        sizes = one.sizes or SmapsSizes()
        if sizes.swap is None or sizes.swap_pss is None:
            return None
        low += max(0, 2 * sizes.swap_pss - sizes.swap)
        high += sizes.swap_pss
    return Part("swap", low, high)


def _from_status(task: Task, tables: Part, page_size: int) -> Freeing:
    """Bound it by the counters alone: which pages others map too is unknown."""
    rss = (task.rss_pages or 0) * page_size
    cache = (task.rss_file_pages or 0) * page_size
    unknown = "without smaps it is unknown which pages others map too"
    freed = (Part("anonymous memory and shmem", 0, rss - cache, unknown), tables)
    kept = (Part("page cache of files", cache, cache, "not freed, but reclaimable once clean"),)
    swap = (task.swap_pages or 0) * page_size
    return Freeing(freed, kept if cache else (), Part("swap", 0, swap))
