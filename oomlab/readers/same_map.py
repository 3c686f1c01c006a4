"""Which processes are on one memory map (CLONE_VM): no file tells, kcmp(2) does.

It answers where this process may look into both (ptrace access: one's own, or root's). Linux has
it with CONFIG_KCMP, which distributions set.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable
from functools import cmp_to_key
from itertools import pairwise

_SYSCALL = {
    "x86_64": 312,
    "i686": 349,
    "aarch64": 272,
    "riscv64": 272,
    "ppc64le": 354,
    "s390x": 343,
}
_KCMP_VM = 1
_ORDER = {0: 0, 1: -1, 2: 1}
"""kcmp() orders what it compares: equal, less, greater."""


def read_same_maps(pids: Iterable[int]) -> tuple[frozenset[int], ...]:
    """Return those of ``pids`` that can be compared, in sets that are on one memory map each.

    Who is alone on a map is a set of one; who can't be looked into is in none. Kernel threads and
    zombies have no map: they must not be among ``pids``.
    """
    compare = _kcmp()
    if compare is None:
        return ()
    seen = [pid for pid in pids if compare(pid, pid) == 0]

    def order(one: int, other: int) -> int:
        return _ORDER.get(compare(one, other), 0)

    seen.sort(key=cmp_to_key(order))
    maps: list[set[int]] = [{pid} for pid in seen[:1]]
    for before, pid in pairwise(seen):
        if compare(before, pid) == 0:
            maps[-1].add(pid)
        else:
            maps.append({pid})
    return tuple(map(frozenset, maps))


def _kcmp() -> Callable[[int, int], int] | None:
    """Return a function that compares two processes' memory maps, -1 where it may not."""
    import ctypes

    number = _SYSCALL.get(platform.machine())
    if number is None:
        return None
    syscall = ctypes.CDLL(None).syscall

    def compare(one: int, other: int) -> int:
        return int(syscall(number, one, other, _KCMP_VM, 0, 0))

    return compare if compare(os.getpid(), os.getpid()) == 0 else None
