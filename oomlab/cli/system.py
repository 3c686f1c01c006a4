"""``oomlab system``: the machine's memory from the OOM killer's side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from .options import (
    Format,
    OutputFormat,
    Proc,
    load_source,
    print_json,
    print_table,
    refuse_log,
    screen,
    warn_gaps,
)

if TYPE_CHECKING:
    from ..output.system import System


def system(
    form: OutputFormat = Format.table,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Read a saved snapshot (- for stdin), not this machine.",
        ),
    ] = None,
    proc: Proc = None,
) -> None:
    """Show where the machine's memory is, and how far OOM is.

    The parts of MemTotal, what reclaim can take and what it can't, the reserve, MemAvailable
    against the old estimate, overcommit, and what drop_caches could free (it is never done).
    """
    from ..output import system as output

    if source is not None and proc is not None:
        raise InputError("--from and --proc contradict each other: give one of them")
    found = _saved(source) if source is not None else _live(proc)
    if form is Format.json:
        from ..output.system_document import system_document

        print_json(system_document(found))
    elif form is Format.table:
        sys.stdout.write(output.system_text(found, screen()))
    else:
        print_table(output.uses_table(found), form)


def _live(proc: Path | None) -> System:
    from ..output.system import System
    from ..readers.held import read_held
    from ..readers.machine import read_machine
    from ..readers.meminfo import read_meminfo
    from ..readers.procfs import PROC

    machine, gaps = read_machine(proc or PROC)
    warn_gaps(gap for gap in gaps if gap.what != "processes")
    root = proc or PROC
    return System(machine, read_meminfo(root), read_held(root))


def _saved(source: str) -> System:
    from ..output.system import System

    refuse_log(source, "a report has no meminfo", "shows the memory that it tells of")
    snapshot = load_source(source, None)
    if snapshot.meminfo is None:
        raise InputError(f"{source} holds no meminfo: oomlab snapshot saves it since 0.1")
    return System(snapshot.machine, snapshot.meminfo)
