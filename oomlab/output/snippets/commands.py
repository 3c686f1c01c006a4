"""Commands that set the values of the running processes: choom(1), or a script of one's own."""

from __future__ import annotations

from ...analysis.suggestion import Suggestion
from ...errors import InputError
from .text import comment

_SET_ADJ = """\
# Sets one process's oom_score_adj: PID, start time (field 22 of its stat), value.
set_adj() {
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || { echo "$1 has ended" >&2; return 1; }
    # Behind the name, which may hold anything, comes field 3.
    # shellcheck disable=SC2086
    set -- "$1" "$2" "$3" ${stat##*) }
    [ "${23}" = "$2" ] || { echo "$1 is another process by now" >&2; return 1; }
    echo "$3" > "/proc/$1/oom_score_adj"
}
"""


def choom_commands(found: Suggestion) -> str:
    """Return a choom command for each change."""
    _check_possible(found)
    lines = comment("For the running processes only: a process that is started anew is as before.")
    for change in found.changes:
        lines += [
            f"choom -p {change.task.pid} -n {change.after}"
            f"{_remark(change.task.comm, change.before)}"
        ]
    return "\n".join(lines) + "\n"


def shell_script(found: Suggestion) -> str:
    """Return a script for any sh that sets the values, but to no process with a recycled pid."""
    _check_possible(found)
    lines = ["#!/bin/sh", *comment("For the running processes only.")]
    lines += _SET_ADJ.splitlines()
    lines.append("failed=0")
    for change in found.changes:
        start = change.task.start_ticks
        if start is None:
            raise InputError("the source does not tell start times: --as choom does without them")
        lines.append(
            f"set_adj {change.task.pid} {start} {change.after} || failed=1"
            f"{_remark(change.task.comm, change.before)}"
        )
    lines.append("exit $failed")
    return "\n".join(lines) + "\n"


def _remark(comm: str, before: int) -> str:
    (line,) = comment(f"{comm}, was {before}")
    return f"  {line}"


def _check_possible(found: Suggestion) -> None:
    if found.impossible:
        raise InputError(
            f"no setting does it: {found.impossible[0]}; --as systemd or docker shows a limit"
        )
