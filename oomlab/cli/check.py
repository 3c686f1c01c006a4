"""``oomlab check``: the model against the kernel, process by process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from .options import (
    Format,
    Kernel,
    OutputFormat,
    Proc,
    load_source,
    print_json,
    print_table,
    refuse_log,
)

if TYPE_CHECKING:
    from ..analysis.agreement import Comparison
    from ..analysis.ranking import Ranking

_ATTEMPTS = 20
"""How often a process whose score disagrees is read again before it counts."""

DISAGREES = 1
"""Exit status where a score lies outside its bound."""


def check(
    kernel: Kernel = None,
    every: Annotated[bool, typer.Option("--all", "-a", help="List all processes.")] = False,
    form: OutputFormat = Format.table,
    sources: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="FILE", help="Check a saved snapshot; may be repeated."),
    ] = None,
    proc: Proc = None,
) -> None:
    """Compare the model with the kernel, task by task.

    The kernel's own oom_score of every process is the judge; a race is read again.

    Exit status 1 where any lies outside its stated bound.
    """
    from ..output import agreement as output

    if sources and len(sources) > 1 and form is Format.csv:
        raise InputError("--format csv takes one --from: its rows don't name their file")
    given: list[str | None] = [*sources] if sources else [None]
    checked = [_checked(source, proc, kernel) for source in given]
    if form is Format.json:
        documents = [output.check_document(ranking, found) for ranking, found in checked]
        print_json(documents[0] if len(documents) == 1 else documents)
    else:
        for ranking, found in checked:
            print_table(output.check_table(ranking, found, every=every), form)
    if any(one.verdict == "differs" for _, found in checked for one in found):
        raise typer.Exit(DISAGREES)


def _checked(
    source: str | None, proc: Path | None, kernel: str | None
) -> tuple[Ranking, list[Comparison]]:
    from ..analysis.agreement import compare_all
    from ..analysis.ranking import rank

    if source is not None:
        what = "a log has no oom_score of all processes to compare with"
        refuse_log(source, what, "compares the kernel's choice and the score that it printed")
    ranking = rank(load_source(source, proc), kernel=kernel)
    found = compare_all(ranking)
    if not found:
        raise InputError("the source holds no oom_score of the kernel's to compare with")
    if source is None:
        found = [_again(one, ranking, proc) if one.verdict == "differs" else one for one in found]
    return ranking, found


def _again(first: Comparison, ranking: Ranking, proc: Path | None) -> Comparison:
    """Read a process again until model and kernel agree or it has stood still disagreeing."""
    from ..analysis.agreement import compare_settled
    from ..readers.procfs import PROC, ProcScan

    scan = ProcScan(proc or PROC, page_size=ranking.snapshot.machine.page_size)
    pid = first.score.task.pid
    readings = (next(iter(scan.read_some([pid])), None) for _ in range(_ATTEMPTS))
    return compare_settled(first, readings, ranking)
