"""What the listings of all killers share: the kernel's own choice, the JSON document's frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...analysis.ranking import Ranking
from ...snapshot import Snapshot
from ..documents import gap_entries
from ..ranking import killed_text, seen_text

SCHEMA = "oomlab.killer/1"


def kernel_sentence(ranking: Ranking) -> str:
    """Return whom the kernel itself would kill, for comparison."""
    possible = ranking.possible_victims
    if not possible:
        return "The kernel itself would find nobody to kill."
    if len(possible) > 1:
        return f"The kernel itself would kill one of {len(possible)} processes."
    return f"The kernel itself would kill {killed_text(ranking)}{seen_text(ranking)}."


def frame(
    killer: str,
    rules: str,
    heading: Sequence[str],
    snapshot: Snapshot,
    candidates: list[dict[str, Any]],
    more: dict[str, Any],
) -> dict[str, Any]:
    """Return the JSON document ``oomlab.killer/1``."""
    return {
        "schema": SCHEMA,
        "killer": killer,
        "rules_of": rules,
        "heading": list(heading),
        **more,
        "candidates": candidates,
        "gaps": gap_entries(snapshot),
    }


def shown_places(places: tuple[int, int] | None) -> str:
    """Return a place, a range where it can't be known, a dash for who is passed over."""
    if places is None:
        return "-"
    best, worst = places
    return str(best) if best == worst else f"{best}-{worst}"
