"""``oomlab report``: all out-of-memory events of kernel logs, or one of them in full."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from .options import Format, OutputFormat, print_json, print_table, screen

if TYPE_CHECKING:
    from ..analysis.events import Event
    from ..report import OomReport

_DEFAULT_COUNT = 10


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
    form: OutputFormat = Format.table,
) -> None:
    """Read OOM reports in kernel logs: who died, why."""
    from ..output import report as output
    from .events import Selection, is_chosen

    if bool(files) == journal:
        raise InputError("give log files, - for standard input, or --journal (one of them)")
    selection = Selection(since, until, victim, cgroup)
    found = [
        e
        for e in _understood(_reports(files or [], recursive, journal))
        if is_chosen(e.report, selection)
    ]
    if event is not None:
        found = [e for e in found if e.index == event]
        if not found:
            raise InputError(f"there is no event {event} here (oomlab report FILE lists them)")
    if form is Format.json:
        from ..output.report_document import report_document

        print_json(report_document(found))
    elif form is Format.table and len(found) == 1:
        from ..output.event import event_text

        sys.stdout.write(event_text(found[0], screen(), count))
    else:
        print_table(output.events_table(found, sources=len({e.report.source for e in found})), form)


def _reports(files: list[str], recursive: bool, journal: bool) -> Iterator[OomReport]:
    from ..readers.kernel_log.source import find_logs, read_events, read_journal
    from .events import warn

    if journal:
        yield from read_journal(warn)
        return
    for path in find_logs(files, recursive=recursive):
        yield from read_events(path, warn)


def _understood(reports: Iterator[OomReport]) -> Iterator[Event]:
    from ..analysis.events import understand
    from ..readers.kernel_log.understood import sizes, snapshot_or_why

    killed: dict[tuple[str, str | None], set[int]] = {}
    for index, one in enumerate(reports, 1):
        before = killed.setdefault((one.source, one.host), set())
        page_size, known, ram = sizes(one)
        yield understand(
            index,
            one,
            snapshot_or_why(one),
            page_size=page_size,
            page_size_known=known,
            ram_pages=ram,
            killed_before=frozenset(before),
        )
        before |= {victim.pid for victim in one.victims}
