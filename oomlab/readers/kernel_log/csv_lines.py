"""Rows of CSV with a kernel line in one field, as log stores export them."""

from __future__ import annotations

import re

from .json_lines import Message
from .lines import classify

_STAMPED = re.compile(r"\[ *\d{1,10}\.\d{6}\] ")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d.*|1\d{9}(?:\d{3}){0,3}")


def read_csv_line(line: str) -> Message | None:
    """Return the kernel line in a row with a quoted field after others; None where it is none."""
    if not line.endswith('"') or ',"' not in line:
        return None
    import csv  # for the few logs that are CSV

    try:
        fields = next(csv.reader([line], strict=True))
    except (csv.Error, StopIteration):
        return None
    text = max(fields, key=lambda field: (_rank(field), len(field)))
    time = next((field for field in fields if _TIME.fullmatch(field)), None)
    return Message([text], time, None) if _rank(text) else None


def _rank(field: str) -> int:
    """Tell how likely a field is the kernel's line: certainly, perhaps, not."""
    if _STAMPED.search(field) is not None:
        return 2
    return int(classify(field.strip()) is not None)
