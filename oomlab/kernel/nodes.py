"""Lists of memory nodes as the kernel prints them: ``0-1,3``."""

from __future__ import annotations

from functools import lru_cache

from ..errors import InputError


@lru_cache(maxsize=256)
def nodes_in(text: str) -> frozenset[int]:
    """Return the node numbers of a list. Raises InputError where it is not one.

    >>> sorted(nodes_in("0-1,3"))
    [0, 1, 3]
    """
    nodes: set[int] = set()
    try:
        for part in filter(None, text.strip().split(",")):
            first, _, last = part.partition("-")
            nodes.update(range(int(first), int(last or first) + 1))
    except ValueError:
        raise InputError(f"{text[:40]!r} is not a list of memory nodes (such as 0-1,3)") from None
    return frozenset(nodes)
