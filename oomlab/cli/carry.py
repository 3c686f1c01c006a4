"""Carrying out changes: shown, asked about, saved for undo, written, reported."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..output.escape import printable
from .notices import tell
from .options import Format, print_json, print_table

if TYPE_CHECKING:
    from ..writers.adj import Target
    from ..writers.changes import Outcome

NOT_ALL_DONE = 1


def carry_out(
    targets: Sequence[Target],
    *,
    yes: bool,
    undo_file: Path | None,
    undoing: bool = False,
    form: Format = Format.table,
    shown: bool = False,
) -> int:
    """Write values after asking; return the exit status: 0, or 1 where not all was done.

    ``shown``: the user sees the changes already. Raises InputError where there is nobody to ask,
    or where a value has been changed since the suggestion was made; SourceError where the undo
    file can't be saved.
    """
    from ..writers.adj import own_privilege
    from ..writers.changes import look, make
    from ..writers.undo import default_path, save_undo

    if not targets:
        raise InputError("there is nothing to write: no value needs to change")
    targets = _with_partners(targets)
    looked = list(look(targets))
    moved = [outcome for outcome in looked if not outcome.done and not outcome.gone]
    if moved and not undoing:
        first = moved[0]
        raise InputError(
            f"process {first.target.pid} ({first.target.comm}): {first.why}; "
            "nothing was written: make the suggestion anew"
        )
    ready = [outcome.target for outcome in looked if outcome.done]
    if not shown:
        _show(ready)
    privilege = own_privilege()
    lowered = sum(target.after < target.before for target in ready)
    if lowered and not privilege.capable and not undoing:
        tell(
            f"{lowered} of them would be lowered and CAP_SYS_RESOURCE is missing here, so "
            "the kernel may refuse; suggest --raise-only lowers nothing"
        )
    if ready and not yes and not _agreed(len(ready)):
        tell("nothing was written")
        return NOT_ALL_DONE
    path = None
    if ready:
        path = undo_file or default_path()
        save_undo(path, ready)
    made = make(ready, privilege)
    skipped = [outcome for outcome in looked if not outcome.done]
    return _report([*made, *skipped], path, form)


def _with_partners(targets: Sequence[Target]) -> list[Target]:
    """Add who is on a memory map with one of them: the kernel sets it, too (4.8 and newer).

    Raises InputError where two values are wanted on one map.
    """
    from ..writers.partners import partners_of

    partners = partners_of(targets)
    if partners:
        names = ", ".join(f"{one.pid} ({printable(one.comm)}) {one.after}" for one in partners[:5])
        more = f" and {len(partners) - 5} more" if len(partners) > 5 else ""
        tell(f"set with them, being on the same memory map: {names}{more}")
    return [*targets, *partners]


def _show(ready: Sequence[Target]) -> None:
    """Show on stderr what is about to be written: stdout is for the outcome."""
    from ..output.layout import Screen
    from ..output.outcomes import plan_table
    from ..output.render import render_table

    sys.stderr.write(render_table(plan_table(ready), Screen()))


def _agreed(number: int) -> bool:
    if not sys.stdin.isatty():
        raise InputError("nobody is there to ask (stdin is no terminal): give --yes")
    what = "this value" if number == 1 else f"these {number} values"
    print(f"Write {what} to the running processes? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _report(outcomes: list[Outcome], path: Path | None, form: Format) -> int:
    from ..output.outcomes import outcome_document, outcome_table

    undo_file = str(path) if path is not None else None
    if form is Format.json:
        print_json(outcome_document(outcomes, undo_file))
    else:
        print_table(outcome_table(outcomes, undo_file), form)
    return 0 if all(outcome.done for outcome in outcomes) else NOT_ALL_DONE
