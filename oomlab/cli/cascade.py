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

_DEFAULT_COUNT = 10
_MOST_KILLS = 10_000


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
        typer.Option("-n", "--number", min=0, help="How many kills (10); with --free to list."),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", "-a", help="Go on until nobody is left to kill.")
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
    from ..output.cascade import (
        COLUMNS,
        cascade_document,
        cascade_table,
        default_columns,
        kill_rows,
    )
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
    shown = _DEFAULT_COUNT if count is None else count
    most = _MOST_KILLS if every or pages is not None else shown
    kills = simulate(ranking, free_pages=pages, most=most, protected=protected)
    if form is Format.json:
        print_json(cascade_document(kills, wanted))
        return
    rows = kill_rows(kills)
    if count is not None or not every:
        rows = rows[:shown]
    listed = chosen or default_columns(rows)
    print_table(
        cascade_table(kills, rows, listed, free_bytes=wanted, fixed=chosen is not None), form
    )
