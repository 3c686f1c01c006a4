"""``oomlab suggest``: the smallest settings that protect, or an audit of the machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from ..errors import InputError
from .options import (
    EventNumber,
    Format,
    From,
    Kernel,
    OutputFormat,
    Proc,
    load_source,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from ..analysis.suggestion import Suggestion
    from ..snapshot import Snapshot

Texts = list[str]
_SHOWN = 20
_IMPOSSIBLE = 1


def suggest(
    protect: Annotated[
        Texts | None,
        typer.Option(metavar="WHO", help="Who shall live: PID, name, unit, cgroup, user; with ,"),
    ] = None,
    sacrifice: Annotated[
        Texts | None,
        typer.Option(metavar="WHO", help="Who shall die before them; else everybody else."),
    ] = None,
    leave: Annotated[
        Texts | None,
        typer.Option("--except", metavar="WHO", help="Whose place does not matter: left alone."),
    ] = None,
    allow_growth: Annotated[
        str | None,
        typer.Option(metavar="AMOUNT", help="Hold even if each grows so much: 50% or 2G."),
    ] = None,
    cgroup: Annotated[
        str | None,
        typer.Option(metavar="WHICH", help="In an OOM of that cgroup, unit or container."),
    ] = None,
    raise_only: Annotated[
        bool, typer.Option("--raise-only", help="Lower nothing: that needs CAP_SYS_RESOURCE.")
    ] = False,
    allow_unkillable: Annotated[
        bool, typer.Option("--allow-unkillable", help="-1000 may be suggested.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", "-a", help="List all changes.")] = False,
    kernel: Kernel = None,
    form: OutputFormat = Format.table,
    source: From = None,
    event: EventNumber = None,
    proc: Proc = None,
) -> int:
    """Suggest the smallest oom_score_adj changes that protect.

    WHO: 812, postgres, nginx.service, a container, user:alice, /a/cgroup; several with commas.
    Nothing is changed on the machine.
    """
    if protect is None:
        raise InputError("name whom to protect: oomlab suggest --protect postgres")
    snapshot = _loaded(source, proc, event)
    found = _suggestion(
        snapshot,
        _Wish(protect, sacrifice, leave, allow_growth, cgroup, raise_only, allow_unkillable),
        kernel,
    )
    _print(found, form, None if every or form is not Format.table else _SHOWN)
    return _IMPOSSIBLE if found.impossible else 0


def _loaded(source: str | None, proc: Path | None, event: int | None) -> Snapshot:
    snapshot = load_source(source, proc, {"cgroup", "cmdline"}, event)
    if source is not None:
        return snapshot
    from ..readers.load import with_memcgs

    return with_memcgs(snapshot, proc)


class _Wish(NamedTuple):
    """What the user asked for, as typed."""

    protect: list[str]
    sacrifice: list[str] | None
    leave: list[str] | None
    allow_growth: str | None
    cgroup: str | None
    raise_only: bool
    allow_unkillable: bool


def _suggestion(snapshot: Snapshot, wish: _Wish, kernel: str | None) -> Suggestion:
    from ..analysis.ranking import rank
    from ..analysis.selectors import find_memcg
    from ..analysis.suggest import suggest as smallest_change
    from ..analysis.suggestion import NO_GROWTH
    from .selection import chosen_pids, parse_growth

    memcg = None if wish.cgroup is None else find_memcg(snapshot, wish.cgroup)
    ranking = rank(snapshot, kernel=kernel, memcg=memcg)
    growth = NO_GROWTH
    if wish.allow_growth is not None:
        growth = parse_growth(wish.allow_growth, snapshot.machine.page_size)
    sacrifice = wish.sacrifice
    return smallest_change(
        ranking,
        chosen_pids(snapshot, wish.protect),
        None if sacrifice is None else chosen_pids(snapshot, sacrifice),
        leave=chosen_pids(snapshot, wish.leave or []),
        growth=growth,
        raise_only=wish.raise_only,
        allow_unkillable=wish.allow_unkillable,
    )


def _print(found: Suggestion, form: Format, count: int | None) -> None:
    from ..output.suggestion import suggestion_document, suggestion_table

    if form is Format.json:
        print_json(suggestion_document(found))
    else:
        print_table(suggestion_table(found, count), form)
