"""What was written and what was not: the listing before, and the report after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..writers.adj import Target
from ..writers.changes import Outcome
from .tables import Column, Table

SCHEMA = "oomlab.apply/1"


def _columns() -> list[Column[Outcome]]:
    return [
        Column(name="pid", header="PID", help="process", value=lambda o: o.target.pid),
        Column(name="now", header="NOW", help="before", value=lambda o: o.target.before),
        Column(name="then", header="THEN", help="after", value=lambda o: o.target.after),
        Column(name="name", header="NAME", help="name", value=lambda o: o.target.comm, left=True),
    ]


def _result() -> Column[Outcome]:
    return Column(
        name="result",
        header="RESULT",
        help="written, or why not",
        value=lambda o: "written" if o.done else f"not written: {o.why}",
        left=True,
    )


def plan_table(targets: Sequence[Target]) -> Table[Outcome]:
    """Return what is about to be written."""
    return Table(columns=_columns(), rows=[Outcome(target) for target in targets])


def outcome_table(outcomes: Sequence[Outcome], undo_file: str | None) -> Table[Outcome]:
    """Return what became of each change, under how many were made."""
    heading = [result_text(outcomes)]
    if undo_file is not None and any(outcome.done for outcome in outcomes):
        heading.append(f"The values before are in {undo_file}: oomlab apply --undo FILE.")
    rows = [outcome for outcome in outcomes if not outcome.done]
    return Table(columns=[*_columns(), _result()], rows=rows, heading=heading)


def result_text(outcomes: Sequence[Outcome]) -> str:
    """Return in a sentence how much was written and read back."""
    done = sum(outcome.done for outcome in outcomes)
    noun = "value" if len(outcomes) == 1 else "values"
    if done == len(outcomes):
        return f"{done} {noun} written and read back."
    return f"{done} of {len(outcomes)} {noun} written and read back; the rest was not:"


def outcome_document(outcomes: Sequence[Outcome], undo_file: str | None) -> dict[str, Any]:
    """Return the JSON document ``oomlab.apply/1``."""
    return {
        "schema": SCHEMA,
        "undo_file": undo_file,
        "written": [outcome.target._asdict() for outcome in outcomes if outcome.done],
        "not_written": [
            {**outcome.target._asdict(), "why": outcome.why, "gone": outcome.gone}
            for outcome in outcomes
            if not outcome.done
        ],
    }
