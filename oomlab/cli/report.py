"""``oomlab report``: all out-of-memory events of kernel logs, or one of them in full."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from .logs import Logs
from .options import Format, Kernel, OutputFormat, print_table, screen

if TYPE_CHECKING:
    from ..analysis.events import Event
    from ..report import OomReport
    from .events import Selection

_DEFAULT_COUNT = 10
_NOT_ALL_READ = 2


def report(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE...", help="Kernel logs, plain or packed; - is stdin."),
    ] = None,
    event: Annotated[
        int | None, typer.Option("--event", "-e", min=1, help="Show this event in full.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="From here on: ISO 8601, or seconds of boot.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Up to here: ISO 8601, or seconds of boot.")
    ] = None,
    victim: Annotated[
        str | None, typer.Option(metavar="NAME|PID", help="Only where this process was killed.")
    ] = None,
    cgroup: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Only where a cgroup's path contains this.")
    ] = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Read all files in directories.")
    ] = False,
    journal: Annotated[
        bool, typer.Option("--journal", help="Read the systemd journal (runs journalctl).")
    ] = False,
    count: Annotated[
        int, typer.Option("-n", "--number", min=0, help="How many tasks of an event to show.")
    ] = _DEFAULT_COUNT,
    kernel: Kernel = None,
    form: OutputFormat = Format.table,
) -> None:
    """Read OOM reports in kernel logs: who died, why."""
    from ..kernel.eras import era_of
    from .events import Selection, check_times

    if bool(files) == journal:
        raise InputError("give log files, - for standard input, or --journal (one of them)")
    selection = Selection(since, until, victim, cgroup)
    check_times(selection)
    if kernel is not None:
        era_of(kernel)  # what is no release is said before any log is read
    logs = Logs(files or [], recursive=recursive, journal=journal)
    events = _understood(logs, selection, event, kernel)
    first = next(events, None)
    if first is None and logs.failed and not logs.read:
        raise typer.Exit(_NOT_ALL_READ)
    if first is None and event is not None:
        raise InputError(f"there is no event {event} here (oomlab report FILE lists them)")
    found = events if first is None else chain([first], events)
    if form is Format.json:
        from ..output.report_document import render_events

        sys.stdout.writelines(render_events(found))
    else:
        listed = _listed(found)
        if len(listed) == 1 and listed[0].report.line is None:
            # Shown in full, it is shown with its line: read again, this time counting.
            listed = _listed(_understood(logs, selection, event, kernel))
        _show(listed, form, count)
    if logs.failed:
        raise typer.Exit(_NOT_ALL_READ)


def _show(found: list[Event], form: Format, count: int) -> None:
    if form is Format.table and len(found) == 1:
        from ..output.event import event_text

        sys.stdout.write(event_text(found[0], screen(), count))
    else:
        from ..output.report import events_table

        print_table(events_table(found, sources=len({e.report.source for e in found})), form)


def _listed(events: Iterable[Event]) -> list[Event]:
    """Return the only event whole, or several with no more than a listing needs.

    A storm is of thousands, with a hundred tasks in each.
    """
    from ..analysis.events import for_listing

    found: list[Event] = []
    for event in events:
        if len(found) == 1:
            found[0] = for_listing(found[0])
        found.append(for_listing(event) if found else event)
    return found


def _understood(
    logs: Iterable[OomReport], selection: Selection, number: int | None, kernel: str | None
) -> Iterator[Event]:
    """Yield the events asked for; after ``number`` there is nothing to read."""
    from ..analysis.events import understand
    from ..readers.kernel_log.understood import sizes, snapshot_or_why
    from .events import is_chosen

    killed: dict[tuple[str, str | None], set[int]] = {}
    for index, one in enumerate(logs, 1):
        before = killed.setdefault((one.source, one.host), set())
        if number in (None, index) and is_chosen(one, selection):
            page_size, known, ram = sizes(one)
            yield understand(
                index,
                one,
                snapshot_or_why(one),
                page_size=page_size,
                page_size_known=known,
                ram_pages=ram,
                killed_before=frozenset(before),
                kernel=kernel,
            )
        if index == number:
            break
        before |= {victim.pid for victim in one.victims}
