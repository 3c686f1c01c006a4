"""``oomlab scopes``: every place where an OOM can happen, the nearest first."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import (
    Columns,
    EventNumber,
    Format,
    From,
    Kernel,
    OutputFormat,
    Proc,
    load_source,
    print_columns,
    print_json,
    print_table,
)


def scopes(
    every: Annotated[
        bool, typer.Option("--all", "-a", help="Memory cgroups without a limit, too.")
    ] = False,
    count: Annotated[
        int | None,
        typer.Option("-n", "--number", min=0, help="How many scopes; all unless given."),
    ] = None,
    sort: Annotated[
        str | None, typer.Option("--sort", metavar="COLUMN", help="Sort by a column; - reverses.")
    ] = None,
    columns: Columns = None,
    kernel: Kernel = None,
    form: OutputFormat = Format.table,
    source: From = None,
    event: EventNumber = None,
    proc: Proc = None,
) -> None:
    """List the places where memory can run out, nearest first.

    The machine, each memory cgroup with a limit, and memory nodes that a cpuset confines
    processes to: with what is left there and whom the kernel would kill.
    """
    from ..output.scope_columns import COLUMNS, default_columns
    from ..output.tables import choose, sort_rows

    if columns == "help":
        print_columns(COLUMNS)
        return
    chosen = choose(COLUMNS, columns) if columns is not None else None
    if sort is not None:
        choose(COLUMNS, sort.removeprefix("-"))
    from ..analysis.scopes import find_scopes
    from ..output.scopes import scope_rows, scopes_document, scopes_table

    snapshot = load_source(source, proc, (), event, cgroups=True)
    rows = scope_rows(snapshot, find_scopes(snapshot, kernel=kernel, every=every))
    if sort is not None:
        rows = sort_rows(rows, COLUMNS, sort)
    rows = rows[:count]
    if form is Format.json:
        print_json(scopes_document(snapshot, rows))
        return
    listed = chosen or default_columns(rows)
    print_table(scopes_table(snapshot, rows, listed, fixed=chosen is not None), form)
