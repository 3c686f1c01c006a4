"""The views of a watch: a table under its answer, JSON lines, CSV rows."""

from __future__ import annotations

from math import isfinite
from typing import Any

from ..analysis.growth.forecast import RunOut
from ..analysis.growth.judge import KINDS, Judgement
from ..analysis.growth.slope import Slope
from ..analysis.growth.watching import Row, View
from ..analysis.ranking import Ranking
from ..samples import Kinds
from ..units import duration, human
from .documents import gap_entries
from .ranking import heading, named
from .tables import Column, Table, shown_size

WATCH_SCHEMA = "oomlab.watch/1"
_MINUTE = 60
_UNREMARKABLE = frozenset({"steady", "too few samples"})


def signed(bytes_per_minute: float | None) -> str:
    """Return a change as a signed size: +1.2M, -340K, 0; unknown is a question mark."""
    if bytes_per_minute is None or not isfinite(bytes_per_minute):
        return "?"
    size = round(bytes_per_minute)
    return f"+{human(size)}" if size > 0 else human(size)


def _per_minute(per_second: float | None) -> float | None:
    return None if per_second is None else per_second * _MINUTE


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
        value=lambda row: _whole(_per_minute(row.kind_rates.get(kind))),
        show=lambda row: signed(_per_minute(row.kind_rates.get(kind))),
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
        value=lambda row: _whole(_per_minute(_slope(row))),
        show=lambda row: signed(_per_minute(_slope(row))),
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
        heading=[heading(view.ranking)[0], headroom_text(view), _progress(view)],
        footer=_footer(view, evidence),
        marked=marked,
    )


def _progress(view: View) -> str:
    text = f"Sample {view.number} at {view.sample.snapshot.taken_at}."
    if view.restarted:
        text += " It is of another boot or clock: what was known before was dropped."
    return text


def headroom_text(view: View) -> str:
    """Return what is left, how it changes, when nothing will be and who dies then."""
    if view.headroom_bytes is None:
        return "How much is left can't be known here."
    memcg = view.ranking.scope.memcg
    where = f"memory cgroup {memcg}" if memcg is not None else "the machine (available and swap)"
    text = f"Left in {where}: {human(view.headroom_bytes)}"
    if view.headroom_slope is None:
        return f"{text}."
    if view.run_out is None:
        return f"{text}, not surely shrinking ({interval_text(view.headroom_slope)})."
    rate, when = interval_text(view.headroom_slope), run_out_text(view.run_out)
    return f"{text}, {rate}: {when}. {then_text(view)}"


def interval_text(slope: Slope) -> str:
    """Return a rate per minute with its interval."""
    rate, low, high = (value * _MINUTE for value in slope[:3])
    if not (isfinite(low) and isfinite(high)):
        return f"{signed(rate)} a minute, 95% interval unknown yet"
    return f"{signed(rate)} a minute, 95%: {signed(low)} to {signed(high)}"


def run_out_text(out: RunOut) -> str:
    """Return when nothing will be left, with the bounds."""
    text = f"at this rate nothing is left in {duration(out.seconds)}"
    if not isfinite(out.latest_seconds):
        return f"{text} ({duration(out.earliest_seconds)} at the earliest)"
    return f"{text} ({duration(out.earliest_seconds)} to {duration(out.latest_seconds)})"


def then_text(view: View) -> str:
    """Return whom the kernel would kill when nothing is left."""
    names: list[str] = []
    for future in view.futures:
        name = _victim_name(future.ranking)
        if name not in names:
            names.append(name)
    return f"The kernel would then kill {' or '.join(names)}."


def _victim_name(ranking: Ranking) -> str:
    possible = ranking.possible_victims
    if not possible:
        return "nobody"
    text = " or ".join(named(score.task) for score in possible[:3])
    return text if len(possible) <= 3 else f"{text} or others"


def _footer(view: View, evidence: bool) -> list[str]:
    lines = [
        evidence_text(row)
        for row in view.rows
        if evidence or row.judgement.verdict not in _UNREMARKABLE
    ]
    lines += [f"{named(task)} has ended." for task in view.ended]
    return ["", *lines] if lines else []


def evidence_text(row: Row) -> str:
    """Return the verdict on a process and what shows it."""
    found: Judgement = row.judgement
    text = f"{named(row.task)}: {found.verdict}: {found.because}"
    if found.slope is not None and found.verdict not in _UNREMARKABLE:
        text += f" ({interval_text(found.slope)})"
    return f"{text}."


def watch_document(view: View) -> dict[str, Any]:
    """Return the JSON document ``oomlab.watch/1``: bytes, seconds, bytes per second."""
    victim, out = view.ranking.victim, view.run_out
    return {
        "schema": WATCH_SCHEMA,
        "taken_at": view.sample.snapshot.taken_at,
        "seconds": view.sample.seconds,
        "sample": view.number,
        "restarted": view.restarted,
        "victim": None if victim is None else {"pid": victim.task.pid, "comm": victim.task.comm},
        "victim_certain": len(view.ranking.possible_victims) == 1,
        "scope": {
            "memcg": view.ranking.scope.memcg,
            "headroom_bytes": view.headroom_bytes,
            "headroom_slope": _slope_entry(view.headroom_slope),
        },
        "forecast": None if out is None else _forecast_entry(view, out),
        "processes": [process_entry(row) for row in view.rows],
        "ended": [{"pid": task.pid, "comm": task.comm} for task in view.ended],
        "gaps": gap_entries(view.sample.snapshot),
    }


def _forecast_entry(view: View, out: RunOut) -> dict[str, Any]:
    return {
        "seconds": out.seconds,
        "earliest_seconds": out.earliest_seconds,
        "latest_seconds": _finite(out.latest_seconds),
        "victims": [
            {
                "seconds": future.seconds,
                "pid": None if future.ranking.victim is None else future.ranking.victim.task.pid,
                "comm": None if future.ranking.victim is None else future.ranking.victim.task.comm,
            }
            for future in view.futures
        ],
    }


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


def _slope_entry(slope: Slope | None) -> dict[str, float | None] | None:
    if slope is None:
        return None
    return {
        "bytes_per_second": slope.per_second,
        "low_bytes_per_second": _finite(slope.low),
        "high_bytes_per_second": _finite(slope.high),
    }


def process_entry(row: Row) -> dict[str, Any]:
    """Return one watched process as JSON has it."""
    kinds = row.kinds or Kinds()
    return {
        "pid": row.task.pid,
        "comm": row.task.comm,
        "start_ticks": row.task.start_ticks,
        "used_bytes": row.used_bytes,
        "slope": _slope_entry(row.judgement.slope),
        "verdict": row.judgement.verdict,
        "because": row.judgement.because,
        **kinds._asdict(),
        "kinds_bytes_per_second": {kind: row.kind_rates.get(kind) for kind in KINDS},
        "minor_faults_per_second": row.minor_faults_per_second,
        "major_faults_per_second": row.major_faults_per_second,
    }
