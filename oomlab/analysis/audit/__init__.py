"""What in a machine's settings would surprise its owner when memory runs out."""

from __future__ import annotations

from ...kernel.eras import Era
from ...kernel.evidence import pick_era
from ...snapshot import Snapshot
from .cgroups import silent_kills, swap_beside_a_limit, unkillable_cgroups, workers_of_containers
from .finding import SEVERITIES, Facts, Finding, gather
from .processes import inherited, larger_than_half, settings_of_the_machine, vital_before_batch

__all__ = ["CHECKS", "SEVERITIES", "Finding", "audit"]

CHECKS = (
    settings_of_the_machine,
    larger_than_half,
    inherited,
    vital_before_batch,
    unkillable_cgroups,
    swap_beside_a_limit,
    workers_of_containers,
    silent_kills,
)
"""Each takes what is known of a machine and returns its findings."""


def audit(snapshot: Snapshot, *, kernel: str | Era | None = None) -> list[Finding]:
    """Return what is found, the severest first.

    Raises InputError where the kernel's rules or totalpages can't be known.
    """
    era = kernel if isinstance(kernel, Era) else pick_era(snapshot, kernel)
    facts: Facts = gather(snapshot, era)
    found = [finding for check in CHECKS for finding in check(facts)]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))
