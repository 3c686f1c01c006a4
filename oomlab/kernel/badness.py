"""Badness from 2.6.36 on, and /proc/PID/oom_score: integer arithmetic as the kernel does it."""

from __future__ import annotations

from collections.abc import Callable

from .facts import Facts

OOM_SCORE_ADJ_MIN = -1000
OOM_SCORE_ADJ_MAX = 1000


def c_divide(dividend: int, divisor: int) -> int:
    """Divide as C does: toward zero."""
    quotient = abs(dividend) // abs(divisor)
    return quotient if (dividend < 0) == (divisor < 0) else -quotient


def wrap_signed(value: int, bits: int) -> int:
    """Reduce to a signed C integer of ``bits`` bits."""
    half = 1 << (bits - 1)
    return ((value + half) & ((1 << bits) - 1)) - half


def wrap_unsigned(value: int, bits: int) -> int:
    """Reduce to an unsigned C integer of ``bits`` bits."""
    return value & ((1 << bits) - 1)


Points = Callable[[int, int, bool], int]
"""(used pages, oom_score_adj, root) to badness."""


def badness_formula(facts: Facts, totalpages: int, word_bits: int = 64) -> Points:
    """Return the badness of killable tasks that are not at -1000, as a function.

    It takes the pages that the era counts (RSS, swap entries, page tables), oom_score_adj, and
    whether the task has effective CAP_SYS_ADMIN in the initial user namespace. The unit of
    its result is pages from 3.5 on and thousandths of ``totalpages`` from 2.6.36 to 3.4.
    Source: oom_badness() in mm/oom_kill.c, 2.6.36 to 7.3; the changes are in facts.py.
    """
    grain = totalpages // 1000

    def signed(used_pages: int, oom_score_adj: int, _root: bool) -> int:
        return used_pages + oom_score_adj * grain

    def pages(used_pages: int, oom_score_adj: int, root: bool) -> int:
        if root and facts.root_bonus == "3% usage":
            used_pages -= 3 * used_pages // 100
        elif root and facts.root_bonus == "30 adj":
            oom_score_adj -= 30
        return max(1, used_pages + oom_score_adj * grain)

    def thousandths(used_pages: int, oom_score_adj: int, root: bool) -> int:
        points = _thousandths_used(facts.points_type, used_pages, totalpages or 1, word_bits)
        if root:
            points -= c_divide(3 * points, 100) if facts.root_bonus == "3% points" else 30
        points += oom_score_adj
        return 1 if points <= 0 else min(points, 1000)

    return {"signed": signed, "pages": pages, "permille": thousandths}[facts.formula]


def _thousandths_used(points_type: str, used_pages: int, totalpages: int, word_bits: int) -> int:
    if points_type == "int":
        # Every step is a 32-bit int, so from 8 GiB on the product wraps (CVE-2011-4097).
        product = wrap_signed(wrap_signed(used_pages, 32) * 1000, 32)
        return wrap_signed(wrap_unsigned(product, word_bits) // totalpages, 32)
    points = wrap_unsigned(used_pages * 1000, word_bits) // totalpages
    return wrap_signed(points, 32) if points_type == "int result" else points


def oom_score_formula(facts: Facts, totalpages: int, word_bits: int = 64) -> Callable[[int], int]:
    """Return what /proc/PID/oom_score prints for the badness of a killable task, as a function.

    ``totalpages`` is always the machine's RAM plus swap here, whatever limit an OOM is about.
    Source: proc_oom_score() in fs/proc/base.c; 9066e5cfb73c (in v5.9) made the value signed.

    >>> from oomlab.kernel.eras import era_of
    >>> oom_score_formula(era_of("6.1").facts, 2097152)(1516)
    666
    """

    def signed(points: int) -> int:
        scaled = points * 1000
        if word_bits == 32:
            scaled = wrap_signed(scaled, 32)
        # C divides toward zero, twice.
        n = 1000 + (scaled // totalpages if scaled >= 0 else -(-scaled // totalpages))
        return n * 2 // 3 if n >= 0 else -(-n * 2 // 3)

    def pages(points: int) -> int:
        return wrap_unsigned(points * 1000, word_bits) // totalpages

    def as_it_is(points: int) -> int:
        return points

    return {"signed": signed, "pages": pages}.get(facts.formula, as_it_is)


def printed_score(facts: Facts, points: int, totalpages: int, word_bits: int = 64) -> int | None:
    """Return the "score" of the kill line for badness ``points``; None where the line has none.

    ``totalpages`` is the OOM's own: a cgroup's limit in a cgroup's OOM.
    Source: oom_kill_process() in mm/oom_kill.c, 2.6.16 to 5.0.
    """
    if facts.printed_score == "none":
        return None
    if facts.printed_score == "badness":
        return points
    return wrap_unsigned(wrap_unsigned(points * 1000, word_bits) // totalpages, 32)


def badness_range(facts: Facts, score: int, totalpages: int) -> tuple[int, int] | None:
    """Return the lowest and highest badness that print as ``score``; None where it says nothing.

    What oom_score reveals of a task whose memory can't be read: a thousandth of totalpages.
    A printed 0 may also be an unkillable task, so it bounds nothing from below.
    """
    if facts.formula == "legacy" or score <= 0 or totalpages <= 0:
        return None
    if facts.formula == "permille":
        return score, score
    if facts.formula == "pages":
        return -(-score * totalpages // 1000), -(-(score + 1) * totalpages // 1000) - 1
    first, last = -(-3 * score // 2) - 1000, -(-3 * (score + 1) // 2) - 1001
    return _lowest_with(first, totalpages), _highest_with(last, totalpages)


def _lowest_with(thousandths: int, totalpages: int) -> int:
    """Return the least b for which trunc(b * 1000 / totalpages) is ``thousandths``."""
    if thousandths > 0:
        return -(-thousandths * totalpages // 1000)
    return (thousandths - 1) * totalpages // 1000 + 1


def _highest_with(thousandths: int, totalpages: int) -> int:
    if thousandths < 0:
        return thousandths * totalpages // 1000
    return -(-(thousandths + 1) * totalpages // 1000) - 1
