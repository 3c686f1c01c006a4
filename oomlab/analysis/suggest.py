"""The smallest change of oom_score_adj after which some processes outlive others."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ..errors import InputError
from ..kernel.adjust import oom_score_adj_of
from ..kernel.selection import Scorer, scorer
from .advice import AT_MINIMUM, conflict_text, refusals, remedies, suggestion_cautions
from .cgroups import described
from .companions import Shared, companions
from .movers import Movers
from .ranking import Ranking
from .smallest import Conflict, smallest
from .suggestion import NO_GROWTH, Growth, Suggestion, Wish, is_set_low


def suggest(
    ranking: Ranking,
    protect: Collection[int],
    sacrifice: Collection[int] | None = None,
    *,
    leave: Collection[int] = (),
    leave_below: int | None = None,
    growth: Growth = NO_GROWTH,
    raise_only: bool = False,
    allow_unkillable: bool = False,
    shared: Shared = (),
) -> Suggestion:
    """Return the smallest change after which each of ``protect`` outlives all of ``sacrifice``.

    All are pids; without ``sacrifice`` everybody else in the ranking's scope is meant, but for
    ``leave``, whose place does not matter, and those whose oom_score_adj is at most
    ``leave_below``: somebody protects them already. Smallest is the total absolute change, then
    the number of processes changed, then of those lowered. Where the kernel's own numbers are
    not visible to the page, the protected are taken at their highest and the sacrificed at their
    lowest, so that the promise holds either way.

    ``growth``: the promise holds even if each of ``protect`` grows by so much (what counts
    against it: page tables included). ``raise_only``: lower nothing, which needs CAP_SYS_RESOURCE.
    ``allow_unkillable``: -1000 may be suggested. ``shared``: sets of pids known to be on one memory
    map each, one alone for who is known to share his with nobody.

    Raises InputError where a pid is not there, or the rules have no oom_score_adj.
    """
    scored = scorer(ranking.era, ranking.scope, ranking.snapshot.machine)
    if not isinstance(scored, Scorer):
        raise InputError("oom_score_adj came with Linux 2.6.36: nothing to suggest before it")
    wish = Wish(
        frozenset(protect),
        None if sacrifice is None else frozenset(sacrifice),
        frozenset(leave),
        leave_below,
        growth,
        raise_only,
        allow_unkillable,
        shared,
    )
    found = _asked(ranking, wish)
    movers = Movers(ranking, wish, scored)
    why = ruled_out = refusals(found)
    if not allow_unkillable:
        unknown = [task for task in found.spared if movers.most_pages(task) is None]
        why = why + [
            f"the memory of {t.pid} ({t.comm}) is unknown: no promise holds" for t in unknown
        ]
    if why:
        advice = remedies(found, by_number=not ruled_out)
        return replace(found, impossible=tuple(why), remedies=tuple(advice))
    _check_arithmetic(found, movers)
    return _solved(found, movers)


def _asked(ranking: Ranking, wish: Wish) -> Suggestion:
    """Return the question with nothing to change yet: who is protected, spared, sacrificed."""
    _check_known(ranking, wish.protect, "protect")
    protected = tuple(task for task in ranking.scope.tasks if task.pid in wish.protect)
    mates = companions(ranking, protected, wish.shared)
    if wish.sacrifice is None:
        others = wish.protect | mates.keys() | wish.leave
        victims = [
            score.task
            for score in ranking.killable
            if score.task.pid not in others
            and oom_score_adj_of(score.task) is not None
            and not is_set_low(score.task, wish.leave_below)
        ]
    else:
        _check_known(ranking, wish.sacrifice, "sacrifice")
        named = [score for score in ranking if score.task.pid in wish.sacrifice]
        # A unit or user may have zombies among its processes: only the others are meant.
        victims = [s.task for s in named if s.why_not in (None, AT_MINIMUM)]
        victims = victims or [score.task for score in named]
    return Suggestion(
        ranking=ranking,
        wish=wish,
        protected=protected,
        sacrificed=tuple(victims),
        companions=mates,
    )


def _check_known(ranking: Ranking, pids: Collection[int], what: str) -> None:
    if not pids:
        raise InputError(f"nobody to {what}")
    unknown = sorted(set(pids) - {task.pid for task in ranking.scope.tasks})
    if unknown:
        memcg = ranking.scope.memcg
        where = "this scope" if memcg is None else described(ranking.snapshot, memcg)
        raise InputError(f"process {unknown[0]}, to {what}, is not in {where}")


def _check_arithmetic(found: Suggestion, movers: Movers) -> None:
    """Refuse what the rules' arithmetic wraps at: badness then no longer grows with memory."""
    facts, machine = found.ranking.era.facts, found.ranking.snapshot.machine
    most = max((movers.most_pages(t) or 0 for t in [*found.spared, *found.sacrificed]), default=0)
    narrow = facts.points_type == "int" or machine.word_bits == 32
    if facts.formula == "permille" and narrow and most * 1000 >= 1 << 31:
        raise InputError(
            "under these rules badness wraps from 8 GiB on (CVE-2011-4097): no promise holds"
        )
    if facts.choice_bits == 32 and most + found.ranking.scope.totalpages >= 1 << 32:
        raise InputError(
            "under these rules badness is compared in 32 bits: no promise holds from 16 TiB on"
        )


def _solved(found: Suggestion, movers: Movers) -> Suggestion:
    spared = movers.spared(found.spared)
    if not spared.movers:
        note = "the kernel never chooses whom you protect: nothing needs to be set"
        return replace(found, cautions=(note, *suggestion_cautions(found)))
    doomed = movers.doomed(found.sacrificed)
    best = smallest(spared.movers, doomed.movers)
    if isinstance(best, Conflict):
        pair = spared.tasks[best.protected][0], doomed.tasks[best.sacrificed][0]
        why = conflict_text(found.ranking, found.wish, *pair)
        return replace(found, impossible=(why,), remedies=tuple(remedies(found, by_number=True)))
    changes = (
        *spared.changes(best.protected, protects=True),
        *doomed.changes(best.sacrificed, protects=False),
    )
    found = replace(found, changes=changes)
    return replace(found, cautions=tuple(suggestion_cautions(found)))
