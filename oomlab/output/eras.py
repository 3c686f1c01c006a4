"""The listing of ``oomlab eras``: the families of rules, and what differs between two kernels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

from ..analysis.ranking import Ranking
from ..analysis.upgrade import Difference
from ..kernel.eras import FAMILY_SPANS, Era, era_of
from ..kernel.facts import Facts
from ..kernel.history import CHANGES
from .change_columns import COLUMNS as MOVED
from .change_columns import ChangeRow
from .comparison import answer, whatif_document
from .tables import Column, Table
from .wording import TABLES, TITLES, difference_text, said

SCHEMA = "oomlab.eras/1"
DIFF_SCHEMA = "oomlab.eras-diff/1"


class EraRow(NamedTuple):
    """One family of badness rules, as its first kernel has it."""

    era: Era
    here: bool
    also: Sequence[str]
    """Other rules that change within the family, each with its release."""

    @property
    def facts(self) -> Facts:
        """The rules of the family's first kernel."""
        return self.era.facts


def era_rows(own: Era | None) -> list[EraRow]:
    """Return a row for each family, oldest first; ``own`` is this machine's era."""
    rows = []
    for family, span in FAMILY_SPANS.items():
        era = era_of(span.split(" ")[0])
        here = own is not None and own.family == family
        rows.append(EraRow(era, here, _changes_within(era)))
    return rows


def _changes_within(era: Era) -> list[str]:
    """Return the releases after the family's first at which rules change, and which."""
    first = tuple(int(part) for part in era.release.split("."))
    later = [change.since for change in CHANGES if change.fact == "family" and change.since > first]
    end = min(later, default=(99,))
    inside = [change for change in CHANGES if first < change.since < end]
    return [
        f"{'.'.join(map(str, since))}: {', '.join(TITLES[change.fact] for change in changes)}"
        for since, changes in groupby(inside, key=lambda change: change.since)
    ]


_ADJUST: dict[str, str] = {
    "legacy": "oom_adj shifts the points",
    "permille": "adj thousandths of totalpages; 1 at least, 1000 at most",
    "pages": "adj * (totalpages // 1000) pages; 1 at least",
    "signed": "adj * (totalpages // 1000) pages; may be negative",
}


def _root(facts: Facts) -> str:
    if facts.formula == "legacy":
        return "a quarter of it counts"
    return said("root_bonus", facts.root_bonus)


def _counts(facts: Facts) -> str:
    if facts.formula == "legacy":
        return "address space, children; less for CPU time and age"
    tables = TABLES[facts.page_tables]
    return f"RSS + swap{' + ' + tables if tables else ''}"


COLUMNS: tuple[Column[EraRow], ...] = (
    Column(
        name="here",
        header="",
        help="* marks the rules of this machine",
        value=lambda row: row.here,
        show=lambda row: "*" if row.here else "",
        left=True,
    ),
    Column(
        name="family",
        header="RULES",
        help="name of the family",
        value=lambda row: row.era.family,
        left=True,
    ),
    Column(
        name="kernels",
        header="KERNELS",
        help="mainline kernels that have it",
        value=lambda row: FAMILY_SPANS[row.era.family],
        left=True,
    ),
    Column(
        name="counts",
        header="COUNTS",
        help="what counts against a process",
        value=lambda row: _counts(row.facts),
        left=True,
        keep=5,
        flexible=True,
    ),
    Column(
        name="root",
        header="ROOT",
        help="what a process with CAP_SYS_ADMIN is spared",
        value=lambda row: _root(row.facts),
        left=True,
        keep=4,
        flexible=True,
    ),
    Column(
        name="adj",
        header="ADJ",
        help="how the setting weighs",
        value=lambda row: _ADJUST[row.facts.formula],
        left=True,
        keep=4,
        flexible=True,
    ),
    Column(
        name="ties",
        header="TIES",
        help="who of equals is chosen",
        value=lambda row: row.facts.ties,
        left=True,
        keep=3,
    ),
    Column(
        name="also",
        header="ALSO CHANGES",
        help="other rules that change within",
        value=lambda row: "; ".join(row.also),
        show=lambda row: ", ".join(text.split(":")[0] for text in row.also),
        left=True,
        keep=1,
        flexible=True,
    ),
)


def eras_table(rows: Sequence[EraRow], own: Ranking | None) -> Table[EraRow]:
    """Return the table of the families; the heading says which is this machine's, and why."""
    marked = frozenset(index for index, row in enumerate(rows) if row.here)
    return Table(columns=COLUMNS, rows=rows, heading=[_own_rules(own)], marked=marked, stacked=3)


def _own_rules(own: Ranking | None) -> str:
    if own is None:
        return "This machine's rules are unknown: neither its release nor its scores tell them."
    era, release = own.era, own.snapshot.machine.release
    return f"This machine: Linux {release}, rules: {era.label}; evidence: {era.evidence}."


def eras_document(rows: Sequence[EraRow], own: Ranking | None) -> dict[str, Any]:
    """Return the JSON document ``oomlab.eras/1``."""
    return {
        "schema": SCHEMA,
        "here": None
        if own is None
        else {
            "release": own.snapshot.machine.release,
            "family": own.era.family,
            "evidence": own.era.evidence,
            "facts": own.era.facts._asdict(),
        },
        "families": [
            {
                "family": row.era.family,
                "kernels": FAMILY_SPANS[row.era.family],
                "here": row.here,
                "facts": row.facts._asdict(),
            }
            for row in rows
        ],
        "changes": [
            {
                "since": ".".join(map(str, change.since)),
                "fact": change.fact,
                "value": change.value,
                "source": change.source,
            }
            for change in CHANGES
        ],
    }


def diff_table(
    before: Ranking, after: Ranking, found: Sequence[Difference], rows: Sequence[ChangeRow]
) -> Table[ChangeRow]:
    """Return both rankings side by side under a sentence for each rule that differs."""
    old, new = before.era.release, after.era.release
    heading = [
        answer(before, after)
        .replace(" now, and still then.", f" with {old}, and still with {new}.")
        .replace(" now; with these edits, ", f" with {old}; with {new}, ")
        .replace(", now and then.", f", with {old} and with {new}.")
    ]
    words = [difference_text(one) for one in found if one.fact in TITLES]
    heading += [f"From {old} to {new}:", *(f"  - {text}" for text in words)]
    if not words:
        heading[-1] = f"From {old} to {new} no rule of the OOM killer changes."
    return Table(columns=MOVED, rows=rows, heading=heading)


def diff_document(
    before: Ranking, after: Ranking, found: Sequence[Difference], count: int
) -> dict[str, Any]:
    """Return the JSON document ``oomlab.eras-diff/1``."""
    body = whatif_document(before, after, (), count)
    del body["edits"]
    differences = [
        {
            "fact": one.fact,
            "before": one.before,
            "after": one.after,
            "processes": one.processes,
            "text": difference_text(one) if one.fact in TITLES else None,
        }
        for one in found
    ]
    return body | {"schema": DIFF_SCHEMA, "differences": differences}
