"""The rows and columns of a cascade: each kill, and what it gives back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..analysis.cascade import Cascade, Kill
from ..analysis.freed import Freed
from ..units import pages_to_bytes
from .escape import printable
from .ranking import named
from .tables import Column, shown_size


class KillRow(NamedTuple):
    """One kill in the listing."""

    kill: Kill
    cascade: Cascade

    def bytes_of(self, pages: int | None) -> int | None:
        """Return pages in bytes, unknown as unknown."""
        return pages_to_bytes(pages, self.cascade.ranking.snapshot.machine.page_size)


def kill_rows(cascade: Cascade) -> list[KillRow]:
    """Return a row for each kill."""
    return [KillRow(kill, cascade) for kill in cascade.kills]


def size_text(cascade: Cascade, pages: int | None) -> str:
    """Return pages of a cascade's machine as a size."""
    return shown_size(pages_to_bytes(pages, cascade.ranking.snapshot.machine.page_size))


def freed_text(cascade: Cascade, freed: Freed) -> str:
    """Return what is given back as a size or a range."""
    low, high = size_text(cascade, freed.low_pages), size_text(cascade, freed.high_pages)
    return low if low == high else f"{low} to {high}"


def _shown_badness(row: KillRow) -> str:
    chosen = row.kill.choice.chosen
    if chosen is None or chosen.badness is None:
        return "?"
    if not row.cascade.ranking.era.facts.in_pages:
        return str(chosen.badness)
    return size_text(row.cascade, chosen.badness)


def _notes(row: KillRow) -> str:
    kill = row.kill
    parts = []
    if kill.protected:
        parts.append(f"protected: {', '.join(printable(t.comm) for t in kill.protected[:3])}")
    chosen = kill.choice.chosen
    if chosen is not None and chosen.task.pid != kill.victim.pid:
        parts.append(f"child of {named(chosen.task)}")
    if len(kill.possible) > 1:
        parts.append(f"or {len(kill.possible) - 1 + kill.more_possible} others")
    return "; ".join(parts)


def _shown_with(row: KillRow) -> str:
    choice = row.kill.choice
    others, perhaps = len(choice.killed) - 1, len(choice.perhaps)
    maybe = f"+{perhaps}{'...' if choice.more_perhaps else ''}?"
    return " ".join([f"+{others}"] * (others > 0) + [maybe] * (perhaps > 0))


COLUMNS: tuple[Column[KillRow], ...] = (
    Column(name="kill", header="KILL", help="which kill", value=lambda row: row.kill.number),
    Column(
        name="pid", header="PID", help="the process killed", value=lambda row: row.kill.victim.pid
    ),
    Column(
        name="adj",
        header="ADJ",
        help="its oom_score_adj",
        key="oom_score_adj",
        value=lambda row: row.kill.victim.oom_score_adj,
        keep=5,
    ),
    Column(
        name="badness",
        header="BADNESS",
        help="what the kernel compared",
        value=lambda row: (
            None if row.kill.choice.chosen is None else row.kill.choice.chosen.badness
        ),
        show=_shown_badness,
        keep=6,
    ),
    Column(
        name="with",
        header="WITH",
        help="how many die with it (oom.group); ?: if they use its memory map",
        value=lambda row: len(row.kill.choice.killed) - 1,
        show=_shown_with,
    ),
    Column(
        name="frees",
        header="FREES",
        help="anonymous memory, swap and page tables that it gives back",
        key="freed_low_bytes",
        value=lambda row: row.bytes_of(row.kill.freed.low_pages),
        show=lambda row: freed_text(row.cascade, row.kill.freed),
    ),
    Column(
        name="most",
        header="AT MOST",
        help="the same at most",
        key="freed_high_bytes",
        value=lambda row: row.bytes_of(row.kill.freed.high_pages),
        show=lambda row: size_text(row.cascade, row.kill.freed.high_pages),
    ),
    Column(
        name="total",
        header="TOTAL",
        help="with all kills before",
        key="total_low_bytes",
        value=lambda row: row.bytes_of(row.kill.total.low_pages),
        show=lambda row: freed_text(row.cascade, row.kill.total),
    ),
    Column(
        name="name",
        header="NAME",
        help="its name (comm)",
        value=lambda row: row.kill.victim.comm,
        left=True,
        flexible=True,
    ),
    Column(
        name="note",
        header="NOTE",
        help="protected ones among the dead, the parent it dies for, doubts",
        value=lambda row: _notes(row) or None,
        show=_notes,
        left=True,
        flexible=True,
    ),
)


def default_columns(rows: Sequence[KillRow]) -> list[Column[KillRow]]:
    """Return the columns that a listing shows unless told otherwise."""
    shown = {column.name for column in COLUMNS} - {"most"}
    if not any(map(_shown_with, rows)):
        shown.discard("with")
    if not any(map(_notes, rows)):
        shown.discard("note")
    return [column for column in COLUMNS if column.name in shown]
