"""Read the events of a surveyed file, in turns with a helper.

The blocks that matter are read in groups, so far apart that neither a line nor an event nor a look
back reaches from one into the next. So each is read from a fresh start, and it makes no difference
by whom; where one does reach into the next, both are read here, one after the other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from ...report import OomReport
from ..forked import start_worker
from .scan import LOOK_BACK_BYTES, MAX_LINE_BYTES, Scanner
from .survey import Block, Survey

_REACH_BYTES = 2 * MAX_LINE_BYTES + LOOK_BACK_BYTES
"""From a block on, no more before it is looked at than this."""
_APART_BYTES = 2 * _REACH_BYTES
_MOST_HELPED = 16
"""A larger group is read here, event by event: a helper tells all of one at once."""
_TURN = 3
"""Of so many groups one is read here: what the events mean is worked out here, too."""
_MOST_AT_ONCE = 1024
"""Blocks of a group: a log that is full of events is read as it is searched."""
_LONG_BYTES = 1 << 25
"""After so much without a mark every event has ended, and no group waits for more."""
_F_SETPIPE_SZ = 1031
_PIPE_BYTES = 1 << 20
"""So the helper need not wait until what it told is taken."""

Tell = Callable[[int], None]


class Group(NamedTuple):
    """Blocks near each other: the first and the last have marks."""

    place: int
    """Where the first block begins."""
    lines: int
    """Lines before it."""
    blocks: list[Block]
    end: int
    """Where the next group begins, or the survey ends."""


def scan_surveyed(survey: Survey, source: str, tell: Tell) -> Iterator[OomReport]:
    """Yield the events of a file, reading only what its survey says may matter.

    What was written to the file since the survey began is read too. ``tell`` takes how many
    bytes are done. Where the survey does not count lines, no event's line is known. Where it has
    several workers, a helper reads too.
    """
    for report in _Turns(survey, source, tell).events():
        if not survey.counts_lines:
            report.line = None
        yield report


def groups(survey: Survey) -> Iterator[Group | int]:
    """Yield the groups of a file, and in the end an empty one where the survey ends.

    And now and then, in between, how far there is none.
    """
    place = lines = first = first_lines = quiet_from = 0
    blocks: list[Block] = []
    quiet: list[Block] = []
    for block in survey.blocks():
        quiet_bytes = place - quiet_from
        if block.marked:
            if blocks and (quiet_bytes > _APART_BYTES or len(blocks) >= _MOST_AT_ONCE):
                yield Group(first, first_lines, blocks, place)
                blocks = []
            if not blocks:
                first, first_lines, quiet = place, lines, []
            blocks += [*quiet, block]
            quiet = []
        elif quiet_bytes >= _LONG_BYTES:
            if blocks:
                yield Group(first, first_lines, blocks, place)
            yield place
            blocks, quiet, quiet_from = [], [], place
        elif blocks and quiet_bytes <= _APART_BYTES:
            quiet.append(block)
        place = min(place + survey.block_bytes, survey.size)
        lines += block.newlines
        if block.marked:
            quiet_from = place
    if blocks:
        yield Group(first, first_lines, blocks, place)
    yield Group(place, lines, [], place)


class _Turns:
    """Reads the groups of one file in order."""

    def __init__(self, survey: Survey, source: str, tell: Tell) -> None:
        self._survey, self._source, self._tell = survey, source, tell
        self._done = 0
        self._helper: _Helper | None = None
        self._helped: set[int] = set()
        """Where the groups begin that the helper was given."""
        self._reaching: Scanner | None = None
        """Of the group before, where it reaches into the next."""

    def events(self) -> Iterator[OomReport]:
        """Yield the events of all groups, and of what was written to the file meanwhile."""
        following = groups(self._survey)
        try:
            # The helper begins when something was read here: with most patterns compiled.
            batch = self._next_batch(following, helped=False)
            while batch:
                ahead = self._read_ahead(batch)
                after = self._next_batch(following, helped=True)
                for group in batch:
                    if group.place in self._helped:
                        yield from self._from_helper(group)
                    elif ahead is not None and group is batch[-1] and self._reaching is None:
                        scanner, reports = ahead
                        yield from reports
                        self._leave(scanner, group)
                    else:
                        yield from self._read_here(group)
                    self._advance(group.end)
                batch = after
        finally:
            if self._helper is not None:
                self._helper.close()

    def _next_batch(self, following: Iterator[Group | int], *, helped: bool) -> list[Group]:
        """Return the next groups; if helped, the helper was given all but the last of a batch."""
        batch: list[Group] = []
        for one in following:
            if isinstance(one, Group):
                batch.append(one)
            elif not batch:
                self._advance(one)
            if len(batch) == _TURN or (batch and not isinstance(one, Group)):
                break
        for group in filter(_is_small, batch[:-1] if helped and self._is_shared(batch) else ()):
            if self._helper is None:
                self._helper = _Helper(self._survey, self._source)
            self._helper.give(group)
            self._helped.add(group.place)
        return batch

    def _is_shared(self, batch: list[Group]) -> bool:
        """Tell whether a batch is read in turns: a whole one, where there are CPUs to share."""
        return len(batch) == _TURN and self._survey.workers > 1

    def _read_ahead(self, batch: list[Group]) -> tuple[Scanner, list[OomReport]] | None:
        """Read a batch's last group while the helper reads the others; None where nobody does."""
        if not self._is_shared(batch) or not _is_small(batch[-1]):
            return None
        scanner = new_scanner(self._survey, self._source)
        return scanner, list(read_group(scanner, self._survey, batch[-1]))

    def _from_helper(self, group: Group) -> Iterator[OomReport]:
        assert self._helper is not None
        self._helped.remove(group.place)
        told = self._helper.take()
        # One that reaches into the next is read again: the next one goes on from its scanner.
        if told is None or told.reaches or self._reaching is not None:
            yield from self._read_here(group)
        else:
            yield from told.reports

    def _read_here(self, group: Group) -> Iterator[OomReport]:
        scanner = self._reaching or new_scanner(self._survey, self._source)
        yield from read_group(scanner, self._survey, group, self._advance)
        if not group.blocks:
            yield from _read_grown(scanner, self._survey, group)
        self._leave(scanner, group)

    def _leave(self, scanner: Scanner, group: Group) -> None:
        self._reaching = scanner if _reaches(scanner, group) else None

    def _advance(self, place: int) -> None:
        if place > self._done:
            self._done = place
            self._tell(place)


def new_scanner(survey: Survey, source: str) -> Scanner:
    """Return a scanner of the file at a fresh start."""
    descriptor = survey.descriptor

    def read_at(place: int, count: int) -> bytes:
        return os.pread(descriptor, count, place)

    return Scanner(source, survey.block_bytes, read_at)


def read_group(
    scanner: Scanner, survey: Survey, group: Group, tell: Tell | None = None
) -> Iterator[OomReport]:
    """Yield the events that end before the next group."""
    place, lines = group.place, group.lines

    def take(end: int) -> None:
        room = scanner.room()[: end - place]
        scanner.take(os.preadv(survey.descriptor, [room], place))

    for block in group.blocks:
        end = min(place + survey.block_bytes, group.end)
        if block.marked or scanner.wants_more:
            scanner.go_to(place, lines)
            take(end)
            yield from scanner.finished()
        place = end
        lines += block.newlines
        if tell is not None:
            tell(place)
    while place < group.end and scanner.wants_more:
        end = min(place + survey.block_bytes, group.end)
        take(end)
        yield from scanner.finished()
        place = end


def _read_grown(scanner: Scanner, survey: Survey, last: Group) -> Iterator[OomReport]:
    """Yield what was written since the survey began, and what ends with the file."""
    if os.fstat(survey.descriptor).st_size > last.end:
        scanner.go_to(last.place, last.lines)
        while count := os.preadv(survey.descriptor, [scanner.room()], scanner.place):
            scanner.take(count)
            yield from scanner.finished()
    scanner.close()
    yield from scanner.finished()


def _is_small(group: Group) -> bool:
    return 0 < len(group.blocks) <= _MOST_HELPED


def _reaches(scanner: Scanner, group: Group) -> bool:
    """Tell whether what was read of a group may bear on how the next one is read."""
    return scanner.wants_more or scanner.used > group.end - _REACH_BYTES


class _Told(NamedTuple):
    """What the helper tells of a group."""

    reports: list[OomReport]
    reaches: bool


class _Helper:
    """A process that reads groups and tells their events in order.

    Not for a program with threads: it forks. Where it fails its groups are read here.
    """

    def __init__(self, survey: Survey, source: str) -> None:
        import pickle  # for large logs with several events only

        taking, giving = os.pipe()

        def work(telling: int) -> None:
            os.close(giving)
            survey.leave()
            with os.fdopen(taking, "rb") as given, os.fdopen(telling, "wb") as told:
                while True:
                    try:
                        group = pickle.load(given)
                    except EOFError:
                        return
                    scanner = new_scanner(survey, source)
                    reports = list(read_group(scanner, survey, group))
                    pickle.dump(_Told(reports, _reaches(scanner, group)), told)
                    told.flush()

        self._pid, told = start_worker(work)
        os.close(taking)
        with suppress(OSError, ImportError):
            from fcntl import fcntl

            fcntl(told, _F_SETPIPE_SZ, _PIPE_BYTES)
        self._pickle = pickle
        self._giving: Any = os.fdopen(giving, "wb")
        self._told: Any = os.fdopen(told, "rb")

    def give(self, group: Group) -> None:
        """Have it read a group."""
        with suppress(BrokenPipeError):
            self._pickle.dump(group, self._giving)
            self._giving.flush()

    def take(self) -> _Told | None:
        """Return what it tells of the first group not taken yet; None where it can't."""
        try:
            told: _Told = self._pickle.load(self._told)
        except (EOFError, self._pickle.UnpicklingError):
            return None
        return told

    def close(self) -> None:
        """End it, whether it is done or not."""
        self._told.close()
        with suppress(BrokenPipeError):
            self._giving.close()
        os.waitpid(self._pid, 0)
