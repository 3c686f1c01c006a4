"""Counts how the model and the recorded kernels agree, and prints it as docs/model.md has it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from recordings import Answer, Event, answer, events, sections, snapshot_of

from oomlab.analysis.agreement import Comparison, compare_all
from oomlab.analysis.ranking import Ranking, rank
from oomlab.kernel.legacy import legacy_badness
from oomlab.kernel.legacy_inputs import legacy_reader

NO_LEADER = "main thread exited, its threads not recorded"
PASSED_OVER = "vfork child: its 0 is how it is known"
RECORDER = "init's child that made the recording is not in it"
NO_SWAP_COLUMN = "table before 3.6 shows neither swap nor page tables"
NO_TABLE = "no task table, and the process was not there yet"

RECORDER_PAGES = 8978
"""total_vm of the program that recorded 2.6.32: the one size that explains init's score every
time. It was a child of init, read init's score, and had not listed itself."""


class Tally(NamedTuple):
    """What agreed on one kernel, and how often each reason stood against it."""

    kernel: str
    verdicts: Counter[str]
    why: Counter[str]
    kills: Counter[str]
    widest: int
    unexplained: list[str]


@lru_cache(maxsize=32)
def tally(kernel: str) -> Tally:
    found = Tally(kernel, Counter(), Counter(), Counter(), 0, [])
    widest = 0
    for event in events(kernel):
        ranking = rank(snapshot_of(event.snapshot))
        for one in compare_all(ranking):
            widest = max(widest, one.bound if one.verdict == "within" else 0)
            _count_process(found, event, ranking, one)
        _count_kills(found, event)
    return found._replace(widest=widest)


def _count_process(found: Tally, event: Event, ranking: Ranking, one: Comparison) -> None:
    verdict = one.verdict
    if verdict in ("equal", "within"):
        found.verdicts[verdict] += 1
        return
    found.verdicts["not comparable"] += 1
    reason = why_not_comparable(ranking, one)
    if reason is None:
        found.unexplained.append(f"{event.name}: {one}")
    else:
        found.why[reason] += 1


def why_not_comparable(ranking: Ranking, one: Comparison) -> str | None:
    task = one.score.task
    if task.comm == "noleader" and task.has_mm is None:
        return NO_LEADER
    if task.comm == "vforked" and task.passed_over and one.kernel == 0:
        return PASSED_OVER
    if task.pid == 1 and ranking.era.facts.formula == "legacy":
        inputs = legacy_reader(ranking.era.facts, ranking.snapshot.machine, ranking.snapshot.tasks)
        read = inputs(task)
        assert read is not None
        children = [*read.seen.children_pages, RECORDER_PAGES]
        seen = read.seen._replace(children_pages=children)
        return RECORDER if legacy_badness(ranking.era.facts, seen) == one.kernel else None
    return None


def _count_kills(found: Tally, event: Event) -> None:
    killed: set[int] = set()
    for oom, section in zip(event.ooms, sections(event.report), strict=True):
        given = answer(event, oom, section, frozenset(killed))
        victims = [entry["pid"] for entry in oom["killed"]]
        killed.update(victims)
        first = victims[0] if victims else None
        found.kills["runs"] += 1
        found.kills["kills"] += len(set(victims))
        predicted = given.choice.victim.pid if given.choice.victim else None
        if predicted == first and set(victims) <= {task.pid for task in given.choice.killed}:
            found.kills["predicted"] += 1
            if score_differs(given, oom):
                found.unexplained.append(f"{event.name}: printed score")
            continue
        reason = why_not_known(given, oom, first)
        if reason is None:
            found.unexplained.append(f"{event.name}: killed {victims}, not {predicted}")
        else:
            found.why[reason] += 1


def score_differs(given: Answer, oom: dict[str, object]) -> bool:
    chosen = oom.get("chosen")
    if not isinstance(chosen, dict) or given.choice.score is None:
        return False
    # Stale swap and page tables make only a look-alike of the score before 3.6.
    exact = given.ranking.era.facts.memcg_walk == "tree"
    return exact and given.from_table and given.choice.score != chosen["score"]


def why_not_known(given: Answer, oom: dict[str, object], first: int | None) -> str | None:
    known = {task.pid: task for task in given.ranking.snapshot.tasks}
    facts, chosen = given.ranking.era.facts, oom.get("chosen")
    if not given.from_table and first not in known:
        return NO_TABLE
    if facts.page_tables == "ptes" and facts.memcg_walk == "global" and isinstance(chosen, dict):
        return NO_SWAP_COLUMN if _table_allows(given, chosen) else None
    return None


def _table_allows(given: Answer, chosen: dict[str, int]) -> bool:
    """Tell whether the printed score fits: no less than RSS alone gives anybody."""
    from oomlab.kernel.badness import badness_formula
    from oomlab.kernel.selection import has_root_bonus, why_unkillable

    badness = badness_formula(given.ranking.era.facts, given.ranking.scope.totalpages)
    return all(
        badness(task.rss_pages or 0, task.oom_score_adj or 0, has_root_bonus(task))
        <= chosen["score"]
        for task in given.ranking.scope.tasks
        if why_unkillable(task, init_pid=1) is None
    )


HEADER = (
    "| kernel | processes | exact | within the bound | not comparable | OOM runs | kills "
    "| predicted | not known |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)


def agreement_table(tallies: Iterable[Tally]) -> str:
    lines, why = [HEADER], Counter[str]()
    for one in tallies:
        v, k = one.verdicts, one.kills
        why += one.why
        cells = [
            one.kernel,
            v.total(),
            v["equal"],
            v["within"],
            v["not comparable"],
            k["runs"],
            k["kills"],
            k["predicted"],
            k["runs"] - k["predicted"],
        ]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    lines.append("")
    lines += [f"- {count} times: {reason}" for reason, count in sorted(why.items())]
    return "\n".join(lines)
