"""Judge scopes and cascades: what oomlab said before the first kill, and what the kernel did.

All is said of one snapshot: whose limit is met first, who dies one after the other, who dies
with each, what each death gives back, and whether anybody is left. Where a death gives room at
the limits above it another one may be met next: from there on a new cascade is said, of who
is left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from oomlab.analysis.cascade import Kill, cascade
from oomlab.analysis.ranking import Ranking, rank
from oomlab.analysis.scopes import OomScope, find_scopes
from oomlab.kernel.eras import Era
from oomlab.kernel.usage import killer_rss_pages
from oomlab.snapshot import Snapshot

from .deaths import deaths
from .filling import CHUNK_BYTES
from .truth import Oom

Json = dict[str, Any]

KERNEL_BYTES = 512 * 1024
"""What a process is charged for beside its own pages, at most: stacks, mm, files."""
FORKED_PAGES = 16
"""The crowd's processes are forks of one program that renamed themselves: what they have not
written to since is in the RSS of all. Nothing in /proc tells (docs/scopes.md), so allow for it."""
IN_A_ROW = 3
UNBOOKED_PAGES = 64
"""Up to 6.1 a thread books as many page faults later (TASK_RSS_EVENTS_THRESH in mm/memory.c). A
counter below 0 reads as 0, so what it keeps back shows once the memory is swapped out."""
STOCK_PAGES = 64
"""Charged in advance by each CPU, at each level (MEMCG_CHARGE_BATCH)."""


class Filling:
    """One event in which a cgroup was filled; ``faults`` is what differs, ``counts`` what not."""

    def __init__(
        self, scene: Json, body: Json, snapshot: Snapshot, era: Era, ooms: list[Oom]
    ) -> None:
        self.scene, self.body, self.snapshot, self.era, self.ooms = (
            scene, body, snapshot, era, ooms,
        )  # fmt: skip
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        self._dead: set[int] = set()
        self._all_known = True
        self._longest = 0
        cpus = snapshot.machine.cpus or 1
        self._stock_pages = STOCK_PAGES * cpus

    def judge(self) -> None:
        """Compare all that was said with all that happened."""
        self.counts["scenes"] += 1
        scopes = {s.path: s for s in find_scopes(self.snapshot, kernel=self.era, every=True)}
        self._judge_place(scopes)
        at = 0
        while at < len(self.ooms) and not self.faults:
            at += self._judge_row(at)
        self._judge_end()
        self.counts[f"scenes of {IN_A_ROW} or more kills in a row"] += self._longest >= IN_A_ROW
        self.counts["scenes as said"] += not self.faults

    def _judge_place(self, scopes: Mapping[str | None, OomScope]) -> None:
        """Compare whose limit was met first."""
        own = f"/{self.scene['fill']}"
        where = scopes[own]
        said = own if where.first is None else where.first
        was = (self.ooms[0].memcg if self.ooms else None) or said
        rooms = {path: scopes[path].room.headroom_pages for path in _up(own) if path in scopes}
        least, slack = where.headroom_pages or 0, self._stock_pages * len(rooms)
        near = {path for path, room in rooms.items() if room is not None and room <= least + slack}
        if self.snapshot.memcgs and self.snapshot.memcgs[0].version == 1 and self.scene["swap"]:
            near |= {path for path in rooms if _is_full_by_then(scopes[path], least)}
        if was not in near:
            self.faults.append(f"said to run out first: {said} (rooms {rooms}), was {was}")
        elif len(near) > 1:
            self.counts["first limit: several so near that either may be met"] += 1
        else:
            self.counts[f"first limit: {'its own' if said == own else 'that of an ancestor'}"] += 1

    def _judge_row(self, start: int) -> int:
        """Judge the kills from ``start`` on at one limit; return how many were judged."""
        memcg = self.ooms[start].memcg
        if memcg is None:
            return self._pass_over(start)
        said = cascade(self._ranking(memcg))
        row = 0
        for kill, oom in zip(said.kills, self.ooms[start:], strict=False):
            if oom.memcg != memcg:
                break
            row += 1
            certain = self._judge_kill(kill, oom)
            if not certain or self.faults:
                break
        if not said.kills:
            self.faults.append(f"nobody was said to die in {memcg}, {self.ooms[start].victim} did")
        self._longest = max(self._longest, row)
        return max(row, 1)

    def _pass_over(self, start: int) -> int:
        """Pass over a kill whose report is lost: its limit is unknown, but not who is dead."""
        oom = self.ooms[start]
        gone = [set(s["gone"]) for s in self.body["steps"] if oom.victim in s.get("gone", ())]
        if not gone:  # the line names a thread: whose is not said
            self._all_known = False
            self.counts["kills without a report"] += len(self.ooms) - start
            return len(self.ooms) - start
        self.counts["kills without a report"] += 1
        self._dead |= deaths(oom, self.snapshot, self.scene["shares"]) & gone[0]
        return 1

    def _judge_kill(self, kill: Kill, oom: Oom) -> bool:
        """Judge one kill; return whether the rest of what was said still applies."""
        dying = deaths(oom, self.snapshot, self.scene["shares"]) - self._dead
        self._dead |= dying
        possible = [task.pid for task in kill.possible]
        late = self.scene["swap"] and oom.victim not in possible
        if late and self._had_not_booked(oom, dying):
            self.counts["kills by pages that a thread had not booked before they were swapped"] += 1
            return False
        if oom.victim not in possible:
            self.faults.append(
                f"kill {kill.number} in {oom.memcg}: said {possible}, was {oom.victim}"
            )
            return False
        if oom.victim != kill.victim.pid:
            self.counts["kills of which several were said to be possible"] += 1
            return False
        killed = {task.pid for task in kill.choice.killed}
        perhaps = {task.pid for task in kill.choice.perhaps}
        if not killed <= dying <= killed | perhaps:
            self.faults.append(
                f"with {oom.victim} were said to die {sorted(killed)}, perhaps {sorted(perhaps)}; "
                f"died {sorted(dying)}"
            )
        self.counts["kills as said"] += 1
        self.counts["of them whole groups"] += len(killed) > 1
        self._judge_freed(kill, oom, dying)
        # Who is on the victim's memory map is not visible beforehand: if some were, say anew.
        return dying == killed

    def _had_not_booked(self, oom: Oom, dying: Collection[int]) -> bool:
        """Tell whether pages that no counter showed before they were swapped out decided.

        The kernel's table must say so: some are larger, by no more than their threads may have
        kept back, nobody is smaller, and by these sizes the victim comes first.
        """
        rows, any_grown = {row.pid: row for row in oom.rows}, False
        tasks = []
        for task in self.snapshot.tasks:
            row, rss = rows.get(task.pid), killer_rss_pages(task, self.era.facts)
            if row is None or rss is None or task.swap_pages is None:
                continue
            grown = row.rss_pages + row.swap_pages - rss - task.swap_pages
            if not 0 <= grown <= UNBOOKED_PAGES * (task.threads or 1):
                return False
            any_grown = any_grown or grown > 0
            tasks.append(task._replace(swap_pages=task.swap_pages + grown, kernel_oom_score=None))
        dead = self._dead - set(dying)
        left = tuple(task for task in tasks if task.pid not in dead)
        victim = rank(replace(self.snapshot, tasks=left), kernel=self.era, memcg=oom.memcg).victim
        return any_grown and victim is not None and victim.task.pid == oom.victim

    def _judge_freed(self, kill: Kill, oom: Oom, dying: Collection[int]) -> None:
        """Compare what one death gave back; only without swap is that the cgroup's usage."""
        steps = [step for step in self.body["steps"] if set(step.get("gone", ())) == set(dying)]
        if self.scene["swap"] or not steps or kill.freed.high_pages is None:
            return
        (step,) = steps
        seen = step["usage"][oom.memcg] - step["after"][oom.memcg]
        page = self.snapshot.machine.page_size
        common = self._stock_pages + FORKED_PAGES * len(dying)
        low = (kill.freed.low_pages - common) * page - CHUNK_BYTES
        high = (kill.freed.high_pages + self._stock_pages) * page + KERNEL_BYTES * len(dying)
        self.counts["of them with the memory given back measured"] += 1
        if not low <= seen <= high:
            self.faults.append(f"{oom.victim} was said to free {low} to {high} bytes, freed {seen}")

    def _judge_end(self) -> None:
        """Where memory was refused nobody may be left whom the kernel could kill."""
        unfinished = self.body["steps"][-1]["why"] in ("killed", "enough")
        if self.faults or unfinished or not self._all_known:
            return
        place = self.ooms[-1].memcg if self.ooms else None
        if place is None:
            return
        left = cascade(self._ranking(place), most=1).kills
        self.counts["scenes to the end: nobody left, as said"] += not left
        if left:
            self.faults.append(f"nobody was left in {place}, said to be next: {left[0].victim.pid}")

    def _ranking(self, memcg: str) -> Ranking:
        left = tuple(task for task in self.snapshot.tasks if task.pid not in self._dead)
        return rank(replace(self.snapshot, tasks=left), kernel=self.era, memcg=memcg)


def _is_full_by_then(scope: OomScope, pages: int) -> bool:
    """Tell whether v1 may blame a cgroup although memory and swap together run out above it.

    Less than 64 pages below that limit a charge is tried page by page, and try_charge() then does
    not swap any more: whoever's memory alone happens to be full is out of memory before.
    """
    room = scope.room
    return room.free_pages is not None and room.free_pages + (room.reclaimable_pages or 0) < pages


def _up(path: str) -> list[str]:
    parts = path.strip("/").split("/")
    return ["/" + "/".join(parts[: n + 1]) for n in range(len(parts))]
