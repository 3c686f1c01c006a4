"""The listing of ``oomlab check``: which processes agree with the kernel, and which don't."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from ..analysis.agreement import Comparison
from ..analysis.ranking import Ranking
from .documents import gap_entries, kernel_entry, scope_entry
from .tables import Column, Table

SCHEMA = "oomlab.check/1"

COLUMNS: tuple[Column[Comparison], ...] = (
    Column(name="pid", header="PID", help="process", value=lambda one: one.score.task.pid),
    Column(
        name="adj",
        header="ADJ",
        help="oom_score_adj",
        key="oom_score_adj",
        value=lambda one: one.score.task.oom_score_adj,
    ),
    Column(
        name="model",
        header="MODEL",
        help="oom_score as modelled",
        key="oom_score",
        value=lambda one: one.score.oom_score,
    ),
    Column(
        name="low", header="LOW", help="lowest possible", value=lambda one: one.score.oom_score_low
    ),
    Column(
        name="high",
        header="HIGH",
        help="highest possible",
        value=lambda one: one.score.oom_score_high,
    ),
    Column(
        name="kernel",
        header="KERNEL",
        help="the kernel's own oom_score",
        key="kernel_oom_score",
        value=lambda one: one.kernel,
    ),
    Column(
        name="verdict",
        header="VERDICT",
        help="how they compare",
        value=lambda one: one.verdict,
        left=True,
    ),
    Column(
        name="name",
        header="NAME",
        help="name (comm)",
        value=lambda one: one.score.task.comm,
        left=True,
        flexible=True,
    ),
)


def check_table(ranking: Ranking, found: Sequence[Comparison], *, every: bool) -> Table[Comparison]:
    """Return the listing: the figures above, below them all that do not simply agree."""
    rows = [one for one in found if every or one.verdict not in ("equal", "within")]
    marked = frozenset(i for i, one in enumerate(rows) if one.verdict == "differs")
    return Table(columns=COLUMNS, rows=rows, heading=[summary(ranking, found)], marked=marked)


def summary(ranking: Ranking, found: Sequence[Comparison]) -> str:
    """Return the figures in a sentence."""
    counts = Counter(one.verdict for one in found)
    parts = [f"{counts['equal']} of {len(found)} processes have exactly the kernel's oom_score"]
    if counts["within"]:
        widest = max(one.bound for one in found if one.verdict == "within")
        parts.append(f"{counts['within']} lie within the bound (at most {widest} wide)")
    if counts["moving"]:
        parts.append(f"{counts['moving']} moved or ended while they were read")
    if counts["unknown"]:
        parts.append(f"{counts['unknown']} can't be computed from what is visible")
    parts.append(f"{counts['differs']} differ")
    release, rules = ranking.snapshot.machine.release, ranking.era.label
    return f"{'; '.join(parts)} (Linux {release}, rules: {rules})."


def check_document(ranking: Ranking, found: Sequence[Comparison]) -> dict[str, Any]:
    """Return the JSON document ``oomlab.check/1``."""
    counts: Counter[str] = Counter(one.verdict for one in found)
    verdicts = ("equal", "within", "differs", "moving", "unknown")
    return {
        "schema": SCHEMA,
        "kernel": kernel_entry(ranking),
        "scope": scope_entry(ranking),
        "counts": {verdict: counts.get(verdict, 0) for verdict in verdicts},
        "tasks": [
            {
                "pid": one.score.task.pid,
                "comm": one.score.task.comm,
                "oom_score_adj": one.score.task.oom_score_adj,
                "oom_score": one.score.oom_score,
                "oom_score_low": one.score.oom_score_low,
                "oom_score_high": one.score.oom_score_high,
                "kernel_oom_score": one.kernel,
                "verdict": one.verdict,
            }
            for one in found
        ],
        "gaps": gap_entries(ranking.snapshot),
    }
