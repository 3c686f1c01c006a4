"""Whose memory it is: anonymous memory by command and by cgroup; the protected processes."""

from __future__ import annotations

from ...report import OomReport, TaskRow
from ...units import human
from .cause import Cause, is_share, size
from .figures import Figures
from .limits import owner_of

_SHOWN = 3


def anonymous(report: OomReport, figures: Figures) -> Cause | None:
    """Processes' own memory, summed by command and by cgroup."""
    pages = figures.anon_pages
    if pages is None or not is_share(figures, "anonymous", pages):
        return None
    names = ("active_anon", "inactive_anon", "shmem") if figures.is_machine else ("anon", "rss")
    evidence = [f"anonymous memory: {size(figures, pages)}", figures.words(*names)]
    evidence += by_command(report, figures.page_size) + by_cgroup(report)
    advice = "Processes simply use it all: let the largest use less, or give it more memory."
    return Cause("full of processes' own memory", tuple(filter(None, evidence)), advice, pages)


def by_command(report: OomReport, page_size: int) -> list[str]:
    """Return the commands whose processes hold most, a line each."""
    sums: dict[str, list[int]] = {}
    for row in report.processes:
        sums.setdefault(row.comm, []).append(_held(row))
    largest = sorted(sums.items(), key=lambda item: -sum(item[1]))[:_SHOWN]
    lines = [
        f"{name}: {human(sum(held) * page_size)}"
        + (f" in {len(held)} processes" if len(held) > 1 else "")
        for name, held in largest
        if sum(held)
    ]
    if lines and any(row.rss_anon_pages is None for row in report.processes):
        lines.append("(by RSS: what processes share is counted in each)")
    return lines


def _held(row: TaskRow) -> int:
    return (row.rss_anon_pages if row.rss_anon_pages is not None else row.rss_pages) or 0


def by_cgroup(report: OomReport) -> list[str]:
    """Return the cgroups that hold most, where the report tells of several (3.9 to 5.2)."""
    stats = report.memcg.stats if report.memcg is not None else {}
    if len(stats) < 2:
        return []
    held = {path: fields.get("rss", fields.get("anon", 0)) for path, fields in stats.items()}
    largest = sorted(held.items(), key=lambda item: -item[1])[:_SHOWN]
    return [
        f"{path}: {human(size)}" + (f" ({owner})" if (owner := owner_of(path)) else "")
        for path, size in largest
        if size
    ]


def protected(report: OomReport, figures: Figures) -> Cause | None:
    """The largest processes can hardly be killed."""
    total = sum(row.rss_pages or 0 for row in report.processes)
    kept = [row for row in report.processes if (row.oom_score_adj or 0) <= -900]
    held = sum(row.rss_pages or 0 for row in kept)
    # Half of all memory of processes: what is left to kill is then the smaller part.
    if not held or held * 2 < total:
        return None
    # Of no weight where processes hold next to nothing of what is full.
    if figures.total_pages and not is_share(figures, "protected", held):
        return None
    largest = max(kept, key=lambda row: row.rss_pages or 0)
    return Cause(
        "the largest processes are protected",
        (
            f"{len(kept)} processes at oom_score_adj -900 or less hold "
            f"{human(held * figures.page_size)} of {human(total * figures.page_size)}",
            f"largest: {largest.pid} ({largest.comm}) at {largest.oom_score_adj}",
        ),
        "Only small ones are left to kill, which frees little: protect less.",
        held,
    )
