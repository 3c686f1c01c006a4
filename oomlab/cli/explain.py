"""``oomlab explain``: what one process's badness is made of, and where its memory is."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError, UnknownTaskError
from ..units import parse_duration
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
    screen,
    tasks_of,
    warn_gaps,
)

if TYPE_CHECKING:
    from ..analysis.explain import Explanation

_DEFAULT_COUNT = 5
_MOST_SECONDS = 86_400
_DETAILS = ("cgroup", "cmdline", "oom_adj")


def explain(
    process: Annotated[str, typer.Argument(metavar="PID|NAME", help="The process.")],
    interval: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Measure fault rates for so long: 2s, 500ms, 1m."),
    ] = None,
    count: Annotated[
        int, typer.Option("-n", "--number", min=0, help="How many of the largest mappings.")
    ] = _DEFAULT_COUNT,
    kernel: Kernel = None,
    form: OutputFormat = Format.table,
    source: From = None,
    event: EventNumber = None,
    proc: Proc = None,
) -> None:
    """Explain a process's badness and where its memory is.

    By kind of mapping, what its death would free, page faults, VIRT, RES and SHR, the
    allocator, the scopes it may die in, who set oom_score_adj. A NAME does
    for a PID where exactly one process has it.
    """
    if source is not None and interval is not None:
        raise InputError("--interval needs the live process: a snapshot is one moment")
    seconds = None if interval is None else parse_duration(interval)
    if seconds is not None and seconds > _MOST_SECONDS:
        raise InputError("--interval is at most a day")
    one = (
        _saved(process, source, event, kernel)
        if source is not None
        else _live(process, proc, kernel, seconds)
    )
    warn_gaps(one.gaps)
    if form is Format.table:
        from ..output.explain import explain_text

        sys.stdout.write(explain_text(one, screen(), count))
    elif form is Format.json:
        from ..output.explain_document import explain_document

        print_json(explain_document(one, count))
    else:
        from ..output.explain_kinds import kinds_table

        if not one.totals:
            raise InputError("no mappings could be read: this format lists them by kind")
        print_table(kinds_table(one), form)


def _saved(process: str, source: str, event: int | None, kernel: str | None) -> Explanation:
    from ..analysis.explain import explain as explain_one
    from ..analysis.ranking import rank
    from ..analysis.whatif import find_task

    snapshot = load_source(source, None, _DETAILS, event, cgroups=True)
    task = find_task(snapshot, process)
    return explain_one(rank(snapshot, kernel=kernel), task.pid)


def _live(
    process: str, proc: Path | None, kernel: str | None, seconds: float | None
) -> Explanation:
    """Read the machine, then the process in depth, and its sizes once more at that moment."""
    from ..analysis.allocator import WANTED_SYMBOLS
    from ..analysis.explain import explain as explain_one
    from ..analysis.explain import shared_files
    from ..analysis.origin import unit_of
    from ..analysis.ranking import rank
    from ..analysis.whatif import find_task
    from ..readers.elf import read_elves
    from ..readers.mappings import read_address_space
    from ..readers.process import read_process_files, read_vitals
    from ..readers.procfs import PROC, ProcScan

    root = proc or PROC
    snapshot = load_source(None, proc, _DETAILS, cgroups=True)
    with tasks_of(None):
        pid = find_task(snapshot, process).pid
    before = None
    if seconds is not None:
        before = read_vitals(root, pid)
        time.sleep(seconds)
    space = read_address_space(root, pid)
    scan = ProcScan(
        root, page_size=snapshot.machine.page_size, details={"userns", "oom_score", *_DETAILS}
    )
    fresh = scan.read_some([pid])
    if not fresh:
        raise UnknownTaskError(f"process {pid} ended while it was read")
    tasks = tuple(fresh[0] if task.pid == pid else task for task in snapshot.tasks)
    ranking = rank(replace(snapshot, tasks=tasks), kernel=kernel)
    unit = unit_of(fresh[0])
    files = read_process_files(root, pid, shared_files(space), unit)
    elves, gaps = read_elves(root, space, WANTED_SYMBOLS)
    files = files._replace(elves=elves, gaps=(*files.gaps, *gaps))
    return explain_one(ranking, pid, space, files, before)
