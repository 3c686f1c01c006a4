"""The scope of a watch in words: what is left, what it holds, when it runs out, who dies then."""

from __future__ import annotations

from math import isfinite

from ..analysis.growth.forecast import RunOut
from ..analysis.growth.view import View
from ..analysis.ranking import Ranking
from ..units import duration, human
from .ranking import named
from .rates import interval_text, per_minute, signed, verdict_text

_SCOPE_NAMES = {"anon": "anonymous", "file": "page cache", "shmem": "shmem", "swap": "in swap"}


def headroom_text(view: View) -> str:
    """Return what is left, how it changes, when nothing will be and who dies then."""
    if view.headroom_bytes is None:
        return "How much is left can't be known here."
    memcg = view.ranking.scope.memcg
    where = f"memory cgroup {memcg}" if memcg is not None else "the machine (available and swap)"
    text = f"Left in {where}: {human(view.headroom_bytes)}"
    if view.headroom_slope is None:
        return f"{text}."
    if view.run_out is None:
        surely = view.headroom_slope.high < 0
        how = "shrinking, with no end in sight" if surely else "not surely shrinking"
        return f"{text}, {how} ({interval_text(view.headroom_slope)})."
    rate, when = interval_text(view.headroom_slope), run_out_text(view.run_out)
    return f"{text}, {rate}: {when}. {then_text(view)}"


def scope_text(view: View) -> str:
    """Return what the scope holds by kind, how that grows, and the verdict on it."""
    one = view.scope
    if not one.sizes:
        return "What it consists of can't be known here."
    held = [
        f"{human(size)} {_SCOPE_NAMES[kind]}{_rate(one.rates.get(kind))}"
        for kind, size in one.sizes.items()
        if size or one.rates.get(kind)
    ]
    text = f"There: {', '.join(held) or 'nothing'}"
    if one.minor_faults_per_second is not None and one.major_faults_per_second is not None:
        faults = f"{one.minor_faults_per_second:.0f} minor and {one.major_faults_per_second:.0f}"
        text += f"; {faults} major faults a second"
    return f"{text}. Without the page cache: {verdict_text(one.judgement)}"


def _rate(per_second: float | None) -> str:
    return "" if per_second is None else f" ({signed(per_minute(per_second))} a minute)"


def run_out_text(out: RunOut) -> str:
    """Return when nothing will be left, with the bounds."""
    text = f"at this rate nothing is left in {duration(out.seconds)}"
    if not isfinite(out.latest_seconds):
        return f"{text} ({duration(out.earliest_seconds)} at the earliest)"
    return f"{text} ({duration(out.earliest_seconds)} to {duration(out.latest_seconds)})"


def then_text(view: View) -> str:
    """Return whom the kernel would kill when nothing is left."""
    names: list[str] = []
    for future in view.futures:
        name = _victim_name(future.ranking)
        if name not in names:
            names.append(name)
    return f"The kernel would then kill {' or '.join(names)}."


def _victim_name(ranking: Ranking) -> str:
    possible = ranking.possible_victims
    if not possible:
        return "nobody"
    text = " or ".join(named(score.task) for score in possible[:3])
    return text if len(possible) <= 3 else f"{text} or others"
