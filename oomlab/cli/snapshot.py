"""``oomlab snapshot``: save the machine's state for later or for somebody else."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .notices import tell
from .options import EventNumber, From, Proc, load_source


def snapshot(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Where to; .gz or .xz packs it; default stdout."
        ),
    ] = None,
    source: From = None,
    event: EventNumber = None,
    proc: Proc = None,
) -> None:
    """Save this machine's state to a file.

    Every command reads it with --from. Command lines are in it: keep it as secret as they are.
    """
    from ..readers.procfs import DETAILS
    from ..readers.saved import dump_snapshot, save_snapshot

    taken = load_source(source, proc, DETAILS, event, cgroups=True)
    if source is None:
        from dataclasses import replace

        from ..readers.meminfo import read_meminfo
        from ..readers.procfs import PROC

        taken = replace(taken, meminfo=read_meminfo(proc or PROC))
    if output is None or str(output) == "-":
        sys.stdout.write(dump_snapshot(taken).decode("ascii"))
    else:
        save_snapshot(taken, output)
        tell(f"saved {len(taken.tasks)} tasks to {output}")
