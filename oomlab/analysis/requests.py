"""Kubernetes sets oom_score_adj itself, from requests: which requests give a wished value.

A Guaranteed pod's containers get -997, a BestEffort pod's 1000. A Burstable pod's container gets
1000 less its memory request in thousandths of the node's memory, rounded down, kept within 3 and
999. Source: GetContainerOOMScoreAdjust() in pkg/kubelet/qos/policy.go of Kubernetes.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from ..units import KIB
from .killers.kubelet import BEST_EFFORT_ADJ, GUARANTEED_ADJ, LEAST_BURSTABLE_ADJ, burstable_adj

_MIB = KIB * KIB


class Request(NamedTuple):
    """The class and memory request whose oom_score_adj is nearest beyond the one wished for."""

    qos: Literal["Guaranteed", "Burstable", "BestEffort"]
    memory_bytes: int | None
    """The memory request; None where the class alone decides."""
    oom_score_adj: int


def request_for(wished: int, capacity_bytes: int, *, at_most: bool) -> Request | None:
    """Return what gives an oom_score_adj of ``wished`` or the nearest beyond; None if nothing does.

    ``at_most``: a lower one will do as well, as for a process to protect; else a higher one.
    Requests are whole MiB.

    >>> request_for(750, 16 << 30, at_most=True)
    Request(qos='Burstable', memory_bytes=4294967296, oom_score_adj=750)
    """
    if at_most:
        return _at_most(wished, capacity_bytes)
    if wished <= GUARANTEED_ADJ:
        return Request("Guaranteed", None, GUARANTEED_ADJ)
    if wished >= BEST_EFFORT_ADJ:
        return Request("BestEffort", None, BEST_EFFORT_ADJ)
    # The most whole MiB whose thousandths, rounded down, do not exceed what is allowed.
    most = ((1001 - max(wished, LEAST_BURSTABLE_ADJ)) * capacity_bytes - 1) // 1000
    request = min(most, capacity_bytes) // _MIB * _MIB
    return Request("Burstable", request, burstable_adj(request, capacity_bytes))


def _at_most(wished: int, capacity_bytes: int) -> Request | None:
    if wished < GUARANTEED_ADJ:
        return None
    if wished < LEAST_BURSTABLE_ADJ:
        return Request("Guaranteed", None, GUARANTEED_ADJ)
    if wished >= BEST_EFFORT_ADJ:
        return Request("BestEffort", None, BEST_EFFORT_ADJ)
    least = -(-(1000 - wished) * capacity_bytes // 1000)
    request = max(_MIB, -(-least // _MIB) * _MIB)  # a request makes the pod Burstable
    return Request("Burstable", request, burstable_adj(request, capacity_bytes))
