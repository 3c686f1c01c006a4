"""Was the kernel's choice the model's? And if not, why: the verdict on a report."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from ..kernel.badness import wrap_unsigned
from ..kernel.score import Score
from ..kernel.selection import scorer
from ..report import OomReport
from .disagreement import explain, left_open, not_listed, same_process, why_asker
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
    modelled_range: tuple[int, int] | None = None
    """Where the report leaves a part of it out: the least and the most it can have been."""


_NOT_TOLD = "the report does not say whom the kernel chose"
_PANICKED = "the kernel panicked before it chose: vm.panic_on_oom is set"
_NOBODY = (
    "the kernel found nobody that it may kill, for a reason that the table does not show "
    "(memory reaped before, a vfork)"
)


def judge(report: OomReport, ranking: Ranking, killed_before: Collection[int] = ()) -> Verdict:
    """Compare the ranking of a report's table with whom the kernel chose.

    ``killed_before`` are pids that earlier events of the same log killed: a process whose
    memory was already reaped is passed over.
    """
    first, chosen = ranking.victim, report.chosen_pid
    verdict = _scores(report, ranking)
    if first is None:
        nobody = chosen is None and report.no_killable
        return verdict._replace(agrees=True if nobody else None, why_not="no task could be killed")
    asker = _asker(report, ranking)
    if asker is not None and chosen is not None:
        task = asker.task
        return verdict._replace(
            pid=task.pid,
            comm=task.comm,
            badness=asker.badness,
            agrees=chosen in same_process(report, task.pid),
            why_not=why_asker(report),
        )
    named = verdict._replace(pid=first.task.pid, comm=first.task.comm, badness=first.badness)
    if chosen is None:
        panicked = "panic_on_oom" in (report.panic or "")
        untold = _NOBODY if report.no_killable else _PANICKED if panicked else _NOT_TOLD
        return named._replace(why_not=untold)
    if report.names_thread and verdict.modelled_score not in (None, verdict.printed_score):
        announced = report.announcements[0].pid  # then it may be a process whose row is lost
        return named._replace(why_not=not_listed(report, announced), certain=False)
    proven = _proven(ranking, chosen, verdict)
    if proven is not None:
        task = proven.task
        return verdict._replace(
            pid=task.pid,
            comm=task.comm,
            badness=verdict.printed_score,
            agrees=True,
            why_not=_besides(report, chosen),
            certain=True,
        )
    if chosen in same_process(report, first.task.pid):
        return named._replace(agrees=True, why_not=_besides(report, chosen))
    if any(chosen in same_process(report, s.task.pid) for s in ranking.possible_victims):
        return named._replace(why_not=left_open(report, ranking, chosen, verdict.printed_score))
    why = explain(report, ranking, first, chosen, killed_before)
    if why is None:
        return named._replace(why_not=not_listed(report, chosen), certain=False)
    return named._replace(agrees=False, why_not=why)


def _scores(report: OomReport, ranking: Ranking) -> Verdict:
    """Return a verdict that knows the scores only: the printed one and the model's."""
    printed, modelled, between = printed_and_modelled(report, ranking)
    certain = len(ranking.possible_victims) < 2
    return Verdict(None, None, None, None, None, certain, printed, modelled, between)


def _asker(report: OomReport, ranking: Ranking) -> Score | None:
    """Return the task that asked for memory where the kill line says that just it must die."""
    trigger = report.trigger
    if trigger is None or trigger.pid is None or why_asker(report) is None:
        return None
    own = same_process(report, trigger.pid)
    return next((score for score in ranking if score.task.pid in own), None)


def _proven(ranking: Ranking, chosen: int, verdict: Verdict) -> Score | None:
    """Return the kernel's choice where its printed score leaves no room for any other.

    Up to 3.4 that score is the badness itself, whatever the table leaves out of it.
    """
    printed, between = verdict.printed_score, verdict.modelled_range
    if ranking.era.facts.formula not in ("permille", "legacy") or printed is None:
        return None
    if between is None or not between[0] <= printed <= between[1]:
        return None
    others = [score for score in ranking.killable if score.task.pid != chosen]
    if any(score.high is None or score.high >= printed for score in others):
        return None
    return next((score for score in ranking.killable if score.task.pid == chosen), None)


def _besides(report: OomReport, chosen: int) -> str | None:
    """Return what else befell although the model and the kernel chose alike."""
    if not report.victims:
        return None
    first, others = report.victims[0], len(report.victims) - 1
    said = []
    if report.names_thread:
        said.append(f"the kernel announced a thread of it, {report.announcements[0].pid}")
    elif report.announcements and first.pid != chosen:
        said.append(f"the kernel chose it too and killed its child {first.pid} in its place")
    if report.group_memcg is not None and others:
        said.append(f"memory.oom.group is set on {report.group_memcg}: {others} more died with it")
    return "; ".join(said) or None


def printed_and_modelled(
    report: OomReport, ranking: Ranking
) -> tuple[int | None, int | None, tuple[int, int] | None]:
    """Return the score that the kernel printed of its choice, and the model's of the same task.

    The model's is one number where the report holds all that counts, else a range. 3.5 to 5.0
    print thousandths of the OOM's own totalpages, 32 bits of them.
    """
    printed = report.announcements[0].score if report.announcements else None
    # The allocating task is killed without being scored: its 0 says nothing.
    if printed is None or "allocating" in report.announcements[0].message:
        return None, None, None
    score = next((s for s in ranking if s.task.pid == report.chosen_pid), None)
    if score is None or score.low is None or score.high is None:
        return printed, None, None
    most = _as_printed(ranking, score.high, ranking.scope.totalpages)
    least = _least(ranking, score)
    return (printed, most, None) if least == most else (printed, None, (least, most))


def _least(ranking: Ranking, score: Score) -> int:
    """Return the least that the score can have been: the most totalpages, the least memory."""
    reported, total = ranking.snapshot.reported, ranking.scope.totalpages
    if reported is not None and reported.totalpages_low is not None:
        if reported.totalpages_high is None:
            return 0
        total = reported.totalpages_high
        scope = ranking.scope._replace(totalpages=total)
        score = scorer(ranking.era, scope, ranking.snapshot.machine).score(score.task)
    return _as_printed(ranking, score.low or 0, total)


def _as_printed(ranking: Ranking, points: int, totalpages: int) -> int:
    if ranking.era.facts.formula in ("permille", "legacy"):
        return points
    bits = ranking.snapshot.machine.word_bits
    return wrap_unsigned(wrap_unsigned(points * 1000, bits) // (totalpages or 1), 32)
