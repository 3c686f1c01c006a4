"""``oomlab apply``: write a suggestion's values to the running processes, or undo that."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError, SourceError
from .carry import carry_out
from .options import Format, OutputFormat

if TYPE_CHECKING:
    from ..writers.adj import Target


def apply(
    suggestion: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE]",
            help="What 'suggest --format json' printed (- for stdin).",
            show_default=False,
        ),
    ] = None,
    undo: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Restore the values saved in an undo file.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    undo_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where to save the old values; not overwritten."),
    ] = None,
    form: OutputFormat = Format.table,
) -> int:
    """Write suggested values to running processes; undo.

    Each process is told by pid and start time, each value is read back, and the old values are
    saved first: by default below ~/.local/state/oomlab. Exit status 1: not all was written.
    """
    if (suggestion is None) == (undo is None):
        raise InputError("name one file: apply SUGGESTION.json, or apply --undo FILE")
    targets = _undo_targets(undo) if undo is not None else _targets(suggestion or "-")
    return carry_out(targets, yes=yes, undo_file=undo_file, undoing=undo is not None, form=form)


def _undo_targets(path: Path) -> list[Target]:
    from ..writers.undo import load_undo

    return load_undo(path)


def _targets(name: str) -> list[Target]:
    import json

    from ..output.suggestion import SCHEMA
    from ..writers.undo import check_document, load_document, parse_targets

    if name == "-":
        try:
            body = check_document(json.load(sys.stdin), SCHEMA, "standard input")
        except (ValueError, RecursionError) as error:
            raise SourceError("standard input: not JSON") from error
    else:
        body = load_document(Path(name), SCHEMA)
    if body.get("impossible"):
        raise InputError("the suggestion says that no setting does it: there is nothing to write")
    return parse_targets(body, name)
