"""Begin to read a large machine before the command line itself is imported.

On a machine with ten thousand processes the reading takes longest, and it is done by other
processes: half of it is over when this one is ready to parse its arguments. Only the plain
forms of ``oomlab rank`` begin early; whatever else is asked begins when it is understood.
"""

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OomlabError

if TYPE_CHECKING:
    from ..snapshot import Snapshot

WORKERS = os.cpu_count() or 1
"""Processes that share the reading of a large /proc."""

_WITH_VALUE = {"-n", "--number", "--format"}
_ALONE = {"-c", "--cmdline"}

_begun: "list[Callable[[], Snapshot]]" = []


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


def begin_sizes(proc: Path | None) -> "Callable[[], Snapshot]":
    """Begin to read the sizes of all processes; the function returned has them."""
    from ..readers.procfs import PROC, begin_snapshot

    return begin_snapshot(proc or PROC, details=(), workers=WORKERS, sizes_only=True)


def begin(arguments: Sequence[str]) -> None:
    """Begin to read the machine if that is what the arguments will ask for."""
    if is_plain_rank(arguments):
        # Without a /proc the command itself says so, when its arguments are understood.
        with contextlib.suppress(OomlabError):
            _begun.append(begin_sizes(None))


def take(proc: Path | None) -> "Callable[[], Snapshot]":
    """Return the reading that was begun early, or begin it now."""
    return _begun.pop() if _begun and proc is None else begin_sizes(proc)
