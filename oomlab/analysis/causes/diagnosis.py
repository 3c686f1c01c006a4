"""Why memory ran out: the causes that a report shows, the likeliest first, with evidence.

What limits comes first (whose limit, a decision, which zone), then what fills, the largest first.
Each cause is one function of the report and its figures.
"""

from __future__ import annotations

from collections.abc import Callable

from ...report import OomReport
from . import filling, holders, limits, withheld
from .cause import Cause, is_share
from .figures import Figures, figures_of
from .zones import free_again, zone_causes

_Find = Callable[[OomReport, Figures], Cause | None]
_LIMITS: tuple[_Find, ...] = (
    limits.manual,
    limits.program,
    limits.cgroup_limit,
    limits.cgroup_swap,
    limits.kept,
)
_FILLING: tuple[_Find, ...] = (
    limits.swap,
    holders.anonymous,
    filling.shmem,
    filling.slab,
    filling.tables,
    filling.stacks,
    filling.locked,
    filling.page_cache,
    filling.idle_hugepages,
    filling.used_hugepages,
    withheld.balloon,
    withheld.taken_out,
    filling.graphics,
    filling.compressed,
    filling.kernels_own,
    filling.in_no_counter,
    holders.protected,
    free_again,
)


def diagnose(report: OomReport, page_size: int, ram_pages: int | None) -> list[Cause]:
    """Return the causes of an out-of-memory event: what limits first, then what fills."""
    figures = figures_of(report, page_size, ram_pages)
    limiting = [found for find in _LIMITS if (found := find(report, figures)) is not None]
    using: list[Cause] = []
    for found in zone_causes(report, figures):
        # What is little beside RAM was only the last straw.
        little = (
            found.pages and figures.total_pages and not is_share(figures, "in a zone", found.pages)
        )
        (using if little else limiting).append(found)
    using += [found for find in _FILLING if (found := find(report, figures)) is not None]
    return limiting + sorted(using, key=lambda cause: -cause.pages)
