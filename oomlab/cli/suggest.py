"""``oomlab suggest``: the smallest settings that protect, or an audit of the machine."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from .notices import tell
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
)
from .wish import Wished, same_maps, suggestion_for

if TYPE_CHECKING:
    from ..analysis.suggestion import Suggestion
    from ..snapshot import Snapshot

Texts = list[str]


class Form(StrEnum):
    """Whose form a suggestion is printed in."""

    choom = "choom"
    systemd = "systemd"
    docker = "docker"
    compose = "compose"
    kubernetes = "kubernetes"
    shell = "shell"


_SHOWN = 20
_IMPOSSIBLE = 1


def suggest(
    protect: Annotated[
        Texts | None,
        typer.Option(metavar="WHO", help="Who shall live: PID, name, unit, cgroup, user; with ,"),
    ] = None,
    sacrifice: Annotated[
        Texts | None,
        typer.Option(
            metavar="WHO",
            help="Who shall die before them; else all others but those at -500 or below.",
        ),
    ] = None,
    leave: Annotated[
        Texts | None,
        typer.Option("--except", metavar="WHO", help="Whose place does not matter: left alone."),
    ] = None,
    everyone: Annotated[
        bool, typer.Option("--everyone", help="All others, those at -500 or below too.")
    ] = False,
    allow_growth: Annotated[
        str | None,
        typer.Option(metavar="AMOUNT", help="Hold even if each grows so much: 50% or 2G."),
    ] = None,
    cgroup: Annotated[
        str | None,
        typer.Option(metavar="WHICH", help="In an OOM of that cgroup, unit or container."),
    ] = None,
    raise_only: Annotated[
        bool, typer.Option("--raise-only", help="Lower nothing: that needs CAP_SYS_RESOURCE.")
    ] = False,
    allow_unkillable: Annotated[
        bool, typer.Option("--allow-unkillable", help="-1000 may be suggested.")
    ] = False,
    snippet: Annotated[
        Form | None,
        typer.Option("--as", help="Print what to write where, in that form, to keep it."),
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Write the values, after asking; see oomlab apply.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --apply: don't ask.")] = False,
    undo_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --apply: where to save old values.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", "-a", help="List all changes.")] = False,
    kernel: Kernel = None,
    form: OutputFormat = Format.table,
    source: From = None,
    event: EventNumber = None,
    proc: Proc = None,
) -> int:
    """Suggest the smallest oom_score_adj changes that protect.

    Without --protect: audit the settings as they stand, the severest findings first.
    WHO: 812, postgres, nginx.service, a container, user:alice, /a/cgroup; several with commas.
    Nothing is changed on the machine without --apply.
    """
    if protect is None:
        given = (sacrifice, leave, allow_growth, cgroup, snippet, undo_file)
        switches = (apply, raise_only, allow_unkillable, everyone, yes)
        if any(one is not None for one in given) or any(switches):
            raise InputError("name whom to protect: oomlab suggest --protect postgres")
        _audit(_loaded(source, proc, event), kernel, form)
        return 0
    live = source is None and proc is None and kernel is None
    _check_applying(apply, live, yes or undo_file is not None)
    if everyone and sacrifice is not None:
        raise InputError("--sacrifice names who may die, --everyone means all: give one of them")
    if snippet is not None and (apply or form is not Format.table):
        raise InputError("--as is a format of its own: give neither --format nor --apply with it")
    snapshot = _loaded(source, proc, event)
    here = source is None and proc is None
    found = suggestion_for(
        snapshot,
        Wished(
            protect, sacrifice, leave, everyone, allow_growth, cgroup, raise_only, allow_unkillable
        ),
        kernel,
        same_maps(snapshot) if here else (),
    )
    if snippet is not None:
        return _print_snippet(found, snippet)
    all_rows = every or apply or form is not Format.table
    if not (apply and form is Format.json):
        _print(found, form, None if all_rows else _SHOWN, hint=not apply)
    if found.impossible:
        return _IMPOSSIBLE
    if apply and found.changes:
        return _write(found, yes, undo_file, form)
    return 0


def _check_applying(apply: bool, live: bool, how: bool) -> None:
    if apply and not live:
        raise InputError(
            "--apply writes to this machine by its own rules: not with --from, --proc or --kernel"
        )
    if how and not apply:
        raise InputError("--yes and --undo-file go with --apply")


def _audit(snapshot: Snapshot, kernel: str | None, form: Format) -> None:
    from ..analysis.audit import audit
    from ..analysis.ranking import rank
    from ..output.audit import audit_document, audit_table, audit_text

    ranking, findings = rank(snapshot, kernel=kernel), audit(snapshot, kernel=kernel)
    if form is Format.json:
        print_json(audit_document(ranking, findings))
    elif form is Format.table:
        sys.stdout.write(audit_text(ranking, findings, screen()))
    else:
        print_table(audit_table(ranking, findings), form)


def _loaded(source: str | None, proc: Path | None, event: int | None) -> Snapshot:
    snapshot = load_source(source, proc, {"cgroup", "cmdline"}, event)
    if source is not None:
        return snapshot
    from ..readers.load import with_memcgs

    return with_memcgs(snapshot, proc)


def _print(found: Suggestion, form: Format, count: int | None, *, hint: bool) -> None:
    from ..output.suggestion import suggestion_document, suggestion_table

    if form is Format.json:
        print_json(suggestion_document(found))
    else:
        print_table(suggestion_table(found, count, hint=hint), form)


def _print_snippet(found: Suggestion, form: Form) -> int:
    """Print it and return the exit status. Raises InputError where the source lacks something."""
    from ..output.snippets import SNIPPETS

    try:
        text = SNIPPETS[form.value](found)
    except InputError as error:
        if not found.impossible:
            raise
        tell(str(error))  # a form that has nothing but settings to offer
        return _IMPOSSIBLE
    sys.stdout.write(text)
    for caution in found.cautions:
        tell(f"note: {caution}")
    return _IMPOSSIBLE if found.impossible else 0


def _write(found: Suggestion, yes: bool, undo_file: Path | None, form: Format) -> int:
    from ..writers.adj import Target
    from .carry import carry_out

    targets = [
        Target(change.task.pid, change.task.start_ticks or 0, change.task.comm, *change[1:3])
        for change in found.changes
    ]
    shown = form is not Format.json
    return carry_out(targets, yes=yes, undo_file=undo_file, form=form, shown=shown)
