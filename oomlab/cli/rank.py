"""``oomlab rank``: the likely victims, best first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .options import (
    Columns,
    EventNumber,
    Format,
    From,
    Kernel,
    OutputFormat,
    Proc,
    begin_sizes,
    load_source,
    print_columns,
    print_json,
    print_table,
    report_gaps,
)

if TYPE_CHECKING:
    from ..output.ranking import RankRow

_DEFAULT_COUNT = 10


def rank(
    count: Annotated[
        int | None,
        typer.Option("-n", "--number", min=0, help="How many tasks; all for json and csv."),
    ] = None,
    every: Annotated[
        bool,
        typer.Option("--all", "-a", help="All tasks, also those that can't be killed and why."),
    ] = False,
    user: Annotated[
        str | None, typer.Option("--user", "-u", help="Only this user's tasks (name or uid).")
    ] = None,
    sort: Annotated[
        str | None, typer.Option("--sort", metavar="COLUMN", help="Sort by a column; - reverses.")
    ] = None,
    columns: Columns = None,
    cmdline: Annotated[
        bool, typer.Option("--cmdline", "-c", help="Show command lines instead of names.")
    ] = False,
    kernel: Kernel = None,
    form: OutputFormat = Format.table,
    source: From = None,
    event: EventNumber = None,
    proc: Proc = None,
) -> None:
    """Rank the tasks that the OOM killer would kill, likeliest first."""
    limit, details = _limit(count, every, form), _details(cmdline, columns, sort)
    whole = every or user is not None or sort is not None or source is not None or event is not None
    # On a large machine workers begin to read now: the imports below are time for them.
    finish = None if whole or columns == "help" else begin_sizes(proc)
    from ..output import ranking as output
    from ..output.tables import choose, sort_rows

    if columns == "help":
        print_columns(output.COLUMNS)
        return
    chosen = choose(output.COLUMNS, columns) if columns is not None else None
    if sort is not None:
        choose(output.COLUMNS, sort.removeprefix("-"))
    if finish is not None:
        from .live import rank_top

        ranking = rank_top(limit, finish(), proc=proc, kernel=kernel, details=details)
        report_gaps(ranking.snapshot)
    else:
        from ..analysis.ranking import rank as rank_all

        ranking = rank_all(load_source(source, proc, details, event), kernel=kernel)
    rows = output.ranking_rows(ranking, None if whole else limit)
    if not every:
        rows = [row for row in rows if row.score.killable]
    if user is not None:
        rows = [row for row in rows if _belongs(row, user)]
    if sort is not None:
        rows = sort_rows(rows, output.COLUMNS, sort)
    shown = rows[:limit]
    if form is Format.json:
        print_json(output.rank_document(ranking, shown))
        return
    listed = chosen or output.default_columns(shown, command=cmdline)
    table = output.ranking_table(ranking, shown, listed, fixed=chosen is not None)
    print_table(table, form)


def _limit(count: int | None, every: bool, form: Format) -> int | None:
    if count is not None:
        return count
    return None if every or form in (Format.json, Format.csv) else _DEFAULT_COUNT


def _details(cmdline: bool, columns: str | None, sort: str | None) -> set[str]:
    """Return the per-process files that only some columns need."""
    named = f"{columns or ''},{(sort or '').removeprefix('-')}".split(",")
    wanted = {"cmdline", "cgroup"} & set(named)
    return wanted | {"cmdline"} if cmdline else wanted


def _belongs(row: RankRow, user: str) -> bool:
    return user in (row.task.user, str(row.task.euid))
