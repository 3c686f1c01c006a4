"""Scores of many tasks at once: the usual case written out in one loop, all others as ever.

A call costs more than the arithmetic here, and a machine may have 100,000 tasks. A test holds
both ways to the same scores.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import Any

from ..snapshot import Machine, Task
from .badness import OOM_SCORE_ADJ_MIN
from .eras import Era
from .scope import Scope
from .score import Score
from .selection import scorer
from .usage import is_exact

_INIT = 1


def score_all(era: Era, scope: Scope, machine: Machine) -> list[Score]:
    """Return the score of each of the scope's tasks, in their order."""
    # Records hold no cycles; looking for them would cost as much again as the scoring.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _score_all(era, scope, machine)
    finally:
        if collecting:
            gc.enable()


def _score_all(era: Era, scope: Scope, machine: Machine) -> list[Score]:
    slow = scorer(era, scope, machine).score
    facts = era.facts
    usual = (
        facts.formula in ("signed", "pages")
        and facts.root_bonus == "none"
        and machine.word_bits == 64
        and machine.totalpages == scope.totalpages
        and is_exact(facts, machine)
    )
    if not usual:
        return list(map(slow, scope.tasks))
    return _in_one_loop(
        scope.tasks,
        scope.totalpages,
        machine.page_size,
        slow,
        in_stat=facts.killer_counters == "approximate",
        signed=facts.formula == "signed",
    )


def _in_one_loop(
    tasks: Sequence[Any],
    totalpages: int,
    page_size: int,
    slow: Callable[[Task], Score],
    *,
    in_stat: bool,
    signed: bool,
) -> list[Score]:
    grain, found = totalpages // 1000, []
    make: Callable[..., Score] = tuple.__new__
    for task in tasks:
        thread, has_mm, adj, rss, stat_rss, swap, tables, pmds = task[5:13]
        if has_mm is not True or thread or pmds or task[-1] or task[0] == _INIT:
            found.append(slow(task))
            continue
        if adj == OOM_SCORE_ADJ_MIN:
            found.append(slow(task))
            continue
        try:
            points = (stat_rss if in_stat else rss) + swap + tables // page_size + adj * grain
        except TypeError:  # a part is unknown
            found.append(slow(task))
            continue
        if signed:
            n = 1000 + (
                points * 1000 // totalpages if points >= 0 else -(-points * 1000 // totalpages)
            )
            printed = n * 2 // 3  # n is 1 at least: adj takes 999 thousandths at most
        else:
            if points <= 0:
                points = 1
            printed = points * 1000 // totalpages
        found.append(make(Score, (task, points, points, points, printed, printed, printed, None)))
    return found
