"""``oomlab rank``: the likely victims, best first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from .early import take
from .killer_options import Avoid, Ignore, Killer, KillerOptions, Pods, Prefer, SortByRss
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
    report_gaps,
)
from .users import check_user, is_of_user

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..analysis.ranking import Ranking
    from ..output.rank_rows import RankRow
    from ..readers.sizes import SizeScan

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
    killer: Killer = None,
    prefer: Prefer = None,
    avoid: Avoid = None,
    ignore: Ignore = None,
    sort_by_rss: SortByRss = False,
    pods: Pods = None,
    cgroup: Cgroup = None,
    pid: Annotated[
        str | None,
        typer.Option(
            "--pid", "-p", metavar="PID|NAME", help="Every scope it may die in, its place there."
        ),
    ] = None,
    form: OutputFormat = Format.table,
    source: From = None,
    event: EventNumber = None,
    proc: Proc = None,
) -> None:
    """Rank the OOM killer's likely victims, best first."""
    own = KillerOptions(prefer, avoid, ignore, sort_by_rss, pods)
    if killer is not None or any(own):
        from .killers import Asked, print_killer

        where = (kernel, form, source, event, proc)
        others = (cmdline, pid, user, cgroup)
        limit = _limit(count, every, form)
        if print_killer(Asked(killer, limit, every, sort, columns, *where, *others, own)):
            return
    if pid is not None:
        from .standing import AskedTask, print_standing

        print_standing(AskedTask(pid, cgroup, columns, kernel, form, source, event, proc))
        return
    wanted = _Wanted(limit=_limit(count, every, form), every=every, user=user, sort=sort)
    details = _details(cmdline or form is Format.json, columns, sort)
    # On a large machine workers begin to read now: the imports below are time for them.
    # Older rules may count what sizes alone don't tell, so a named kernel reads all.
    plain = source is None and event is None and kernel is None and cgroup is None
    live = plain and columns != "help" and wanted.only_first
    finish = take(proc) if live else None
    from ..output.rank_columns import COLUMNS, default_columns
    from ..output.tables import choose

    if columns == "help":
        print_columns(COLUMNS)
        return
    chosen = choose(COLUMNS, columns) if columns is not None else None
    if sort is not None:
        choose(COLUMNS, sort.removeprefix("-"))
    if live:
        ranking = _of_sizes(wanted.limit, proc, details, finish)
    else:
        from ..analysis.ranking import rank as rank_all

        snapshot = load_source(source, proc, details, event, cgroups=cgroup is not None)
        ranking = rank_all(snapshot, kernel=kernel, memcg=memcg_path(snapshot, cgroup))
    if user is not None:
        check_user(ranking.snapshot, user, source)
    rows = _select(ranking, wanted)
    if form is Format.json:
        from ..output.documents import rank_document

        print_json(rank_document(ranking, rows))
        return
    from ..output.ranking import ranking_table

    nobody = [f"No task of user {user!r} can be killed."] if user and not rows else []
    listed = chosen or default_columns(rows, command=cmdline)
    print_table(ranking_table(ranking, rows, listed, fixed=chosen is not None, footer=nobody), form)


def _of_sizes(
    limit: int | None, proc: Path | None, details: set[str], finish: Callable[[], SizeScan] | None
) -> Ranking:
    """Rank this machine, reading in full only what is shown."""
    from ..analysis.ranking import rank as rank_all
    from ..readers.cgroupfs import dies_in_group
    from ..readers.procfs import PROC, read_sizes
    from .live import rank_top

    sizes = read_sizes(proc or PROC, finish)
    ranking = rank_top(limit, sizes, proc=proc, kernel=None, details=details)
    victim = ranking.victim
    if victim is not None and dies_in_group(proc or PROC, victim.task.pid):
        # Who dies with it stands in the files of all processes: now they are worth reading.
        return rank_all(load_source(None, proc, details, cgroups=True))
    report_gaps(ranking.snapshot)
    return ranking


class _Wanted(NamedTuple):
    """Which rows the user asked for."""

    limit: int | None
    every: bool
    user: str | None
    sort: str | None

    @property
    def only_first(self) -> bool:
        """Whether the first of the ranking are all that is needed."""
        return self.limit is not None and not (self.every or self.user or self.sort)


def _select(ranking: Ranking, wanted: _Wanted) -> list[RankRow]:
    from ..output.rank_columns import COLUMNS
    from ..output.rank_rows import ranking_rows
    from ..output.tables import sort_rows

    rows = ranking_rows(ranking, wanted.limit if wanted.only_first else None)
    if not wanted.every:
        rows = [row for row in rows if row.score.killable]
    if wanted.user is not None:
        rows = [row for row in rows if is_of_user(row.task, wanted.user)]
    if wanted.sort is not None:
        rows = sort_rows(rows, COLUMNS, wanted.sort)
    return rows[: wanted.limit]


def _limit(count: int | None, every: bool, form: Format) -> int | None:
    if count is not None:
        return count
    return None if every or form in (Format.json, Format.csv) else _DEFAULT_COUNT


def _details(cmdline: bool, columns: str | None, sort: str | None) -> set[str]:
    """Return the per-process files that only some columns need."""
    named = f"{columns or ''},{(sort or '').removeprefix('-')}".split(",")
    wanted = {"userns"} | ({"cmdline", "cgroup"} & set(named))
    return wanted | {"cmdline"} if cmdline else wanted
