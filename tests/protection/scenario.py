"""One scenario: a memory cgroup of our own, a suggestion applied for real, and real OOM kills.

Some members of random sizes and settings hold memory in the cgroup; one more fills it with tmpfs
pages, which are in nobody's RSS, so that nobody's badness changes while memory runs out. One or two
of them and the filler are to be protected from all others. The suggestion is made from what /proc
shows, written to the running processes, and then the cgroup is filled until every sacrificed member
has been killed. No protected one may die before.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from holders import Holder, can_lower_adj, holders
from test_live_kills import MIB, STEP, Cage, dead, members

import oomlab
from oomlab.analysis.suggest import suggest
from oomlab.analysis.suggestion import Growth, Suggestion
from oomlab.writers.adj import Target, own_privilege
from oomlab.writers.changes import make


@dataclass
class Story:
    """What happened in one scenario."""

    found: Suggestion
    protected: set[int]
    order: list[list[int]]
    """Who was found dead after each step of filling that killed somebody."""

    @property
    def dead(self) -> set[int]:
        return {pid for step in self.order for pid in step}

    @property
    def held(self) -> bool:
        """No protected one was dead while a sacrificed one lived, and all sacrificed died."""
        sacrificed = {task.pid for task in self.found.sacrificed}
        gone: set[int] = set()
        for step in self.order:
            gone |= set(step)
            if gone & self.protected and not sacrificed <= gone:
                return False
        return sacrificed <= gone


def play(seed: int, cage: Cage, path: Path, *, write: bool = True) -> Story:
    """Play the scenario of a seed in an empty cgroup; ``path`` is a file on tmpfs to fill.

    Without ``write`` nothing is set: what would have happened without the suggestion.
    """
    chance = random.Random(seed)
    sizes = [chance.randint(2, 24) for _ in range(chance.randint(3, 6))]
    lowest = -900 if can_lower_adj() else 0
    wanted = [
        ("anon", size * MIB, chance.choice([0, 0, 0, chance.randint(lowest, 400), 30]))
        for size in sizes
    ]
    limit = (sum(sizes) + 12 * (len(sizes) + 1) + 4) * MIB
    cage.set_limit(limit)
    wanted.append(("anon", 0, 0))
    with holders(wanted, cage.directory / "cgroup.procs") as processes:
        protected = set(chance.sample([p.pid for p in processes[:-1]], chance.randint(1, 2)))
        found = _suggestion(cage, {*protected, processes[-1].pid}, chance)
        assert not found.impossible, found.impossible
        if write:
            _write(found)
        return Story(found, protected, _fill(cage, processes, path, limit, len(found.sacrificed)))


def _suggestion(cage: Cage, protect: set[int], chance: random.Random) -> Suggestion:
    growth = Growth(percent=chance.choice([0, 0, 20, 50]))
    ranking = oomlab.rank(members(), memcg=cage.path)
    # Raising needs no privilege; where lowering is allowed, either may come out.
    return suggest(ranking, protect, growth=growth, raise_only=not can_lower_adj())


def _write(found: Suggestion) -> None:
    targets = [
        Target(c.task.pid, c.task.start_ticks or 0, c.task.comm, c.before, c.after)
        for c in found.changes
    ]
    outcomes = make(targets, own_privilege())
    assert all(outcome.done for outcome in outcomes), outcomes


def _fill(
    cage: Cage, processes: list[Holder], path: Path, limit: int, kills_wanted: int
) -> list[list[int]]:
    """Write to tmpfs from the last process until so many were killed; return who died when."""
    filler, before = processes[-1], cage.kills()
    assert filler.stdin is not None
    assert filler.stdout is not None
    order: list[list[int]] = []
    seen: set[int] = set()
    step = max(STEP, limit - cage.usage() - 6 * STEP)
    while cage.kills() - before < kills_wanted:
        filler.stdin.write(f"write {path} {step}\n")
        filler.stdin.flush()
        step = STEP
        answered = bool(filler.stdout.readline())
        killed = [pid for pid in dead(processes, cage.kills() - before) if pid not in seen]
        if killed:
            order.append(killed)
            seen.update(killed)
        if not answered:
            break  # the filler itself was killed
    return order
