"""``oomlab rank --pid``: the scopes in which one process may die, and its place in each."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ..errors import InputError
from .options import Format, load_source, print_columns, print_json, print_table, tasks_of


class AskedTask(NamedTuple):
    """What the command line asks of one process."""

    pid: str
    cgroup: str | None
    columns: str | None
    kernel: str | None
    form: Format
    source: str | None
    event: int | None
    proc: Path | None


def print_standing(asked: AskedTask) -> None:
    """Print every scope in which the process is a candidate, the innermost first."""
    from ..output.standing import COLUMNS, standing_document, standing_rows, standing_table
    from ..output.tables import choose

    if asked.columns == "help":
        print_columns(COLUMNS)
        return
    if asked.cgroup is not None:
        raise InputError("--pid lists every scope of a process: leave --cgroup out")
    chosen = choose(COLUMNS, asked.columns) if asked.columns is not None else None
    from ..analysis.scopes import scopes_of
    from ..analysis.whatif import find_task

    snapshot = load_source(asked.source, asked.proc, (), asked.event, cgroups=True)
    with tasks_of(asked.source):
        task = find_task(snapshot, asked.pid)
    rows = standing_rows(snapshot, task, scopes_of(snapshot, task, kernel=asked.kernel))
    if asked.form is Format.json:
        print_json(standing_document(snapshot, task, rows))
        return
    print_table(
        standing_table(task, rows, chosen or list(COLUMNS), fixed=chosen is not None), asked.form
    )
