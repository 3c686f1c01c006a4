"""What the scope that is watched holds by kind, how that grows, and the verdict on all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ...memcg import Memcg
from ...samples import Sample, identity
from ...snapshot import Machine, Snapshot, Task
from ...units import pages_to_bytes
from .faults import fault_rates
from .history import History
from .judge import Judgement, growth_by_kind, judge

SCOPE_KINDS = ("anon", "file", "shmem", "swap")
_LASTING = ("anon", "shmem", "swap")
"""What only a death, swap or a deletion gives back: page cache is dropped before."""


class ScopeGrowth(NamedTuple):
    """The scope as a whole: bytes, and bytes per second."""

    sizes: Mapping[str, int]
    """Of SCOPE_KINDS, those that the kernel tells; page cache that nobody maps is ``file`` too."""
    rates: Mapping[str, float]
    judgement: Judgement
    """On anonymous memory, shmem and swap together."""
    minor_faults_per_second: float | None
    major_faults_per_second: float | None
    """Of the processes that were there at both samples; None without any."""


def scope_sizes(snapshot: Snapshot, memcg: str | None) -> dict[str, int | None]:
    """Return what the machine or a memory cgroup holds by kind, in bytes; None where unknown."""
    machine = snapshot.machine
    if memcg is None:
        pages = _of_machine(machine)
    else:
        found = next((one for one in snapshot.memcgs or () if one.path == memcg), None)
        pages = dict.fromkeys(SCOPE_KINDS) if found is None else _of_memcg(found)
    return {kind: pages_to_bytes(value, machine.page_size) for kind, value in pages.items()}


def _of_machine(machine: Machine) -> dict[str, int | None]:
    swapped = None
    if machine.swap_free_pages is not None and machine.swap_pages is not None:
        swapped = machine.swap_pages - machine.swap_free_pages
    files = [node.file_pages for node in machine.nodes or ()]
    known = [pages for pages in files if pages is not None]
    return {
        "anon": machine.anon_pages,
        "file": sum(known) if files and len(known) == len(files) else None,
        "shmem": machine.shmem_pages,
        "swap": swapped,
    }


def _of_memcg(memcg: Memcg) -> dict[str, int | None]:
    return {
        "anon": memcg.anon_pages,
        "file": memcg.file_pages,
        "shmem": memcg.shmem_pages,
        "swap": memcg.swap_usage_pages,
    }


class ScopeHistory:
    """Remembers what the scope held, in bounded memory."""

    def __init__(self, window_seconds: float, memcg: str | None) -> None:
        self._memcg = memcg
        self._series: History[str] = History(window_seconds)
        self._last: Sample | None = None

    def add(self, sample: Sample, members: Sequence[Task]) -> ScopeGrowth:
        """Take the next sample, with who is in the scope; return what is known then."""
        sizes = scope_sizes(sample.snapshot, self._memcg)
        lasting = [sizes[kind] for kind in _LASTING if sizes[kind] is not None]
        total = None if sizes["anon"] is None else sum(size or 0 for size in lasting)
        self._series.add(
            sample.seconds,
            {name: None if size is None else float(size) for name, size in sizes.items()}
            | {"total": None if total is None else float(total)},
        )
        series = {kind: self._series.series(kind) for kind in SCOPE_KINDS}
        known = {kind: one for kind, one in series.items() if one.values}
        judged = judge(
            self._series.series("total"),
            {kind: one for kind, one in known.items() if kind in _LASTING},
        )
        minor, major = fault_rates(sample, self._last, map(identity, members))
        self._last = sample
        return ScopeGrowth(
            {kind: size for kind, size in sizes.items() if size is not None},
            growth_by_kind(known),
            judged,
            minor,
            major,
        )
