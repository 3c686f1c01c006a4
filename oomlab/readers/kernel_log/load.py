"""One event of a log as a snapshot, for the commands that take ``--from``."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from ...errors import EventError, SnapshotFormatError, SourceError
from ...report import OomReport
from ...snapshot import Gap, Snapshot
from ..once import STDIN
from .json_lines import MESSAGE_KEYS
from .snapshots import report_snapshot
from .source import Reading, read_events, read_head

_LISTED = 30
"""Events that an error lists."""
_SNAPSHOT = re.compile(rb"\s*\{")
_JSON_LINES = re.compile(rb'"(?:%s)"\s*:' % "|".join(MESSAGE_KEYS).encode())


def may_be_log(source: str | Path) -> bool:
    """Tell by its head whether a source may be a log: it is no JSON object, or one for each line.

    Raises SourceError where it can't be read.
    """
    head = read_head(str(source))
    if not _SNAPSHOT.match(head):
        return bool(head)
    return b'"schema"' not in head and _JSON_LINES.search(head) is not None


def load_event(source: str | Path, number: int | None) -> Snapshot | None:
    """Return the snapshot of one event, or None where the log holds no event at all.

    What is damaged in the log is a gap of the snapshot. Raises EventError where it holds several
    and none is named, or not the one named, InputError where the event has no task table, and
    SourceError where the log is damaged and what is left of it holds no event.
    """
    damage: list[str] = []
    reports = list(read_events(str(source), Reading(damage.append)))
    if not reports:
        if damage:
            raise SourceError(f"{damage[0]}; no out-of-memory event")
        return None
    snapshot = report_snapshot(choose_event(reports, number, str(source)))
    gaps = tuple(Gap(what="log", why=why) for why in damage)
    return replace(snapshot, gaps=(*snapshot.gaps, *gaps))


def choose_event(reports: list[OomReport], number: int | None, name: str) -> OomReport:
    """Return the report that ``number`` (from 1) names, or the only one. Raises EventError."""
    shown = "standard input" if name == STDIN else name
    if number is None and len(reports) > 1:
        choices = [f"{n:>3}  {_in_short(report)}" for n, report in enumerate(reports, 1)]
        if len(choices) > _LISTED:
            choices[_LISTED:] = [f"and {len(choices) - _LISTED} more: oomlab report {name}"]
        raise EventError(
            f"{shown} holds {len(reports)} out-of-memory events: choose one with --event N",
            tuple(choices),
        )
    if number is not None and not 1 <= number <= len(reports):
        raise EventError(f"{shown} holds events 1 to {len(reports)}, no event {number}")
    return reports[(number or 1) - 1]


def _in_short(report: OomReport) -> str:
    """Return when an event was and who died, to tell it from the others."""
    time = report.time
    if time is None and report.uptime_seconds is not None:
        time = f"[{report.uptime_seconds:.6f}]"
    victims = report.victims
    who = f"{victims[0].pid} ({victims[0].comm})" if victims else "nobody killed"
    return f"{time or 'no time'}  {who}"


def no_source(source: str | Path, data: bytes | None = None) -> SnapshotFormatError:
    """Return the error for what is neither a snapshot nor a log with an event; it is ``data``."""
    shown = "standard input" if str(source) == STDIN else source
    what = ""
    if data is not None:
        what = "binary data, " if b"\0" in data else "text, " if data.strip() else "empty, "
    return SnapshotFormatError(
        f"{shown}: {what}neither a snapshot (of oomlab snapshot -o FILE) nor a kernel log with an "
        "out-of-memory event (of dmesg or journalctl -k)"
    )
