"""Options that several commands share, and what they load and print."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError, UnknownTaskError
from .early import WORKERS
from .notices import tell

if TYPE_CHECKING:
    from ..output.layout import Screen
    from ..output.tables import Table
    from ..snapshot import Gap, Snapshot


class Format(StrEnum):
    """How a listing is printed."""

    table = "table"
    json = "json"
    csv = "csv"
    markdown = "markdown"


From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="FILE",
        help="Read a saved snapshot or a kernel log (- for stdin), not this machine.",
    ),
]
EventNumber = Annotated[
    int | None,
    typer.Option("--event", metavar="N", min=1, help="Which event of the log that --from names."),
]
Proc = Annotated[
    Path | None,
    typer.Option(
        "--proc", metavar="ROOT", help="Read another /proc, such as a host's mounted here."
    ),
]
Kernel = Annotated[
    str | None,
    typer.Option("--kernel", metavar="RELEASE", help="Use that kernel's rules, for example 5.10."),
]
Cgroup = Annotated[
    str | None,
    typer.Option(
        "--cgroup",
        metavar="PATH|UNIT|CONTAINER",
        help="An OOM at that memory cgroup's limit, not the machine's.",
    ),
]
OutputFormat = Annotated[Format, typer.Option("--format", help="How to print the listing.")]
Columns = Annotated[
    str | None,
    typer.Option("--columns", metavar="LIST", help="Comma-separated columns; 'help' lists them."),
]


def load_source(
    source: str | None,
    proc: Path | None,
    details: Iterable[str] = (),
    event: int | None = None,
    *,
    cgroups: bool = False,
) -> Snapshot:
    """Load what --from and --proc name, and say on stderr what could not be read.

    With ``cgroups`` memory cgroups and the names of containers are read, too.
    """
    from ..readers.load import load, with_memcgs
    from ..readers.procfs import PROC

    if source is not None and proc is not None:
        raise InputError("--from and --proc contradict each other: give one of them")
    if source == "":
        raise InputError("--from names no file")
    if event is not None and source is None:
        raise InputError("--event N needs the log: --from FILE")
    # Rules with a bonus for root ask in which user namespace that is.
    details = {"userns", *details, *(("cgroup",) if cgroups else ())}
    snapshot = load(source, proc=proc or PROC, details=details, workers=WORKERS, event=event)
    if cgroups and source is None:
        snapshot = with_memcgs(snapshot, proc)
    report_gaps(snapshot)
    return snapshot


def refuse_log(source: str, why: str, does: str) -> None:
    """Raise InputError where --from names a kernel log, of which this question can't be asked."""
    from ..readers.kernel_log.load import may_be_log

    if source and may_be_log(source):
        raise InputError(
            f"{source} is no snapshot (oomlab snapshot -o FILE makes one); if it is a kernel log:"
            f" {why}; 'oomlab report {source}' {does}"
        )


@contextmanager
def tasks_of(source: str | None) -> Iterator[None]:
    """Say of a PID that no task has: where this machine is meant, that no such process runs."""
    try:
        yield
    except UnknownTaskError as error:
        if source is not None or error.pid is None:
            raise
        raise UnknownTaskError(f"no process {error.pid} is running", error.pid) from error


def memcg_path(snapshot: Snapshot, text: str | None) -> str | None:
    """Return the memory cgroup that --cgroup names, None where it is not given."""
    if text is None:
        return None
    from ..analysis.selectors import find_memcg

    return find_memcg(snapshot, text)


def report_gaps(snapshot: Snapshot) -> None:
    """Say on stderr what could not be read, a line each."""
    warn_gaps(snapshot.gaps)


def warn_gaps(gaps: Iterable[Gap]) -> None:
    """Say on stderr what could not be read: of the same processes for one reason in one line."""
    alike: dict[Gap, Gap] = {}
    for gap in gaps:
        key = gap._replace(what="") if gap.pids else gap
        known = alike.get(key)
        alike[key] = gap if known is None else gap._replace(what=f"{known.what}, {gap.what}")
    for gap in alike.values():
        tell(f"not read: {gap}")


def screen() -> Screen:
    """Return the terminal's width and whether to colour, or no width through a pipe."""
    from ..output.layout import Screen

    if not sys.stdout.isatty():
        return Screen()
    import shutil

    colour = "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    return Screen(columns=shutil.get_terminal_size().columns, colour=colour)


def print_table(table: Table[Any], form: Format) -> None:
    """Print a table in any format but JSON."""
    from ..output.render import FORMATS

    sys.stdout.write(FORMATS[form.value](table, screen()))


def print_json(document: Any) -> None:
    """Print a JSON document."""
    from ..output.render import render_json

    sys.stdout.write(render_json(document))


def print_columns(columns: Iterable[Any]) -> None:
    """Print what --columns may name, for ``--columns help``."""
    for column in columns:
        print(f"{column.name:12} {column.help}")
