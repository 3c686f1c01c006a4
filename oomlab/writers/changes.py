"""Make a list of changes: look at all of them first, then write, and say what became of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from .adj import (
    Privilege,
    ProcessGoneError,
    RefusedError,
    Target,
    held_process,
    read_adj,
    write_adj,
)


class Outcome(NamedTuple):
    """What became of one change; ``why`` is empty where it was made."""

    target: Target
    why: str = ""
    gone: bool = False
    """The process has ended."""

    @property
    def done(self) -> bool:
        """Tell whether the value was written and read back."""
        return not self.why


def look(targets: Iterable[Target]) -> Iterator[Outcome]:
    """Yield for each change whether its process is there with the value expected."""
    for target in targets:
        try:
            with held_process(target) as directory:
                now = read_adj(directory)
        except ProcessGoneError as error:
            yield Outcome(target, str(error), gone=True)
            continue
        except RefusedError as error:
            yield Outcome(target, str(error))
            continue
        expected = f"its oom_score_adj is {now} now, not {target.before}"
        yield Outcome(target, "" if now == target.before else f"{expected}: it was set since")


def make(targets: Sequence[Target], privilege: Privilege) -> list[Outcome]:
    """Make the changes, those that lower first: they may be refused, and then none was made.

    A process that has ended is passed over; after a refusal nothing more is written.
    """
    outcomes: list[Outcome] = []
    refused = False
    for target in sorted(targets, key=lambda target: target.after >= target.before):
        if refused:
            outcomes.append(Outcome(target, "not tried after the refusal"))
            continue
        try:
            with held_process(target) as directory:
                write_adj(directory, target, privilege)
        except ProcessGoneError as error:
            outcomes.append(Outcome(target, str(error), gone=True))
        except RefusedError as error:
            outcomes.append(Outcome(target, str(error)))
            refused = True
        else:
            outcomes.append(Outcome(target))
    return outcomes
