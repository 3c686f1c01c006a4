"""Reports with their snapshots: what the commands load."""

from __future__ import annotations

from ...errors import InputError
from ...report import OomReport
from ...snapshot import Snapshot
from .pagesize import find_page_size
from .snapshots import report_snapshot
from .totals import ram_pages


def snapshot_or_why(report: OomReport) -> Snapshot | str:
    """Return the report's snapshot, or the sentence that says why there is none."""
    try:
        return report_snapshot(report)
    except InputError as error:
        return str(error)


def sizes(report: OomReport) -> tuple[int, bool, int | None]:
    """Return the page size in bytes, whether the report tells it, and RAM in pages."""
    size = find_page_size(report)
    return size.size_bytes, size.evidence is not None, ram_pages(report, size.size_bytes)
