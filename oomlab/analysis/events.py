"""An event understood: its report, its ranking, the verdict on it, and why memory ran out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace

from ..errors import InputError
from ..report import OomReport
from ..snapshot import Snapshot
from ..units import KIB
from .causes.cause import Cause
from .causes.diagnosis import diagnose
from .ranking import Ranking, rank
from .verdict import Verdict, judge


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event of a log, in its place, with all that the model says of it."""

    index: int
    """Its number in the listing, from 1."""
    report: OomReport
    snapshot: Snapshot | None
    """None where the report holds no task table or its kernel can't be told."""
    page_size: int
    page_size_known: bool
    ram_pages: int | None
    """RAM as the report's Mem-Info tells it."""
    ranking: Ranking | None
    verdict: Verdict
    causes: tuple[Cause, ...]
    gaps: tuple[str, ...]


def understand(
    index: int,
    report: OomReport,
    snapshot: Snapshot | str,
    *,
    page_size: int,
    page_size_known: bool,
    ram_pages: int | None,
    killed_before: Collection[int] = (),
    kernel: str | None = None,
) -> Event:
    """Rank and judge one report. ``snapshot`` is why there is none where there is none.

    ``kernel`` names other rules than those that the report shows.
    """
    made = snapshot if isinstance(snapshot, Snapshot) else None
    ranking, why = None, snapshot if isinstance(snapshot, str) else None
    if made is not None:
        try:
            ranking = rank(made, kernel=kernel)
        except InputError as error:
            why = str(error) if made.machine.totalpages is not None else _NO_TOTAL
    verdict = Verdict(None, None, None, None, why)
    if ranking is not None:
        verdict = judge(report, ranking, killed_before)
        if report.is_mixed and verdict.agrees is False:
            verdict = verdict._replace(agrees=None, why_not=_MIXED)
    gaps = _counted([*report.gaps, *(str(gap) for gap in (made.gaps if made is not None else ()))])
    gaps += _missing(report) + _doubts(report, page_size, ram_pages)
    return Event(
        index=index,
        report=report,
        snapshot=made,
        page_size=page_size,
        page_size_known=page_size_known,
        ram_pages=ram_pages,
        ranking=ranking,
        verdict=verdict,
        causes=tuple(diagnose(report, page_size, ram_pages)),
        gaps=tuple(gaps),
    )


def for_listing(event: Event) -> Event:
    """Return an event without its tasks and memory: what a line of a listing says is there."""
    report = replace(event.report, tasks=[], stack=[], memory=None, memcg=None, unparsed=[])
    return replace(event, report=report, snapshot=None, ranking=None)


_NO_TOTAL = (
    "the report does not tell how much RAM and swap there is, which weighs in badness "
    "(whatif takes --ram and --swap-total)"
)


def _counted(gaps: list[str]) -> list[str]:
    """Return each gap once, and how often it was met."""
    return [gap if n < 2 else f"{gap} ({n} times)" for gap, n in Counter(gaps).items()]


_SCREENFUL = 3
"""So many lines that end in the same sign were cut by a pager."""


_MIXED = "lines of two reports are mixed, which neither host, caller nor clock tells apart"


def _missing(report: OomReport) -> list[str]:
    """Return which blocks of a whole report are not there."""
    found = []
    if report.trigger is None:
        found.append("no invoked oom-killer line")
    if report.release is None:
        found.append("no line tells the kernel's release")
    if report.columns is None:
        found.append("no task table")
    cut = sum(text.endswith((">", "…")) for text in report.unparsed)
    if cut >= _SCREENFUL:
        found.append(
            f"{cut} lines went on beyond the edge of the screen that they were copied from "
            "(journalctl --no-pager, dmesg > FILE write them whole)"
        )
    if report.is_mixed:
        found.append(_MIXED)
    if report.is_reversed:
        found.append(
            "its lines stand in reverse order, the newest first: turn them (tac) and ask again"
        )
    if report.header_is_lost:
        found.append(
            "the task table's header is lost: its columns are told by their widths, and rows "
            "before these may be lost with it"
        )
    if not report.victims and not report.no_killable and report.panic is None:
        found.append("no kill line")
    if report.memory is None and report.memcg is None:
        found.append("no memory or memory cgroup block")
    return found


_TELLING_KIB = 16 * KIB


def _doubts(report: OomReport, page_size: int, ram_pages: int | None) -> list[str]:
    """Return figures that can't be so: more huge pages than RAM, a kill line beside its table.

    Kill line and table are printed within moments: a factor of two of much memory is no growth.
    """
    found, rows = [], {row.pid: row for row in report.tasks}
    pools = report.memory.hugepages if report.memory is not None else []
    huge_kib = sum(pool.total * pool.size_kib for pool in pools)
    if ram_pages and huge_kib * KIB > ram_pages * page_size:
        found.append(f"its huge pages, {huge_kib}kB, are more than RAM: they are left out")
    for victim in report.victims:
        row, anon = rows.get(victim.pid), victim.rss_anon_kib
        if row is None or row.rss_pages is None or anon is None:
            continue
        said = anon + (victim.rss_file_kib or 0) + (victim.rss_shmem_kib or 0)
        listed = row.rss_pages * page_size // KIB
        if max(said, listed) > _TELLING_KIB and max(said, listed) > 2 * min(said, listed):
            found.append(
                f"the kill line gives {victim.pid} {said}kB, the table {listed}kB: "
                "they are hardly of one report"
            )
    return found
