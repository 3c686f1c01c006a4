"""A cascade in words, as a table and as a JSON document: the answer first, how it ends last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..analysis.cascade import Cascade
from ..analysis.freed import Freed
from ..analysis.ranking import cautions
from ..snapshot import Task
from ..units import human
from .cascade_columns import KillRow, freed_text, kill_rows, size_text
from .documents import gap_entries, kernel_entry, scope_entry
from .ranking import named, occasion, rules_line
from .tables import Column, Table

SCHEMA = "oomlab.cascade/1"


def cascade_table(
    cascade: Cascade,
    rows: Sequence[KillRow],
    columns: Sequence[Column[KillRow]],
    *,
    free_bytes: int | None,
    fixed: bool,
) -> Table[KillRow]:
    """Return the table of the kills between the answer and how it ends."""
    marked = frozenset(i for i, row in enumerate(rows) if row.kill.protected)
    hidden = len(cascade.kills) - len(rows)
    footer = [f"and {hidden} more (--all lists them)."] if hidden > 0 else []
    ending = _ending(cascade)
    return Table(
        columns=columns,
        rows=rows,
        heading=_heading(cascade, free_bytes),
        footer=[*footer, "", *ending] if ending else footer,
        marked=marked,
        fixed=fixed,
    )


def _heading(cascade: Cascade, free_bytes: int | None) -> list[str]:
    lines = [_answer(cascade, free_bytes), *_protected(cascade), rules_line(cascade.ranking)]
    return lines + [f"Note: {caution}." for caution in cautions(cascade.ranking)]


def _answer(cascade: Cascade, free_bytes: int | None) -> str:
    start, kills = f"{occasion(cascade.ranking)}, ", cascade.kills
    if cascade.end == "panics":
        return f"{start}the kernel would panic (vm.panic_on_oom), not kill."
    if not kills:
        return f"{start}{_no_kill(cascade)}."
    freed = freed_text(cascade, kills[-1].total)
    more = f" and {len(kills) - 3} more" if len(kills) > 3 else ""
    names = ", ".join(named(kill.victim) for kill in kills[:3]) + more
    count = "1 kill" if len(kills) == 1 else f"{len(kills)} kills"
    likely = "" if cascade.is_certain else ", as far as can be seen"
    if free_bytes is None or cascade.end == "freed":
        return f"{start}{count} would free {freed}: {names}{likely}."
    wanted = f"not surely {human(free_bytes)}"
    return f"{start}{count} would free {freed}, {wanted}: {names}{likely}."


def _no_kill(cascade: Cascade) -> str:
    if cascade.end in ("count", "freed"):
        return "there would be kills, but none was asked for"
    if cascade.end == "refused":
        return "the kill would be refused, for a process at -17 shares the victim's memory"
    panics = " and panic" if cascade.ranking.scope.memcg is None else ""
    return f"the kernel would find nobody to kill{panics}"


def _protected(cascade: Cascade) -> list[str]:
    first = cascade.first_protected
    if first is None:
        return ["None of the protected dies."] if cascade.protected and cascade.kills else []
    names = ", ".join(map(named, first.protected[:3]))
    before = freed_text(cascade, cascade.kills[first.number - 2].total) if first.number > 1 else ""
    after = f", when {before} are free" if before else ""
    return [f"Protected {names} dies in kill {first.number}{after}."]


def _ending(cascade: Cascade) -> list[str]:
    last = cascade.kills[-1] if cascade.kills else None
    lines = []
    if last is not None and last.total.shared_pages:
        shared = size_text(cascade, last.total.shared_pages)
        lines.append(
            f"Of the most that would be freed, {shared} are shared memory: it stays where another "
            "process maps it or a file (tmpfs, System V) holds it."
        )
    if cascade.kills and cascade.end == "nobody":
        after = "Then nobody is left whom the kernel may kill"
        if cascade.ranking.scope.memcg is None:
            lines.append(f"{after}: it would panic.")
        else:
            lines.append(f"{after}: requests for memory there would fail or wait.")
    if cascade.kills and cascade.end == "refused":
        lines.append("Then the kill would be refused again and again.")
    return lines


def cascade_document(cascade: Cascade, free_bytes: int | None) -> dict[str, Any]:
    """Return the JSON document ``oomlab.cascade/1``."""
    first = cascade.first_protected
    return {
        "schema": SCHEMA,
        "kernel": kernel_entry(cascade.ranking),
        "scope": scope_entry(cascade.ranking),
        "cautions": cautions(cascade.ranking),
        "free_bytes": free_bytes,
        "end": cascade.end,
        "certain": cascade.is_certain,
        "first_protected_kill": None if first is None else first.number,
        "kills": [_entry(row) for row in kill_rows(cascade)],
        "gaps": gap_entries(cascade.ranking.snapshot),
    }


def _entry(row: KillRow) -> dict[str, Any]:
    kill, chosen = row.kill, row.kill.choice.chosen
    return {
        "number": kill.number,
        "pid": kill.victim.pid,
        "comm": kill.victim.comm,
        "oom_score_adj": kill.victim.oom_score_adj,
        "chosen_pid": None if chosen is None else chosen.task.pid,
        "badness": None if chosen is None else chosen.badness,
        "killed": [_who(task) for task in kill.choice.killed],
        "more_perhaps": kill.choice.more_perhaps,
        "perhaps": [_who(task) for task in kill.choice.perhaps],
        "possible_count": len(kill.possible) + kill.more_possible,
        "possible": [_who(task) for task in kill.possible],
        "protected": [_who(task) for task in kill.protected],
        "why": list(kill.choice.why),
        "freed": _freed_entry(row, kill.freed),
        "total": _freed_entry(row, kill.total),
    }


def _who(task: Task) -> dict[str, Any]:
    return {"pid": task.pid, "comm": task.comm}


def _freed_entry(row: KillRow, freed: Freed) -> dict[str, Any]:
    return {
        "low_bytes": row.bytes_of(freed.low_pages),
        "high_bytes": row.bytes_of(freed.high_pages),
        "swap_low_bytes": row.bytes_of(freed.swap_low_pages),
        "swap_high_bytes": row.bytes_of(freed.swap_high_pages),
        "shared_bytes": row.bytes_of(freed.shared_pages),
    }
