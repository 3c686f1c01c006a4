"""What is known after each sample of a watch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ...samples import Kinds, Sample
from ...snapshot import Task
from ..ranking import Ranking
from .forecast import RunOut
from .judge import Judgement
from .scope import ScopeGrowth
from .slope import Slope


class Row(NamedTuple):
    """One watched process."""

    task: Task
    used_bytes: int | None
    """RSS and swap."""
    judgement: Judgement
    kind_rates: Mapping[str, float]
    """Bytes per second of each kind that was read."""
    minor_faults_per_second: float | None
    major_faults_per_second: float | None
    kinds: Kinds | None


class Future(NamedTuple):
    """Whom the kernel would kill so many seconds from now."""

    seconds: float
    ranking: Ranking


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is known after a sample."""

    sample: Sample
    number: int
    """Samples since the beginning, this one included."""
    ranking: Ranking
    rows: tuple[Row, ...]
    headroom_bytes: int | None
    headroom_slope: Slope | None
    """Bytes per second."""
    run_out: RunOut | None
    scope: ScopeGrowth
    futures: tuple[Future, ...]
    """At the earliest, the likeliest and the latest time at which nothing is left."""
    ended: tuple[Task, ...] = ()
    """Listed before and gone now."""
    restarted: bool = False
    """What was known before was of another boot, or later: it was dropped."""
