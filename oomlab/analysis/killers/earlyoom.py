"""earlyoom's choice: the largest oom_score (or RSS), with the patterns' offsets.

Sources: earlyoom(1), the changelog in its README, and the behaviour of the program itself
(tests/test_earlyoom_live.py). https://github.com/rfjakob/earlyoom
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from ...kernel.badness import OOM_SCORE_ADJ_MIN
from ...kernel.scope import system_scope
from ...kernel.score import Score
from ...snapshot import Snapshot, Task
from ...units import KIB
from ..ranking import Ranking, rank
from .earlyoom_settings import PATTERN_KIB, PATTERN_POINTS, Rules, Settings

_KTHREADD = 2
_NO_VICTIM = -9999
_UNBOUNDED = 1 << 62


class Candidate(NamedTuple):
    """A process as earlyoom weighs it; low and high differ where something is not known."""

    task: Task
    oom_score: int | None
    """As earlyoom reads it, or as modelled where the source has none; None if it has a range."""
    points_low: int
    points_high: int
    """oom_score after --prefer and --avoid."""
    rss_low_kib: int
    rss_high_kib: int
    """With --sort-by-rss after --prefer and --avoid."""
    preferred: bool = False
    avoided: bool = False
    why_not: str | None = None

    @property
    def is_exact(self) -> bool:
        """Whether earlyoom's numbers are known."""
        return self.points_low == self.points_high and self.rss_low_kib == self.rss_high_kib


Key = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class EarlyoomRanking:
    """The processes that earlyoom weighs, in /proc's order (by pid), and those it passes over."""

    snapshot: Snapshot
    settings: Settings
    kernel: Ranking
    """The kernel's own ranking of the same machine."""
    candidates: tuple[Candidate, ...]
    spared: tuple[Candidate, ...]

    def first(self, count: int | None = None) -> list[Candidate]:
        """Return whom it would kill, and then, if that one were gone, and so on."""
        if not self._mixed:
            return sorted(self.candidates, key=self._middle, reverse=True)[:count]
        left = list(self.candidates)
        chosen: list[Candidate] = []
        while left and (count is None or len(chosen) < count):
            chosen.append(_scan(left))
            left.remove(chosen[-1])
        return chosen

    @cached_property
    def victim(self) -> Candidate | None:
        """Whom it would kill if it acted; None where it finds nobody."""
        return next(iter(self.first(1)), None)

    @property
    def is_exact(self) -> bool:
        """Whether every number that decides is known."""
        return all(one.is_exact for one in self.candidates)

    def places(self, candidate: Candidate, place: int) -> tuple[int, int]:
        """Return the best and the worst place (from 1) of the one in ``place`` of first()."""
        if self.is_exact:
            return place, place
        if self._mixed:
            return 1, len(self.candidates)
        low, high = self._key(candidate, highest=False), self._key(candidate, highest=True)
        above = sum(self._key(one, highest=False) > high for one in self.candidates)
        below = sum(self._key(one, highest=True) < low for one in self.candidates)
        return above + 1, len(self.candidates) - below

    @cached_property
    def _mixed(self) -> bool:
        """Whether RSS can't order all: from 1.8 on, none means that oom_score decides a pair."""
        return self.settings.sort_by_rss and any(c.rss_low_kib <= 0 for c in self.candidates)

    def _middle(self, one: Candidate) -> tuple[int, int, int]:
        low, high = self._key(one, highest=False), self._key(one, highest=True)
        # Of equals the first that is read stays: /proc lists by pid.
        return (low[0] + high[0]) // 2, (low[1] + high[1]) // 2, -one.task.pid

    def _key(self, one: Candidate, *, highest: bool) -> Key:
        points = one.points_high if highest else one.points_low
        rss = one.rss_high_kib if highest else one.rss_low_kib
        return (rss, points) if self.settings.sort_by_rss else (points, rss)


def rank_earlyoom(
    snapshot: Snapshot, settings: Settings | None = None, *, kernel: str | None = None
) -> EarlyoomRanking:
    """Rank a snapshot's processes as earlyoom would.

    It reads the kernel's printed oom_score: so does this, unless the source lacks it (an OOM
    report, an edited process) or ``kernel`` asks for other rules; then the modelled one counts.
    Raises InputError where totalpages can't be known.
    """
    settings = settings or Settings()
    ranking = rank(snapshot, kernel=kernel, scope=system_scope(snapshot))
    modelled = {score.task.pid: score for score in ranking}
    tasks = sorted(snapshot.tasks, key=lambda task: task.pid)
    page_kib = snapshot.machine.page_size // KIB
    weighed = [
        _weigh(task, modelled[task.pid], settings, page_kib, witness=kernel is None)
        for task in tasks
    ]
    return EarlyoomRanking(
        snapshot=snapshot,
        settings=settings,
        kernel=ranking,
        candidates=tuple(one for one in weighed if one.why_not is None),
        spared=tuple(one for one in weighed if one.why_not is not None),
    )


def _weigh(
    task: Task, score: Score, settings: Settings, page_kib: int, *, witness: bool
) -> Candidate:
    low, high = score.oom_score_low, score.oom_score_high
    if witness and task.kernel_oom_score is not None:
        low = high = task.kernel_oom_score
    low, high = low or 0, _UNBOUNDED if high is None else high
    name = whole_characters(task.comm)
    preferred = settings.prefer is not None and settings.prefer(name)
    avoided = settings.avoid is not None and settings.avoid(name)
    rss_low, rss_high = _rss_kib(task, settings.rules, page_kib)
    signs = preferred - avoided
    points, size = (0, PATTERN_KIB) if settings.sort_by_rss else (PATTERN_POINTS, 0)
    one = Candidate(
        task,
        low if low == high else None,
        low + signs * points,
        high + signs * points,
        rss_low + signs * size,
        rss_high + signs * size,
        preferred,
        avoided,
    )
    return one._replace(why_not=_why_not(one, name, settings))


def _rss_kib(task: Task, rules: Rules, page_kib: int) -> tuple[int, int]:
    """Return the RSS that earlyoom reads: a zombie main thread's own files show none."""
    if task.kernel_thread or task.has_mm is False or task.state in ("Z", "X"):
        return 0, 0
    pages = task.rss_stat_pages if rules.reads_stat else task.rss_pages
    if pages is None:
        pages = task.rss_pages
    return (0, _UNBOUNDED) if pages is None else (pages * page_kib, pages * page_kib)


def _why_not(one: Candidate, name: str, settings: Settings) -> str | None:
    task, rules = one.task, settings.rules
    if task.pid == 1:
        return "init"
    if task.kernel_thread or (rules.reads_stat and _KTHREADD in (task.pid, task.ppid)):
        return "kernel thread" if task.kernel_thread else "kernel thread, as earlyoom takes it"
    if not rules.reads_stat and one.rss_high_kib == 0:
        return "no RSS"
    if rules.spares_unkillable and task.oom_score_adj == OOM_SCORE_ADJ_MIN:
        return "oom_score_adj -1000"
    if settings.ignore is not None and settings.ignore(name):
        return "--ignore"
    if not rules.reads_stat and one.points_high < 0:
        return "points below 0"
    return None


def _scan(candidates: Iterable[Candidate]) -> Candidate:
    """Return the choice of one pass over processes of which some show no RSS (1.8, by RSS)."""
    chosen, best = None, (_NO_VICTIM, _NO_VICTIM)
    for one in candidates:
        rss, points = one.rss_low_kib, one.points_low
        by_rss = rss > 0 and best[0] > 0
        if ((rss, points) > best) if by_rss else ((points, rss) > (best[1], best[0])):
            chosen, best = one, (rss, points)
    assert chosen is not None
    return chosen


def whole_characters(name: str) -> str:
    """Return a name as earlyoom matches it: without a character that 15 bytes cut in two."""
    raw = name.encode("utf-8", "surrogateescape")
    if len(raw) < 3 or raw[-1] < 0x80:
        return name
    if raw[-1] & 0x40:
        raw = raw[:-1]
    elif raw[-2] & 0xE0 == 0xE0:
        raw = raw[:-2]
    elif raw[-3] & 0xF0 == 0xF0:
        raw = raw[:-3]
    return raw.decode("utf-8", "surrogateescape")
