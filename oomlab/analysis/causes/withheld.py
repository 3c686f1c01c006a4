"""Memory that the machine has and its allocator has not: a balloon's, or taken out of RAM."""

from __future__ import annotations

from ...report import OomReport
from ...units import KIB, human
from .cause import SHARE, Cause
from .figures import Figures


def balloon(_report: OomReport, figures: Figures) -> Cause | None:
    """A balloon that the kernel counts (6.17 and newer)."""
    pages, total = figures.counter("Balloon"), figures.total_pages
    if not pages or not total:
        return None
    beside = figures.balloon_is_outside
    if pages * 100 < (total + pages * beside) * SHARE["device"]:
        return None
    left, held = human(total * figures.page_size), human(pages * figures.page_size)
    return Cause(
        "a balloon of the hypervisor",
        (
            f"{held} of balloon, {'which leaves' if beside else 'in'} {left} of RAM",
            figures.words("Balloon"),
        ),
        "The host took memory back from this machine: see its setting there.",
        pages,
    )


_OWN_BYTES = 128 * KIB * KIB
"""The kernel's own code, data and tables are hardly more,"""
_OWN_SHARE = 50
"""and one page in fifty, which describes the others."""


def taken_out(_report: OomReport, figures: Figures) -> Cause | None:
    """Pages that the machine has and its allocator has not, beyond the kernel's own."""
    total, present = figures.total_pages, figures.present_pages
    if not figures.is_machine or total is None or not present or figures.counter("Balloon"):
        return None
    own = _OWN_BYTES // figures.page_size + present // _OWN_SHARE
    taken = present - total
    if (taken - own) * 100 < present * SHARE["taken out"]:
        return None
    size = figures.page_size
    return Cause(
        "memory taken out of RAM",
        (
            f"{human(taken * size)} of {human(present * size)} are no RAM to the allocator",
            f"{present} pages RAM, {taken} of them reserved",
        ),
        "A balloon of the hypervisor takes its pages out of RAM and leaves no other trace: see the "
        "machine's setting on the host. crashkernel= and firmware reserve memory at boot.",
        taken - own,
    )
