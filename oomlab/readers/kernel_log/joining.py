"""Lines that a mail program or a terminal broke: joined where the whole is a report line.

Nothing is joined by a guess: the joined text must match its pattern to the last character.
"""

from __future__ import annotations

import re

from ...report import OomReport
from .handling import Match
from .lines import Line, classify, mended
from .table_lines import COLUMNS, row_match

EXTENDABLE = frozenset(
    {
        "kill", "trigger", "node", "zone", "totals", "stats", "hardware", "register", "cpu",
        "oldcpu", "swap_stats", "summary", "cut_summary", "announce", "reaper", "trace_head",
        "task_in", "row", "limit_reached",
    }
)  # fmt: skip
"""Lines that are whole as they stand, and may yet go on in the next."""
_ANYTHING = frozenset(
    {
        "hardware", "register", "reaper", "swap_stats", "cpu", "oldcpu", "trace_head", "task_in",
        "row", "limit_reached",
    }
)  # fmt: skip
"""Lines that end in free text: only one that was full goes on in the next."""
_FULL_LINE = 62
"""A mail program wraps at 66 to 80 columns, before a word that would not fit."""
_MOST_WAYS = 16
"""So many ways to put broken lines together are tried at a time."""
_MOST_PIECES = 16
"""The kernel's own lines have up to 1024 bytes."""
_MOST_CHARS = 1 << 14
"""Four of the longest paths: what is longer is no line of the kernel's that was broken."""
_BEGINNING = re.compile(
    r"Node \d|\[|\w+ (?:free|per)|\w+: *\d+\*|\w*ctive|unev|slab|mapped|free|Swap|Total|Free|Mem"
    r"|Task|oom|Out of|No av|Kill|CPU|P[Ii][Dd]|Hardw|hugep|lowmem|Call|R[A-Z]|Code|Work|[km]+em"
    r"|swap|\d+ "
)
"""How lines of a report begin, but for those that begin with a task's name."""
_COMM_BYTES = 15


def fitted(line: Line, report: OomReport | None) -> Line:
    """Return a row with the match by its table's own columns, where it fits them."""
    if report is None or report.columns is None:
        return line
    match = row_match(report.columns, line.match)
    return line if match is None else Line(line.kind, match)


def is_complete(line: Line, report: OomReport | None) -> bool:
    """Tell whether nothing is left over of a line, and a row fits the table it stands in."""
    if line.leftover:
        return False
    if line.kind == "columns":
        # Else a name that was broken would be taken for two.
        return all(name in COLUMNS for name in line.match["columns"].split())
    if line.kind != "row" or report is None or report.columns is None:
        return True
    match = row_match(report.columns, line.match)
    return match is not None and is_whole_row(match)


def is_whole_row(match: Match) -> bool:
    """Tell whether the match of a row (``match_row``) has a name at its end, and no more."""
    name = match[match.re.groups]
    return (
        name is not None
        and len(name) <= _COMM_BYTES
        and (name.isascii() or len(name.encode("utf-8", "surrogateescape")) <= _COMM_BYTES)
    )


def read_whole(text: str, report: OomReport | None) -> Line | None:
    """Return the complete line that ``text`` is, mended where that makes it one."""
    line = classify(text)
    if line is not None and is_complete(line, report):
        return line
    repaired = mended(text)
    line = classify(repaired) if repaired != text else None
    return line if line is not None and is_complete(line, report) else None


def join(
    texts: list[str], line: Line | None, report: OomReport | None, columns: int
) -> tuple[Line | None, int]:
    """Return the longest run of lines that is one report line, and how many lines it took.

    ``line`` is what the first of them is alone, ``columns`` how wide its wrapping was.
    """
    alone = line is not None and is_complete(line, report)
    if (alone and line is not None and line.kind not in EXTENDABLE) or not _may_begin(texts, line):
        return line, 1
    best, used, tried = line, 1, [(0, "", texts[0])]
    for count, text in enumerate(texts[1:_MOST_PIECES], 2):
        if len(tried[0][2]) + len(text) > _MOST_CHARS:
            break
        width = len(texts[count - 2]) + len(text.split(None, 1)[0]) + (columns if count == 2 else 0)
        # Broken at a blank, or anywhere: mostly all alike, but not always.
        tried = sorted(
            (changes + (count > 2 and blank != before), blank, whole + blank + text)
            for changes, before, whole in tried
            for blank in (" ", "")
        )[:_MOST_WAYS]
        tried.sort(key=lambda way: (way[0], way[1] == ""))
        ways = [(way, one) for way in tried if (one := read_whole(way[2], report)) is not None]
        if not ways:
            continue
        way, found = max(ways, key=lambda pair: _likelihood(pair[1]))
        if alone and found.kind in _ANYTHING and width < _FULL_LINE:
            break
        best, used, tried = found, count, [way]
    return best, used


def _likelihood(line: Line) -> tuple[bool, bool]:
    """Tell how well broken lines were joined: a path takes in any text, and few have blanks."""
    told = line.match.groupdict()
    paths = (told.get(name) for name in ("oom", "task", "path", "memcg"))
    return told.get("memcg") is not None, not any(" " in path for path in paths if path)


def _may_begin(texts: list[str], line: Line | None) -> bool:
    """Tell whether something of a report may begin with the first of these lines."""
    if line is not None or _BEGINNING.match(texts[0]):
        return True
    return any(word in text for text in texts[:2] for word in ("oom-killer:", "cpuset="))
