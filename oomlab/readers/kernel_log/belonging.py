"""Which lines an event may hold, and which begin another: the order in which a report comes."""

from __future__ import annotations

from ...report import OomReport
from .lines import Line

OPENERS = frozenset(
    {"trigger", "summary", "cut_summary", "announce", "kill", "columns", "state", "task_in"}
)
"""Lines that begin an event: its first, or one that stands in no other text."""
CUT_HEAD = OPENERS | {
    "meminfo", "totals", "node", "zone", "usage", "stats", "buddy", "count", "cpuset",
    "hugepages", "swap_free", "swap_total", "reserve", "swap_stats",
}  # fmt: skip
"""Lines that begin one whose head is lost, before a line that is known to be of an event."""
_AFTERWARDS = frozenset(
    {
        "kill", "announce", "reaper", "sharing", "group", "exiting", "pinned", "nobody", "panic",
        "elision", "lost",
    }
)  # fmt: skip
"""Lines that may follow the first kill line of an event."""
_SUMMARIES = ("summary", "cut_summary")
_BEGIN_ANEW = frozenset({*_SUMMARIES, "columns", "state", "task_in", "announce"})
"""Lines that after a kill can only belong to another event, whose head is missing."""
_OF_ANY_OOPS = frozenset(
    {"trace", "trace_head", "register", "cpu", "oldcpu", "hardware", "workqueue", "taint"}
)

_ONCE = frozenset({"columns", "swap_total", "cpu", "oldcpu"})


def is_over(report: OomReport) -> bool:
    """Tell whether an event has come to its kill, so that only its aftermath can follow."""
    return bool(report.victims) or report.no_killable or report.panic is not None


def belongs(report: OomReport, line: Line) -> bool:
    """Tell whether a line is the open event's: what every oops prints is not, after its head."""
    if is_over(report):
        return line.kind in _AFTERWARDS
    beyond_head = report.memory is not None or report.memcg is not None
    return not (beyond_head and line.kind in _OF_ANY_OOPS)


def begins_another(report: OomReport, line: Line) -> bool:
    """Tell whether a line can't belong to the open event any more."""
    kind = line.kind
    if kind == "trigger":
        return report.trigger is not None or is_over(report)
    if kind == "kill":
        return bool(report.victims) and not _is_more_of(report, line)
    if kind in _SUMMARIES and report.summary is not None:
        return True
    return kind in _BEGIN_ANEW and is_over(report)


def _is_more_of(report: OomReport, line: Line) -> bool:
    """Tell whether one more kill line belongs to an event that has one."""
    if report.group_memcg is not None:
        return True
    pid = int(line.match["pid"])
    if line.match["message"] == "Out of Memory" and not line.match["fields"].strip("."):
        # Up to 2.6.19 all tasks that share the victim's memory are killed, a line for each.
        return line.match["comm"] == report.victims[0].comm and report.announcements == []
    named = {a.pid for a in report.announcements} - {v.pid for v in report.victims}
    shares = any(f"process {pid} (" in note and "sharing" in note for note in report.notes)
    return pid in named or shares


def repeats(report: OomReport, line: Line) -> bool:
    """Tell whether a line stands once in a report and this one has it already: it is of another.

    Two reports that neither host nor caller nor clock tells apart are then mixed.
    """
    if line.kind not in _ONCE:
        return False
    if line.kind == "columns":
        return report.columns is not None
    if line.kind == "swap_total":
        return report.memory is not None and report.memory.swap_total_kib is not None
    return report.context is not None and report.context.pid != int(line.match["pid"])
