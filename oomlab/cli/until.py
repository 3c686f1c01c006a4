"""Conditions that end a watch: ``victim=NAME``, ``headroom<1G``, ``verdict=leak-like``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import get_args

from ..analysis.growth.judge import Verdict
from ..analysis.growth.view import View
from ..errors import InputError
from ..units import parse_size

Condition = Callable[[View], bool]

_FORM = re.compile(r"(victim|verdict)=(.+)|headroom<(.+)", re.DOTALL)


def parse_condition(text: str) -> Condition:
    """Return the condition that ``text`` states. Raises InputError where it states none."""
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise InputError(
            f"--until {text!r} is no condition (write victim=NAME, headroom<1G or "
            "verdict=leak-like)"
        )
    what, name, size = match.groups()
    if size is not None:
        least_bytes = parse_size(size)
        return lambda view: view.headroom_bytes is not None and view.headroom_bytes < least_bytes
    if what == "victim":
        return lambda view: is_victim(view, name)
    if name not in get_args(Verdict):
        raise InputError(f"no verdict {name!r}; there are: {', '.join(get_args(Verdict))}")
    return lambda view: any(row.judgement.verdict == name for row in view.rows)


def is_victim(view: View, name_or_pid: str) -> bool:
    """Tell whether the kernel would surely kill that process if memory ran out now."""
    possible = view.ranking.possible_victims
    return bool(possible) and all(
        name_or_pid in (str(score.task.pid), score.task.comm) for score in possible
    )
