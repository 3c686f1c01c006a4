"""The views of a watch: a table under its answer, CSV rows."""

from __future__ import annotations

from math import isfinite

from ..analysis.growth.view import Row, View
from .ranking import heading, named
from .rates import UNREMARKABLE, per_minute, signed, verdict_text
from .tables import Column, Table, shown_size
from .watch_scope import headroom_text, scope_text


def _whole(value: float | None) -> int | None:
    return round(value) if value is not None and isfinite(value) else None


def _slope(row: Row) -> float | None:
    return None if row.judgement.slope is None else row.judgement.slope.per_second


def _kind_column(kind: str, text: str, keep: int) -> Column[Row]:
    return Column(
        name=kind,
        header=kind.upper(),
        help=f"growth per minute of {text}",
        key=f"{kind}_bytes_per_minute",
        value=lambda row: _whole(per_minute(row.kind_rates.get(kind))),
        show=lambda row: signed(per_minute(row.kind_rates.get(kind))),
        keep=keep,
    )


def _count(value: float | None) -> str:
    if value is None:
        return "?"
    return f"{value:.1f}".removesuffix(".0") if value < 10 else f"{value:.0f}"


COLUMNS: tuple[Column[Row], ...] = (
    Column(name="pid", header="PID", help="process", value=lambda row: row.task.pid),
    Column(
        name="used",
        header="USED",
        help="RSS and swap",
        key="used_bytes",
        value=lambda row: row.used_bytes,
        show=lambda row: shown_size(row.used_bytes),
    ),
    Column(
        name="growth",
        header="/MIN",
        help="growth per minute of RSS and swap (Theil-Sen slope over the window)",
        key="growth_bytes_per_minute",
        value=lambda row: _whole(per_minute(_slope(row))),
        show=lambda row: signed(per_minute(_slope(row))),
    ),
    _kind_column("heap", "the brk heap", 6),
    _kind_column("mmap", "other anonymous memory", 6),
    _kind_column("file", "file mappings", 5),
    _kind_column("shmem", "shared memory", 4),
    _kind_column("swap", "what is swapped out", 3),
    Column(
        name="minor",
        header="MINFLT/s",
        help="minor page faults per second since the last sample",
        key="minor_faults_per_second",
        value=lambda row: row.minor_faults_per_second,
        show=lambda row: _count(row.minor_faults_per_second),
        keep=2,
    ),
    Column(
        name="major",
        header="MAJFLT/s",
        help="major page faults (read from disk) per second since the last sample",
        key="major_faults_per_second",
        value=lambda row: row.major_faults_per_second,
        show=lambda row: _count(row.major_faults_per_second),
        keep=2,
    ),
    Column(
        name="verdict",
        header="VERDICT",
        help="steady, growing, shrinking, sawtooth, leak-like, fragmentation-like",
        value=lambda row: row.judgement.verdict,
        left=True,
    ),
    Column(
        name="name",
        header="NAME",
        help="name (comm, at most 15 bytes)",
        value=lambda row: row.task.comm,
        left=True,
        flexible=True,
    ),
)


def watch_table(view: View, *, evidence: bool, timed: bool = False) -> Table[Row]:
    """Return a view as a table.

    With ``evidence`` it says why of every row, not only of the remarkable; with ``timed`` each
    row begins with the sample's time.
    """
    when: Column[Row] = Column(
        name="seconds",
        header="SECONDS",
        help="the sample's time (CLOCK_MONOTONIC)",
        value=lambda _row: view.sample.seconds,
    )
    marked = frozenset(
        index for index, row in enumerate(view.rows) if row.judgement.verdict.endswith("-like")
    )
    return Table(
        columns=(when, *COLUMNS) if timed else COLUMNS,
        rows=view.rows,
        heading=[heading(view.ranking)[0], headroom_text(view), scope_text(view), _progress(view)],
        footer=_footer(view, evidence),
        marked=marked,
    )


def _progress(view: View) -> str:
    text = f"Sample {view.number} at {view.sample.snapshot.taken_at}."
    if view.restarted:
        text += " It is of another boot or clock: what was known before was dropped."
    return text


def _footer(view: View, evidence: bool) -> list[str]:
    lines = [
        evidence_text(row)
        for row in view.rows
        if evidence or row.judgement.verdict not in UNREMARKABLE
    ]
    lines += [f"{named(task)} has ended." for task in view.ended]
    return ["", *lines] if lines else []


def evidence_text(row: Row) -> str:
    """Return the verdict on a process and what shows it."""
    return f"{named(row.task)}: {verdict_text(row.judgement)}"
