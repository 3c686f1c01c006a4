"""The JSON document ``oomlab.watch/1``: one for each sample."""

from __future__ import annotations

from typing import Any

from ..analysis.growth.forecast import RunOut
from ..analysis.growth.judge import KINDS
from ..analysis.growth.scope import SCOPE_KINDS, ScopeGrowth
from ..analysis.growth.view import Row, View
from ..samples import Kinds
from .documents import gap_entries
from .rates import finite, slope_entry

WATCH_SCHEMA = "oomlab.watch/1"


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
            "headroom_slope": slope_entry(view.headroom_slope),
            **_scope_entry(view.scope),
        },
        "forecast": None if out is None else _forecast_entry(view, out),
        "processes": [process_entry(row) for row in view.rows],
        "ended": [{"pid": task.pid, "comm": task.comm} for task in view.ended],
        "gaps": gap_entries(view.sample.snapshot),
    }


def _scope_entry(one: ScopeGrowth) -> dict[str, Any]:
    return {
        "kinds_bytes": {kind: one.sizes.get(kind) for kind in SCOPE_KINDS},
        "kinds_bytes_per_second": {kind: one.rates.get(kind) for kind in SCOPE_KINDS},
        "slope": slope_entry(one.judgement.slope),
        "verdict": one.judgement.verdict,
        "because": one.judgement.because,
        "minor_faults_per_second": one.minor_faults_per_second,
        "major_faults_per_second": one.major_faults_per_second,
    }


def _forecast_entry(view: View, out: RunOut) -> dict[str, Any]:
    return {
        "seconds": out.seconds,
        "earliest_seconds": out.earliest_seconds,
        "latest_seconds": finite(out.latest_seconds),
        "victims": [
            {
                "seconds": future.seconds,
                "pid": None if future.ranking.victim is None else future.ranking.victim.task.pid,
                "comm": None if future.ranking.victim is None else future.ranking.victim.task.comm,
            }
            for future in view.futures
        ],
    }


def process_entry(row: Row) -> dict[str, Any]:
    """Return one watched process as JSON has it."""
    kinds = row.kinds or Kinds()
    return {
        "pid": row.task.pid,
        "comm": row.task.comm,
        "start_ticks": row.task.start_ticks,
        "used_bytes": row.used_bytes,
        "slope": slope_entry(row.judgement.slope),
        "verdict": row.judgement.verdict,
        "because": row.judgement.because,
        **kinds._asdict(),
        "kinds_bytes_per_second": {kind: row.kind_rates.get(kind) for kind in KINDS},
        "minor_faults_per_second": row.minor_faults_per_second,
        "major_faults_per_second": row.major_faults_per_second,
    }
