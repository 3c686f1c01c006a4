"""What a badness is made of, where a process's memory is, and what its death would free."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..kernel.adjust import oom_score_adj_of
from ..kernel.score import Score
from ..kernel.tables import table_reader
from ..kernel.usage import killer_rss_pages
from ..mappings import AddressSpace, Mapping
from .mappings import Kind, classify
from .ranking import Ranking
from .unknown import sum_if_known


class Share(NamedTuple):
    """One summand of a badness, in pages."""

    name: str
    pages: int
    why: str = ""


def badness_shares(ranking: Ranking, score: Score) -> tuple[Share, ...] | None:
    """Return the summands of a badness in pages; together they are the badness.

    For rules that count in thousandths, those of the pages that count. None where the score
    is not a sum of pages (2.6.35 and older) or the memory is unknown.
    """
    task, facts, machine = score.task, ranking.era.facts, ranking.snapshot.machine
    rss = killer_rss_pages(task, facts)
    if facts.formula == "legacy" or rss is None:
        return None
    shares = _rss_shares(score, rss)
    if task.swap_pages is not None:
        shares.append(Share("swap", task.swap_pages))
    tables = table_reader(facts, machine)[0](task)
    if tables is not None:
        shares.append(Share("page tables", tables))
    adj = oom_score_adj_of(task)
    if facts.formula == "permille" or adj is None or not score.killable:
        return tuple(shares)
    each = ranking.scope.totalpages // 1000
    shares.append(Share("oom_score_adj", adj * each, f"{adj} × {each} pages"))
    rest = None if score.badness is None else score.badness - sum(one.pages for one in shares)
    if rest:
        floor = facts.formula == "pages" and score.badness == 1
        shares.append(Share("least badness is 1" if floor else "root bonus", rest))
    return tuple(shares)


def _rss_shares(score: Score, rss: int) -> list[Share]:
    task = score.task
    parts = (task.rss_anon_pages, task.rss_file_pages, task.rss_shmem_pages)
    if any(part is None for part in parts):
        return [Share("rss", rss, "this kernel does not tell its parts")]
    anon, file, shmem = (part or 0 for part in parts)
    shares = [Share("anon", anon), Share("file", file), Share("shmem", shmem)]
    drift = rss - anon - file - shmem
    if drift:
        shares.append(Share("counter drift", drift, "the killer's own count is per CPU"))
    return shares


class KindTotal(NamedTuple):
    """The mappings of one kind together, in bytes; None where smaps could not be read."""

    kind: Kind
    mappings: int
    size: int
    rss: int | None
    pss: int | None
    private_dirty: int | None
    swap: int | None
    anon_huge: int | None
    """This and the next two: the part of ``rss`` in transparent huge pages."""
    shmem_huge: int | None
    file_huge: int | None
    shared_hugetlb: int | None
    """hugetlb pages are beside ``rss``, not in it."""
    private_hugetlb: int | None
    locked: int | None
    """The part of ``pss`` that mlock(2) holds in memory."""

    @property
    def huge(self) -> int | None:
        """The part of ``rss`` in transparent huge pages; None where no kind of them is told."""
        return _known_sum(self.anon_huge, self.shmem_huge, self.file_huge)

    @property
    def hugetlb(self) -> int | None:
        """Memory in hugetlb pages."""
        return _known_sum(self.shared_hugetlb, self.private_hugetlb)


def _known_sum(*values: int | None) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


_SUMMED = KindTotal._fields[3:]


def by_kind(space: AddressSpace, kinds: Sequence[Kind] | None = None) -> tuple[KindTotal, ...]:
    """Return the sums of each kind that there is, in the order of ``Kind``."""
    mappings = space.mappings or ()
    groups: dict[Kind, list[Mapping]] = {kind: [] for kind in Kind}
    for one, kind in zip(mappings, kinds or classify(space), strict=True):
        groups[kind].append(one)
    return tuple(
        KindTotal(
            kind,
            len(group),
            sum(one.size for one in group),
            *(summed(group, name) for name in _SUMMED),
        )
        for kind, group in groups.items()
        if group
    )


def summed(mappings: Sequence[Mapping], name: str) -> int | None:
    """Return the sum of one of the smaps sizes; None where any mapping lacks it."""
    return sum_if_known(getattr(one.sizes, name, None) for one in mappings)


def total(space: AddressSpace, name: str) -> int | None:
    """Return one size of all mappings together: smaps_rollup's where there is one.

    Each mapping's PSS is cut to whole kB, so their sum may be less than the rollup's.
    """
    value = getattr(space.rollup, name, None)
    if value is not None or not space.has_sizes:
        return value
    return summed(space.mappings or (), name)


def largest(
    space: AddressSpace, kinds: Sequence[Kind], count: int
) -> tuple[tuple[Mapping, Kind], ...]:
    """Return the mappings that hold most memory and swap; by size where that is unknown."""

    def held(entry: tuple[Mapping, Kind]) -> tuple[int, int]:
        one = entry[0]
        sizes = one.sizes
        return ((sizes.rss or 0) + (sizes.swap or 0) if sizes else 0, one.size)

    from heapq import nlargest

    return tuple(nlargest(count, zip(space.mappings or (), kinds, strict=True), key=held))
