"""Begin to read a large machine before the command line itself is imported.

On a machine with ten thousand processes the reading takes longest, and it is done by other
processes: half of it is over when this one is ready to parse its arguments. Only the plain
forms of ``oomlab rank`` begin early, and the search of a large log for ``oomlab report``;
whatever else is asked begins when it is understood.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from ..readers.sizes import SizeScan, begin_scan

if TYPE_CHECKING:
    from pathlib import Path

    from ..readers.kernel_log.survey import Survey

WORKERS = os.cpu_count() or 1
"""Processes that share the reading of a large /proc."""

_WITH_VALUE = {"-n", "--number", "--format"}
_ALONE = {"-c", "--cmdline"}

_PROC = "/proc"
_begun: list[Callable[[], SizeScan]] = []
_surveys: dict[str, "Survey"] = {}


def is_plain_rank(arguments: Sequence[str]) -> bool:
    """Tell whether the arguments surely ask for the first tasks of this machine's ranking."""
    if not arguments or arguments[0] != "rank":
        return False
    rest = list(arguments[1:])
    while rest:
        word = rest.pop(0)
        if word in _WITH_VALUE and rest:
            rest.pop(0)
        elif word not in _ALONE:
            return False
    return True


def begin(arguments: Sequence[str]) -> None:
    """Begin to read the machine if that is what the arguments will ask for."""
    if is_plain_rank(arguments):
        try:
            _begun.append(begin_scan(_PROC, WORKERS))
        except OSError:
            return  # without a /proc the command says so, when its arguments are understood
    elif arguments[:1] == ["report"]:
        _begin_survey(arguments[1:])


def _begin_survey(arguments: Sequence[str]) -> None:
    """Begin to search a log if one large file is named."""
    named = [word for word in arguments if os.path.isfile(word)]  # noqa: PTH113
    if len(named) != 1:
        return
    from ..readers.kernel_log.survey import begin_survey

    with suppress(OSError):
        # A plain listing shows no lines; whatever else is asked may.
        count_lines = len(arguments) > 1
        descriptor = os.open(named[0], os.O_RDONLY)
        survey = begin_survey(descriptor, WORKERS, count_lines=count_lines)
        if survey is not None:
            _surveys[named[0]] = survey


def take_survey(path: str) -> "Survey | None":
    """Return the survey of a log that was begun early, if there is one."""
    return _surveys.pop(path, None)


def take(proc: "Path | None") -> Callable[[], SizeScan] | None:
    """Return the scan that was begun early, or begin it now; None where it can't begin."""
    if _begun and proc is None:
        return _begun.pop()
    try:
        return begin_scan(str(proc or _PROC), WORKERS)
    except OSError:
        return None  # reading the machine will tell why
