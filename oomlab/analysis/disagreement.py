"""Why the kernel's choice is not the model's first, or why that can't be told."""

from __future__ import annotations

from collections.abc import Collection

from ..kernel.score import Score
from ..report import OomReport, TaskRow
from .ranking import Ranking


def same_process(report: OomReport, pid: int) -> set[int]:
    """Return a process's pid and tgid: the table prints the thread that still has the memory."""
    row = next((row for row in report.tasks if row.pid == pid), None)
    return {pid} if row is None or row.tgid is None else {pid, row.tgid}


def left_open(report: OomReport, ranking: Ranking, chosen: int, printed: int | None) -> str:
    """Return what the report leaves out, so that the kernel's choice may be the model's too."""
    if ranking.era.facts.formula == "legacy":
        lacking = "run time, CPU time, children and capabilities, which counted before 2.6.36"
    elif "swapents" not in (report.columns or ()):
        both = "swap" if ranking.era.facts.page_tables == "none" else "swap and page tables"
        lacking = f"{both}, for which its table has no column"
    else:
        lacking = "all that counts"
    bar = printed or 0
    rivals = [
        score
        for score in ranking.possible_victims
        if score.task.pid != chosen and (score.high is None or score.high >= bar)
    ]
    others = f"{len(rivals)} other{'' if len(rivals) == 1 else 's'}"
    why = f"the report does not show {lacking}"
    if printed is None:
        return f"{why}: it may be the kernel's {chosen}, or any of {others}"
    return (
        f"{why}: the kernel's {chosen} fits with its score {printed}, "
        f"but {others} may have had as much"
    )


def why_asker(report: OomReport) -> str | None:
    """Return why the task that asked for memory is the one to die, None where it is not."""
    said = [v.message or "" for v in report.victims] + [a.message for a in report.announcements]
    if any("allocating_task" in message for message in said):
        return "vm.oom_kill_allocating_task is on: the kernel killed the task that asked"
    if any("No available memory" in message for message in said):
        return "the allocation was bound to nodes: the kernel killed the task that asked"
    return None


def _by_program(report: OomReport) -> bool:
    return report.policy not in (None, "default")


def explain(
    report: OomReport,
    ranking: Ranking,
    first: Score,
    chosen: int,
    killed_before: Collection[int],
) -> str:
    """Return why the kernel chose another than the model's first."""
    if _by_program(report):
        return "a BPF program chose, not the kernel's badness"
    asker = why_asker(report)
    if asker is not None:
        return asker
    score = next((s for s in ranking if chosen in same_process(report, s.task.pid)), None)
    if score is None:
        lost = ", of which the beginning is lost" if report.header_is_lost else ""
        return f"the kernel's choice {chosen} is not in the task table{lost}"
    if not score.killable:
        return f"the model holds {chosen} for unkillable: {score.why_not}"
    if first.task.pid in killed_before:
        return f"{first.task.pid} was killed by an earlier event and is passed over"
    twin = _twin(report, first.task.pid)
    if twin == chosen and ranking.era.facts.vfork_skipped:
        return (
            f"{first.task.pid} shows the same memory as {twin}: it may be a child of it in vfork, "
            "which the kernel passes over"
        )
    return _by_numbers(ranking, first, score)


def _by_numbers(ranking: Ranking, first: Score, chosen: Score) -> str:
    reported = ranking.snapshot.reported
    adjs = {s.task.oom_score_adj for s in (first, chosen)}
    if (
        reported is not None
        and reported.totalpages_low != reported.totalpages_high
        and (len(adjs) > 1)
    ):
        return "totalpages is known only within bounds, and oom_score_adj weighs by it"
    if first.badness is None or chosen.badness is None:
        return "their memory is not known"
    ahead = first.badness - chosen.badness
    if ahead == 0:
        return "both are equal in the table, whose order need not be the order of the search"
    unit = "pages" if ranking.era.facts.in_pages else "points"
    return (
        f"it stands {ahead} {unit}"
        " ahead in the table, which is printed after the choice: memory moved, "
        "or the task was passed over (in vfork, or already reaped)"
    )


def _twin(report: OomReport, pid: int) -> int | None:
    """Return another process whose row shows the very same memory, if there is one."""

    def memory(row: TaskRow) -> tuple[int | None, ...]:
        return (
            row.total_vm_pages,
            row.rss_pages,
            row.pagetable_bytes,
            row.table_pages,
            row.swap_pages,
        )

    own = next((row for row in report.tasks if row.pid == pid), None)
    if own is None or not own.rss_pages:
        return None
    return next(
        (
            row.pid
            for row in report.tasks
            if row.pid != pid and row.tgid != own.tgid and memory(row) == memory(own)
        ),
        None,
    )
