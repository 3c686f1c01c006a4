"""``oomlab eras``: the rules of all kernels, and what differs between two of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from .options import (
    EventNumber,
    Format,
    From,
    OutputFormat,
    Proc,
    load_source,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from ..analysis.ranking import Ranking
    from ..snapshot import Snapshot

_DEFAULT_COUNT = 10


def eras(
    diff: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="OLD NEW", help="What changes here between two kernels."),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option("-n", "--number", min=0, help="With --diff: how many tasks."),
    ] = None,
    form: OutputFormat = Format.table,
    source: From = None,
    event: EventNumber = None,
    proc: Proc = None,
) -> None:
    """List the eras of the rules; which is this machine's.

    With --diff, say what an upgrade changes for its processes, with the ranking under each.
    """
    from ..output import eras as output

    snapshot = load_source(source, proc, event=event)
    if diff is not None:
        _diff(snapshot, diff, count, form)
        return
    own = _own(snapshot)
    rows = output.era_rows(own.era if own is not None else None)
    if form is Format.json:
        print_json(output.eras_document(rows, own))
    else:
        print_table(output.eras_table(rows, own), form)


def _own(snapshot: Snapshot) -> Ranking | None:
    from ..analysis.ranking import rank

    try:
        return rank(snapshot)
    except InputError:
        return None


def _diff(snapshot: Snapshot, releases: tuple[str, str], count: int | None, form: Format) -> None:
    from ..analysis.ranking import rank
    from ..analysis.upgrade import differences
    from ..output import change_columns
    from ..output import eras as output

    before, after = (rank(snapshot, kernel=release) for release in releases)
    found = differences(before.era, after.era, snapshot)
    if form is Format.json:
        limit = len(snapshot.tasks) if count is None else count
        print_json(output.diff_document(before, after, found, limit))
        return
    rows = change_columns.change_rows(before, after)
    if form is not Format.csv or count is not None:
        limit = _DEFAULT_COUNT if count is None else count
        rows = change_columns.worth_showing(rows, limit, frozenset())
    print_table(output.diff_table(before, after, found, rows), form)
