"""What all snippets share: comment lines, and notes on what an owner's one value leaves open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import wrap

from ...analysis.owners import Kind, Owner, keeps_promise
from ...analysis.suggestion import AdjChange, Suggestion
from ...memcg import Memcg
from ..escape import printable

_WIDTH = 92
_MOST_NAMED = 5
_ROOM_PERCENT = 25
_MIB = 1 << 20


def comment(text: str) -> list[str]:
    """Return text as lines of comment, which all the forms begin with ``#``."""
    return [f"# {line}" for line in wrap(printable(text), _WIDTH)]


def left_over(rest: Sequence[AdjChange], what: str) -> list[str]:
    """Return the comment that names the changes that this form can't express."""
    if not rest:
        return []
    names = [f"{c.task.pid} ({c.task.comm}) {c.after}" for c in rest[:_MOST_NAMED]]
    more = f" and {len(rest) - _MOST_NAMED} more" if len(rest) > _MOST_NAMED else ""
    return comment(f"Not {what}, so not set here: {', '.join(names)}{more}. See --as choom.")


def promise_notes(found: Suggestion, owners: Iterable[Owner], kind: Kind) -> list[str]:
    """Return the comments on what one value for all of an owner's processes does not do."""
    owners = list(owners)
    lines = []
    for owner in owners:
        if owner.mixed:
            lines += comment(
                f"{owner.name}: some of it is protected and some sacrificed; one value for all "
                "can't do both."
            )
        if owner.lower_now:
            names = ", ".join(f"{t.pid} ({t.comm}) {t.oom_score_adj}" for t in owner.lower_now[:3])
            lines += comment(
                f"Now lower: {names}. Where {owner.name} sets that itself, this value replaces it: "
                "keep the lower one if the others set their own."
            )
    if not any(owner.mixed for owner in owners) and not keeps_promise(found, owners, kind):
        lines += comment(
            "With one value for all processes of each the promise does not hold for every one of "
            "them: protect the whole of it, or move the others elsewhere."
        )
    return lines


def limit_bytes(found: Suggestion, path: str) -> int | None:
    """Return a limit that leaves a cgroup a quarter more than it uses, in whole MiB."""
    used = next((m.usage_pages for m in _memcgs(found) if m.path == path), None)
    if used is None:
        return None
    wanted = used * found.ranking.snapshot.machine.page_size * (100 + _ROOM_PERCENT) // 100
    return -(-wanted // _MIB) * _MIB


def _memcgs(found: Suggestion) -> Sequence[Memcg]:
    return found.ranking.snapshot.memcgs or ()
