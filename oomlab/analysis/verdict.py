"""Was the kernel's choice the model's? And if not, why: the verdict on a report."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from ..kernel.badness import wrap_unsigned
from ..kernel.selection import Score
from ..report import OomReport, TaskRow
from .ranking import Ranking


class Verdict(NamedTuple):
    """Whom the model would have chosen, and how that compares with the kernel's choice.

    ``agrees`` is None where the report does not say whom the kernel chose.
    """

    pid: int | None
    comm: str | None
    badness: int | None
    agrees: bool | None
    why_not: str | None
    certain: bool = True
    """Whether nothing that the report leaves out could change the model's choice."""
    printed_score: int | None = None
    modelled_score: int | None = None


def judge(report: OomReport, ranking: Ranking, killed_before: Collection[int] = ()) -> Verdict:
    """Compare the ranking of a report's table with whom the kernel chose.

    ``killed_before`` are pids that earlier events of the same log killed: a process whose
    memory was already reaped is passed over.
    """
    first = ranking.victim
    chosen = chosen_pid(report)
    printed, modelled = printed_and_modelled(report, ranking)
    scores = Verdict(
        None, None, None, None, None, len(ranking.possible_victims) < 2, printed, modelled
    )
    if first is None:
        nobody = chosen is None and report.no_killable
        return scores._replace(agrees=True if nobody else None, why_not="no task could be killed")
    verdict = scores._replace(pid=first.task.pid, comm=first.task.comm, badness=first.badness)
    if chosen is None:
        return verdict._replace(why_not="the report does not say whom the kernel chose")
    if chosen in _same_process(report, first.task.pid):
        return verdict._replace(agrees=True, why_not=_sacrificed(report, chosen))
    if any(chosen in _same_process(report, s.task.pid) for s in ranking.possible_victims):
        why = f"the report does not show all that counts: the kernel's {chosen} may be first"
        return verdict._replace(why_not=why)
    why = _explain(report, ranking, first, chosen, killed_before)
    return verdict._replace(agrees=False, why_not=why)


def chosen_pid(report: OomReport) -> int | None:
    """Return the pid that the kernel chose: the announced one, not the child that died for it."""
    if report.announcements:
        return report.announcements[0].pid
    if report.summary is not None:
        return report.summary.pid
    return report.victims[0].pid if report.victims else None


def _same_process(report: OomReport, pid: int) -> set[int]:
    """Return a process's pid and tgid: the table prints the thread that still has the memory."""
    row = next((row for row in report.tasks if row.pid == pid), None)
    return {pid} if row is None or row.tgid is None else {pid, row.tgid}


def _sacrificed(report: OomReport, chosen: int) -> str | None:
    if report.victims and report.announcements and report.victims[0].pid != chosen:
        child = report.victims[0]
        return f"the kernel chose it too and killed its child {child.pid} in its place"
    return None


def printed_and_modelled(report: OomReport, ranking: Ranking) -> tuple[int | None, int | None]:
    """Return the score that the kernel printed of its choice, and the model's for the same task.

    3.5 to 5.0 print thousandths of the OOM's own totalpages, 32 bits of them.
    """
    printed = report.announcements[0].score if report.announcements else None
    # The allocating task is killed without being scored: its 0 says nothing.
    if printed is None or "allocating" in report.announcements[0].message:
        return None, None
    score = next((s for s in ranking if s.task.pid == report.announcements[0].pid), None)
    if score is None or score.badness is None or score.low != score.high:
        return printed, None
    facts = ranking.era.facts
    if facts.formula in ("permille", "legacy"):
        return printed, score.badness
    bits = ranking.snapshot.machine.word_bits
    total = ranking.scope.totalpages
    return printed, wrap_unsigned(wrap_unsigned(score.badness * 1000, bits) // (total or 1), 32)


def _explain(
    report: OomReport,
    ranking: Ranking,
    first: Score,
    chosen: int,
    killed_before: Collection[int],
) -> str:
    kill = [v.message or "" for v in report.victims] + [a.message for a in report.announcements]
    if any("allocating_task" in message for message in kill):
        return "vm.oom_kill_allocating_task is on: the kernel killed the task that asked"
    if any("No available memory" in message for message in kill):
        return "the allocation was bound to nodes: the kernel killed the task that asked"
    score = next((s for s in ranking if chosen in _same_process(report, s.task.pid)), None)
    if score is None:
        return f"the kernel's choice {chosen} is not in the task table"
    if not score.killable:
        return f"the model holds {chosen} for unkillable: {score.why_not}"
    if first.task.pid in killed_before:
        return f"{first.task.pid} was killed by an earlier event and is passed over"
    twin = _twin(report, first.task.pid)
    if twin is not None and twin != chosen and ranking.era.facts.vfork_skipped:
        return (
            f"{first.task.pid} shows the same memory as {twin}: a child in vfork, "
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
    unit = "pages" if ranking.era.facts.formula in ("pages", "signed") else "points"
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
