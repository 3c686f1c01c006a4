"""``oomlab cascade``: one kill after the other, until enough is free or nobody is left."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import (
    Cgroup,
    Columns,
    EventNumber,
    Format,
    From,
    Kernel,
    OutputFormat,
    Proc,
    load_source,
    memcg_path,
    print_columns,
    print_json,
    print_table,
)
from .selection import chosen_pids

_LISTED = 10


def cascade(
    free: Annotated[
        str | None,
        typer.Option("--free", metavar="SIZE", help="Go on until so much is surely free."),
    ] = None,
    protect: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X[,Y]", help="Say when one of these dies: PID, name, unit, container, user."
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option("-n", "--number", min=0, help="Stop after so many kills."),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", "-a", help="List all kills, not the first 10.")
    ] = False,
    cgroup: Cgroup = None,
    columns: Columns = None,
    kernel: Kernel = None,
    form: OutputFormat = Format.table,
    source: From = None,
    event: EventNumber = None,
    proc: Proc = None,
) -> None:
    """Simulate kills: who, what it frees, who is next.

    Nothing is changed on the machine. What a kill frees is anonymous memory, swap and page
    tables; a range where forked relatives may hold some of it.
    """
    from ..output.cascade import cascade_document, cascade_table
    from ..output.cascade_columns import COLUMNS, default_columns, kill_rows
    from ..output.tables import choose
    from ..units import bytes_to_pages, parse_size

    if columns == "help":
        print_columns(COLUMNS)
        return
    chosen = choose(COLUMNS, columns) if columns is not None else None
    wanted = None if free is None else parse_size(free)
    from ..analysis.cascade import cascade as simulate
    from ..analysis.ranking import rank

    snapshot = load_source(source, proc, (), event, cgroups=True)
    protected = frozenset(chosen_pids(snapshot, protect or []))
    ranking = rank(snapshot, kernel=kernel, memcg=memcg_path(snapshot, cgroup))
    pages = None if wanted is None else bytes_to_pages(wanted, snapshot.machine.page_size)
    kills = simulate(ranking, free_pages=pages, most=count, protected=protected)
    if form is Format.json:
        print_json(cascade_document(kills, wanted))
        return
    rows = kill_rows(kills)
    if form not in (Format.json, Format.csv) and count is None and not every:
        rows = rows[:_LISTED]
    listed = chosen or default_columns(rows)
    print_table(
        cascade_table(kills, rows, listed, free_bytes=wanted, fixed=chosen is not None), form
    )
