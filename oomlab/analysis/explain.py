"""All that explain has to say of one process, put together."""

from __future__ import annotations

from typing import NamedTuple

from ..errors import UnknownTaskError
from ..kernel.score import Score
from ..mappings import AddressSpace
from ..process import ProcessFiles, Vitals
from ..snapshot import Gap, Task
from .allocator import Allocator, find_allocators
from .composition import KindTotal, Share, badness_shares, by_kind
from .faults import FaultRates, fault_rates
from .freeing import Freeing, killing_frees
from .mappings import Kind, classify
from .origin import Origin, origin_of
from .ranking import Ranking
from .scopes import OomScope, scopes_of
from .tunables import Tunable, find_tunables

SHARED_KINDS = (Kind.SHARED_ANON, Kind.MEMFD, Kind.TMPFS, Kind.SYSV)


class Explanation(NamedTuple):
    """One process explained. ``space`` and ``files`` are None for a saved snapshot's process."""

    ranking: Ranking
    score: Score
    shares: tuple[Share, ...] | None
    origin: Origin
    scopes: tuple[OomScope, ...]
    """Where it may be killed, the innermost first."""
    space: AddressSpace | None = None
    kinds: tuple[Kind, ...] = ()
    """Of ``space``'s mappings, in their order."""
    totals: tuple[KindTotal, ...] = ()
    freeing: Freeing | None = None
    files: ProcessFiles | None = None
    rates: FaultRates | None = None
    allocators: tuple[Allocator, ...] = ()
    tunables: tuple[Tunable, ...] = ()

    @property
    def task(self) -> Task:
        """The process."""
        return self.score.task

    @property
    def page_size(self) -> int:
        """Bytes in a page."""
        return self.ranking.snapshot.machine.page_size

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What could not be read of this process."""
        of_space = self.space.gaps if self.space else ()
        return (*of_space, *(self.files.gaps if self.files else ()))


def explain(
    ranking: Ranking,
    pid: int,
    space: AddressSpace | None = None,
    files: ProcessFiles | None = None,
    before: Vitals | None = None,
) -> Explanation:
    """Explain one process of a ranking: what counts against it, where it is, who set what.

    ``before`` is an earlier reading, from which fault rates follow. Raises UnknownTaskError.
    """
    score = next((one for one in ranking.scores if one.task.pid == pid), None)
    if score is None:
        raise UnknownTaskError(f"no process {pid} in this snapshot", pid)
    snapshot, task = ranking.snapshot, score.task
    known = Explanation(
        ranking,
        score,
        badness_shares(ranking, score),
        origin_of(snapshot, task),
        tuple(scopes_of(snapshot, task, kernel=ranking.era)),
    )
    if space is None or files is None:
        return known
    kinds = classify(space)
    allocators = find_allocators(space, files.elves)
    keys = [one.key for one in allocators]
    return known._replace(
        space=space,
        kinds=kinds,
        totals=by_kind(space, kinds),
        freeing=killing_frees(task, space, kinds, files, known.page_size),
        files=files,
        rates=fault_rates(before, files.vitals) if files.vitals else None,
        allocators=allocators,
        tunables=find_tunables(files.tunables or (), task.cmdline or (), keys),
    )


def shared_files(space: AddressSpace) -> set[tuple[str, int]]:
    """Return the files of memory that are mapped: who else has them decides what is freed."""
    kinds = classify(space)
    mapped = zip(space.mappings or (), kinds, strict=True)
    return {(one.device, one.inode) for one, kind in mapped if kind in SHARED_KINDS}
