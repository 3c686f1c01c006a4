"""Watching: each sample in, a view of all that is known so far out.

Live samples and recorded ones go through the same door, so a replay says what was said live.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from heapq import nlargest
from math import isfinite

from ...errors import InputError
from ...kernel.eras import Era
from ...kernel.evidence import mark_passed_over, pick_era
from ...kernel.scope import Members
from ...samples import Identity, Kinds, Sample, identity, used_pages
from ...snapshot import Task
from ...units import pages_to_bytes
from ..ranking import Ranking, rank
from ..room import machine_room, memcg_room
from .faults import fault_rates
from .forecast import RunOut, grown, run_out
from .history import History
from .judge import growth_by_kind, judge
from .scope import ScopeHistory
from .slope import theil_sen
from .view import Future, Row, View

_MOST_GROWING = 10
"""So many of those that grew most are thought to go on when the future is asked about."""

_MOST_LIKELY = 3
_OPEN = frozenset({"too few samples", "growing", "leak-like", "fragmentation-like"})
"""Verdicts that depend on what the allocator's heap holds."""

Selection = frozenset[str]
"""PIDs and names as the user gave them; empty for whoever grows most."""


class Watch:
    """Everything remembered between samples, in bounded memory."""

    def __init__(
        self,
        *,
        selected: Selection = frozenset(),
        most_rows: int = 10,
        window_seconds: float = 3600.0,
        memcg: str | None = None,
        kernel: str | None = None,
    ) -> None:
        self._selected = selected
        self._most_rows = most_rows
        self._window = window_seconds
        self._memcg = memcg
        self._kernel = kernel
        self._era: Era | None = None
        self._own_era: Era | None = None
        self._likely: set[int] = set()
        self._suspects: set[int] = set()
        self._last: Sample | None = None
        self._listed: dict[Identity, Task] = {}
        self._number = 0
        self._forget()

    def _forget(self) -> None:
        self._totals: History[Identity] = History(self._window)
        self._kinds: History[tuple[Identity, str]] = History(self._window)
        self._headroom: History[str] = History(self._window)
        self._scope = ScopeHistory(self._window, self._memcg)
        self._importance: dict[int, tuple[float, float]] = {}
        """By pid: what a process has grown by, and what it has, in bytes."""

    def knows_scope_of(self, sample: Sample) -> bool:
        """Tell whether a sample shows the memory cgroup that is watched; the machine always."""
        memcgs = sample.snapshot.memcgs or ()
        return self._memcg is None or any(memcg.path == self._memcg for memcg in memcgs)

    def feed(self, sample: Sample) -> View:
        """Take the next sample and return what is known then. Raises InputError as rank does."""
        restarted = self._is_other_clock(sample)
        if restarted:
            self._forget()
        self._number += 1
        self._remember(sample)
        sample = self._marked(sample)
        ranking = rank(sample.snapshot, kernel=self._era, memcg=self._memcg)
        self._likely = {score.task.pid for score in ranking.killable[:_MOST_LIKELY]}
        rows = self._rows(ranking, sample, None if restarted else self._last)
        listed = {identity(row.task): row.task for row in rows}
        self._suspects = {row.task.pid for row in rows if row.judgement.verdict in _OPEN}
        ended = self._ended()
        self._last, self._listed = sample, listed
        series = self._headroom.series("left")
        slope = theil_sen(*series)
        out = run_out(series, slope)
        return View(
            sample=sample,
            number=self._number,
            ranking=ranking,
            rows=rows,
            headroom_bytes=self._left(sample),
            headroom_slope=slope,
            run_out=out,
            scope=self._scope.add(sample, ranking.scope.tasks),
            futures=self._futures(sample, rows, out),
            ended=ended,
            restarted=restarted,
        )

    def wanted(self) -> set[int]:
        """Return the pids of which the next sample should show all there is.

        Of those listed or selected for their kinds of memory, of the likely victims for the
        kernel's own score: it shows whom the kernel passes over.
        """
        selected = {int(name) for name in self._selected if name.isascii() and name.isdecimal()}
        return {pid for pid, _ in self._listed} | self._likely | selected

    def suspects(self) -> set[int]:
        """Return the pids of listed processes of which it matters what their heaps hold."""
        return self._suspects

    def _marked(self, sample: Sample) -> Sample:
        """Choose the rules by the first sample; mark in each whom the kernel passes over."""
        if self._era is None or self._own_era is None:
            self._era = pick_era(sample.snapshot, self._kernel)
            self._own_era = self._era if self._kernel is None else _own_era(sample, self._era)
        tasks = sample.snapshot.tasks
        marks = mark_passed_over(tasks, self._own_era, sample.snapshot.machine)
        if not any(marks):
            return sample
        marked = (t._replace(passed_over=m) for t, m in zip(tasks, marks, strict=True))
        return replace(sample, snapshot=replace(sample.snapshot, tasks=tuple(marked)))

    def _is_other_clock(self, sample: Sample) -> bool:
        last = self._last
        return last is not None and (
            sample.seconds <= last.seconds or sample.boot_id != last.boot_id
        )

    def _remember(self, sample: Sample) -> None:
        page_size = sample.snapshot.machine.page_size
        totals: dict[Identity, float | None] = {}
        kinds: dict[tuple[Identity, str], float | None] = {}
        for task in sample.snapshot.tasks:
            used = used_pages(task)
            if used is None and not self._is_selected(task):
                continue
            who = identity(task)
            totals[who] = pages_to_bytes(used, page_size)
            seen = sample.kinds.get(who)
            if seen is None and who not in self._listed:
                continue
            for name in Kinds._fields:
                value = getattr(seen, name) if seen is not None else None
                kinds[who, name.removesuffix("_bytes")] = value
        self._totals.add(sample.seconds, totals)
        grown = self._totals.growths()
        self._importance = {who[0]: (grown[who], used or 0.0) for who, used in totals.items()}
        self._kinds.add(sample.seconds, kinds)
        left = self._left(sample)
        headroom = None if left is None else float(left)
        self._headroom.add(sample.seconds, {"left": headroom})

    def _left(self, sample: Sample) -> int | None:
        """Return the bytes that the scope can still take, at most; None where unknown."""
        snapshot = sample.snapshot
        if self._memcg is None:
            room = machine_room(snapshot.machine)
        else:
            room = memcg_room(Members(snapshot), self._memcg)
        return pages_to_bytes(room.headroom_pages, snapshot.machine.page_size)

    def _is_selected(self, task: Task) -> bool:
        return str(task.pid) in self._selected or task.comm in self._selected

    def _rows(self, ranking: Ranking, sample: Sample, before: Sample | None) -> tuple[Row, ...]:
        rows = [self._row(task, sample, before) for task in self._chosen(ranking, sample)]
        if not self._selected:
            rows.sort(key=_rate, reverse=True)
        return tuple(rows)

    def _chosen(self, ranking: Ranking, sample: Sample) -> Sequence[Task]:
        """Return the tasks to show: those selected, or those that grew most, the largest then."""
        if self._selected:
            return [task for task in sample.snapshot.tasks if self._is_selected(task)]
        inside = ranking.scope.tasks
        known = [task for task in inside if used_pages(task) is not None]
        return self._most_important(known, self._most_rows)

    def _most_important(self, tasks: Sequence[Task], count: int) -> list[Task]:
        """Return those that grew most, the largest of those that did not."""
        unknown = (0.0, 0.0)
        return nlargest(count, tasks, key=lambda task: self._importance.get(task.pid, unknown))

    def _row(self, task: Task, sample: Sample, before: Sample | None) -> Row:
        who, used = identity(task), used_pages(task)
        kinds = {
            name: series
            for name in (field.removesuffix("_bytes") for field in Kinds._fields)
            if (series := self._kinds.series((who, name))).values
        }
        minor, major = fault_rates(sample, before, [who])
        return Row(
            task=task,
            used_bytes=pages_to_bytes(used, sample.snapshot.machine.page_size),
            judgement=judge(self._totals.series(who), kinds),
            kind_rates=growth_by_kind(kinds),
            minor_faults_per_second=minor,
            major_faults_per_second=major,
            kinds=sample.kinds.get(who),
        )

    def _ended(self) -> tuple[Task, ...]:
        return tuple(task for who, task in self._listed.items() if who not in self._totals)

    def _futures(
        self, sample: Sample, rows: Sequence[Row], out: RunOut | None
    ) -> tuple[Future, ...]:
        if out is None:
            return ()
        rates = self._rates(sample, rows)
        times = (out.earliest_seconds, out.seconds, out.latest_seconds)
        futures = []
        for seconds in times:
            if isfinite(seconds):
                then = grown(sample.snapshot, rates, seconds)
                futures.append(Future(seconds, rank(then, kernel=self._era, memcg=self._memcg)))
        return tuple(futures)

    def _rates(self, sample: Sample, rows: Sequence[Row]) -> dict[int, float]:
        """Return the rates of those that surely rise, whether shown or not, by pid."""
        slopes = {row.task.pid: row.judgement.slope for row in rows}
        for task in self._most_important(sample.snapshot.tasks, _MOST_GROWING):
            if task.pid not in slopes:
                slopes[task.pid] = theil_sen(*self._totals.series(identity(task)))
        return {pid: s.per_second for pid, s in slopes.items() if s is not None and s.trend > 0}


def _own_era(sample: Sample, asked: Era) -> Era:
    """Return the rules that the machine itself shows, those asked for where it shows none."""
    try:
        return pick_era(sample.snapshot)
    except InputError:
        return asked


def _rate(row: Row) -> float:
    return row.judgement.slope.per_second if row.judgement.slope is not None else 0.0
