"""A cause: why memory ran out, what shows it, what to do; and from which share on it counts."""

from __future__ import annotations

from typing import NamedTuple

from ...units import human
from .figures import Figures

SHARE = {
    "anonymous": 50,
    "swappable": 10,
    "shmem": 20,
    "slab": 15,
    "page tables": 10,
    "kernel stacks": 10,
    "kernel of a cgroup": 30,
    "unevictable": 20,
    "huge pages": 10,
    "in no counter": 15,
    "taken out": 20,
    "page cache": 20,
    "device": 10,
    "compressed": 15,
    "kept by memory.min": 20,
    "protected": 10,
    "in a zone": 10,
}
"""Per cent of RAM (or of the cgroup's limit) from which on a use of memory is worth telling.

They only separate what is told from what is not: no number of the model rests on them.
"""


class Cause(NamedTuple):
    """One cause, the lines and figures that show it, and what to do about it."""

    cause: str
    evidence: tuple[str, ...]
    advice: str
    pages: int = 0
    """How much memory it explains: the larger comes first."""


def is_share(figures: Figures, name: str, pages: int | None) -> bool:
    """Tell whether so many pages are a share worth telling of what there is."""
    return bool(pages and figures.total_pages and pages * 100 >= figures.total_pages * SHARE[name])


def size(figures: Figures, pages: int) -> str:
    """Return pages as a human size, and the share of RAM or of the limit that they are."""
    total = figures.total_pages or 0
    of = "RAM" if figures.is_machine else "the limit"
    share = f", {pages * 100 // total} % of {of} ({human(total * figures.page_size)})"
    return f"{human(pages * figures.page_size)}{share if total else ''}"


def filled(
    figures: Figures, name: str, pages: int | None, what: str, advice: str, *words: str
) -> Cause | None:
    """Return a cause where one use of memory fills a share; ``words`` are the log's counters."""
    if pages is None or not is_share(figures, name, pages):
        return None
    shown = figures.words(*words)
    evidence = (f"{what}: {size(figures, pages)}", *([shown] if shown else []))
    return Cause(what, evidence, advice, pages)
