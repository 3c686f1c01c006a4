"""What the tests of kernel logs share: the recorded logs, and reading bytes as a log."""

from __future__ import annotations

import io
import json
import lzma
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from oomlab.analysis.events import Event, understand
from oomlab.output.report_document import render_events
from oomlab.readers.kernel_log.scan import scan
from oomlab.readers.kernel_log.understood import sizes, snapshot_or_why
from oomlab.report import OomReport

ROOT = Path(__file__).parent.parent
FIXTURES = ROOT / "fixtures" / "kernel_log"
KERNELS = sorted(path.name.removesuffix(".log.xz") for path in FIXTURES.glob("*.log.xz"))
REPORTS = Path(os.environ.get("OOMLAB_REPORTS", ROOT.parent / "shared" / "reports"))


@cache
def recorded(kernel: str) -> bytes:
    """All logs recorded of one kernel, one after the other."""
    return lzma.open(FIXTURES / f"{kernel}.log.xz").read()


@cache
def expected(kernel: str) -> list[dict]:
    return json.loads((FIXTURES / f"{kernel}.json").read_text())


def read(data: bytes, source: str = "test") -> list[OomReport]:
    stream = io.BytesIO(data)
    return list(scan(stream.readinto, source))


@cache
def reports_of(kernel: str) -> list[OomReport]:
    """The reports of all logs of one kernel."""
    return read(recorded(kernel))


@cache
def events_of(kernel: str) -> list[Event]:
    """The events of all logs of one kernel, understood."""
    return understood(reports_of(kernel))


def understood(reports: list[OomReport]) -> list[Event]:
    events, before = [], set()
    for index, report in enumerate(reports, 1):
        page_size, known, ram = sizes(report)
        events.append(
            understand(
                index,
                report,
                snapshot_or_why(report),
                page_size=page_size,
                page_size_known=known,
                ram_pages=ram,
                killed_before=frozenset(before),
            )
        )
        before |= {victim.pid for victim in report.victims}
    return events


def event_of(data: bytes) -> Event:
    """The only event of a log."""
    (event,) = understood(read(data))
    return event


def one_event(kernel: str, recording: str) -> bytes:
    """The lines of one recording's first event, from its trigger line on."""
    place = next(i for i, e in enumerate(expected(kernel)) if e["recording"] == recording)
    lines = recorded(kernel).splitlines(keepends=True)
    reports = reports_of(kernel)
    end = reports[place + 1].line - 1 if place + 1 < len(reports) else len(lines)
    return b"".join(lines[reports[place].line - 1 : end])


def report_document(events: Iterable[Event]) -> dict[str, Any]:
    """The JSON document of events, as whoever reads the printed text has it."""
    return json.loads("".join(render_events(events)))
