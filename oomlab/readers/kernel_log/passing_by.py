"""Which lines need not be taken apart: a look for a few words costs a tenth of that."""

from __future__ import annotations

import re

_AFTERWARDS = ("oom", "OOM", "Task", "panic", "nfo:", "{", "[s=", "__REALTIME", "_HOSTNAME")
_KILL = re.compile(r"[Kk]ill(?:ed|able)?(?=[ \t]*(?:$|process|as a|due))")
_OF_A_HEAD = (
    "kB", "KB", "cpuset=", "ages", "ctive", "evictable", "stats", "wap", "free", "slab", "mapped",
    "table", "misc", "dirty", "[]:",
)  # fmt: skip

_ROW = re.compile(r"\[ *\d+\](?: +\d+){4}")


def may_follow_kill(raw: str) -> bool:
    """Tell whether a line may be of an event that has had its kill, or begin another."""
    for word in _AFTERWARDS:  # for every line: no generator
        if word in raw:
            return True
    return "ill" in raw and _KILL.search(raw) is not None


def may_begin_cut_head(raw: str) -> bool:
    """Tell whether a line before a kill may be the first that is left of its report."""
    for word in _OF_A_HEAD:
        if word in raw:
            return True
    return may_follow_kill(raw) or _ROW.search(raw) is not None
