"""The rows of a listing of scopes, and what their cells say of who would die."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..analysis.cgroups import described
from ..analysis.choice import Choice, choose
from ..analysis.ranking import Ranking
from ..analysis.scopes import OomScope
from ..memcg import is_unlimited
from ..snapshot import Snapshot
from ..units import pages_to_bytes
from .ranking import named


class ScopeRow(NamedTuple):
    """One scope in a listing, with what its cells need."""

    scope: OomScope
    snapshot: Snapshot

    def bytes_of(self, pages: int | None) -> int | None:
        """Return pages in bytes, unknown as unknown."""
        return pages_to_bytes(pages, self.snapshot.machine.page_size)

    def limit_of(self, pages: int | None) -> int | None:
        """Return a limit in bytes; None where there is none, too."""
        return None if pages is None or is_unlimited(pages) else self.bytes_of(pages)

    @property
    def share_percent(self) -> float | None:
        """The part of limit and swap that can't be given back, to a tenth of a percent."""
        share, limit = self.scope.room.share_used, self.scope.room.limit_pages
        unlimited = limit is not None and is_unlimited(limit)
        return None if share is None or unlimited else round(100 * share, 1)

    @property
    def label(self) -> str:
        """Kind and name, as sentences have them."""
        if self.scope.path is not None:
            return described(self.snapshot, self.scope.path)
        return "the machine" if self.kind == "machine" else self.scope.name

    @property
    def kind(self) -> str:
        """What the scope is: machine, nodes, container, pod, unit, slice, session, cgroup."""
        if self.scope.nodes is not None:
            return "nodes"
        kind = self.scope.place.kind if self.scope.memcg is not None else "machine"
        return "pods" if kind == "qos" else kind

    @property
    def ranking(self) -> Ranking | None:
        """Whom the kernel would kill there."""
        return self.scope.ranking

    @property
    def choice(self) -> Choice | None:
        """Who dies there, where the choice can be known."""
        ranking = self.scope.ranking
        if ranking is None or len(ranking.possible_victims) != 1:
            return None
        return choose(ranking, panics=False)

    @property
    def totalpages(self) -> int | None:
        """What an OOM there divides by."""
        return None if self.ranking is None else self.ranking.scope.totalpages

    @property
    def tasks(self) -> int | None:
        """Processes with memory among the candidates, killable or not."""
        if self.ranking is None:
            return None
        return sum(
            1 for s in self.ranking if not s.task.kernel_thread and s.task.has_mm is not False
        )

    @property
    def kills(self) -> int | None:
        """Processes killed there so far, below it included where the kernel counts so."""
        memcg = self.scope.memcg
        if memcg is None:
            return self.snapshot.machine.oom_kills if self.kind == "machine" else None
        return memcg.oom_kills if memcg.oom_kills_below is None else memcg.oom_kills_below

    @property
    def victim_entry(self) -> dict[str, Any] | None:
        """The likely victim as JSON has it."""
        ranking = self.ranking
        if ranking is None or ranking.victim is None:
            return None
        choice = choose(ranking, panics=False)
        task = choice.victim or ranking.victim.task
        return {
            "pid": task.pid,
            "comm": task.comm,
            "badness": ranking.victim.badness,
            "certain": len(ranking.possible_victims) == 1 and ranking.is_complete,
            "dies_with_it": len(choice.killed) - 1 if choice.killed else 0,
        }


def victim_text(row: ScopeRow) -> str:
    """Return who would die there, in a cell's words."""
    ranking = row.ranking
    if ranking is None:
        return "?"
    if ranking.victim is None:
        return "nobody" if ranking.is_complete else "?"
    if len(ranking.possible_victims) > 1:
        first = named(ranking.possible_victims[0].task)
        text = f"{first} or {len(ranking.possible_victims) - 1} others"
    else:
        choice = row.choice
        text = named(choice.victim if choice and choice.victim else ranking.victim.task)
        if choice is not None and len(choice.killed) > 1:
            text += f" +{len(choice.killed) - 1}"
    return f"({text})" if row.scope.waits else text
