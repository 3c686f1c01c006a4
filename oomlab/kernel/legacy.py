"""Badness from 2.6.11 to 2.6.35: the size of the address space and a heap of factors.

Source: badness() in mm/oom_kill.c of these releases; the changes are in history.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isqrt
from typing import NamedTuple

from .adjust import OOM_DISABLE
from .facts import Facts

CAP_SYS_RAWIO, CAP_SYS_ADMIN, CAP_SYS_RESOURCE = 1 << 17, 1 << 21, 1 << 24


class LegacyInputs(NamedTuple):
    """All that badness() looked at; memory in pages."""

    total_vm_pages: int
    children_pages: Sequence[int] = ()
    """total_vm of each child that has another memory map."""
    cpu_root: int = 0
    run_root: int = 0
    nice: int = 0
    cap_effective: int = 0
    uid: int | None = None
    euid: int | None = None
    disjoint: bool = False
    """Its allowed memory nodes don't meet those of the task that asks."""
    oom_adj: int = 0
    origin: bool = False
    """It is inside swapoff, or (2.6.32 on) undoing KSM's merging."""


def shift_hz(hz: int) -> int:
    """Return SHIFT_HZ, the kernel's rough logarithm of its timer frequency.

    >>> [shift_hz(hz) for hz in (100, 250, 300, 1000)]
    [7, 8, 8, 10]
    """
    shift = 4
    while hz >= 24 << (shift - 4):
        shift += 1
    return shift


def cpu_shift(hz: int) -> int:
    """Return how far CPU time in jiffies is shifted before its root is taken."""
    return shift_hz(hz) + 3


def cpu_root(jiffies: int, hz: int) -> int:
    """Return the divisor for CPU time (0 divides nothing); its unit is about 8 seconds."""
    return isqrt(jiffies >> cpu_shift(hz))


def run_root(seconds: int) -> int:
    """Return the divisor for the time since the start; its unit is 1024 seconds."""
    return isqrt(isqrt(max(0, seconds) >> 10))


def legacy_badness(facts: Facts, given: LegacyInputs, word_bits: int = 64) -> int:
    """Return badness() of a task that has a memory map: an unsigned long.

    >>> from oomlab.kernel.eras import era_of
    >>> facts = era_of("2.6.32").facts
    >>> legacy_badness(facts, LegacyInputs(25600, children_pages=[2560], run_root=2, oom_adj=3))
    107520
    """
    return legacy_formula(facts, word_bits)(given)


def legacy_formula(facts: Facts, word_bits: int) -> Callable[[LegacyInputs], int]:
    """Return the one badness() that applies, for calling it many times."""
    mask = (1 << word_bits) - 1
    by_uid = facts.legacy_superuser == "uid or admin"
    superuser = CAP_SYS_ADMIN if by_uid else CAP_SYS_ADMIN | CAP_SYS_RESOURCE
    least_raised = 1 if facts.legacy_bump else 0
    full, disjoint_counts = facts.legacy_children == "full", facts.legacy_disjoint

    def badness(given: LegacyInputs) -> int:
        points, children, cpu, run, nice, caps, uid, euid, disjoint, oom_adj, origin = given
        if oom_adj == OOM_DISABLE and facts.legacy_disabled:
            return 0
        if origin and facts.legacy_origin:
            return mask
        for pages in children:
            points += pages if full else pages // 2 + 1
        points &= mask
        points //= cpu or 1
        points //= run or 1
        if nice > 0:
            points = points * 2 & mask
        if caps & superuser or (by_uid and (uid == 0 or euid == 0)):
            points //= 4
        if caps & CAP_SYS_RAWIO:
            points //= 4
        if disjoint and disjoint_counts:
            points //= 8
        if oom_adj <= 0:
            return points >> -oom_adj
        return (points or least_raised) << oom_adj & mask

    return badness
