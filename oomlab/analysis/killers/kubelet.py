"""The kubelet's order of eviction under memory pressure, and the oom_score_adj that it sets.

Sources: "Node-pressure Eviction" in the Kubernetes documentation; rankMemoryPressure() in
pkg/kubelet/eviction/helpers.go, PodRequests() in k8s.io/component-helpers/resource and
GetContainerOOMScoreAdjust() in pkg/kubelet/qos/policy.go, as of Kubernetes 1.34.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from ...errors import InputError
from ...kernel.scope import system_scope
from ...memcg import UNLIMITED_PAGES, Memcg
from ...pods import Pod, PodContainer
from ...snapshot import Snapshot
from ..cgroups import name_of
from ..places import Place, place_of
from ..ranking import Ranking, rank
from .partial import Places, places_of

CRITICAL_PRIORITY = 2_000_000_000
"""From here on (system-cluster-critical) a pod is never evicted, nor is a static one."""
NODE_CRITICAL = "system-node-critical"
GUARANTEED_ADJ = -997
BEST_EFFORT_ADJ = 1000
LEAST_BURSTABLE_ADJ = 1000 + GUARANTEED_ADJ
"""3 since Guaranteed has -997; the documentation still says 2."""


class Candidate(NamedTuple):
    """A pod on the node. What is None is unknown."""

    memcg: Memcg
    name: str
    """namespace/name where known."""
    qos: str | None
    priority: int | None
    request_bytes: int | None
    working_set_bytes: int | None
    critical: bool | None
    """Never evicted, although it has a place in the order."""
    adj: tuple[int, ...] | None
    """What oom_score_adj the kubelet gives its containers, without init containers that end."""
    places: Places = (1, 1)

    @property
    def over_bytes(self) -> int | None:
        """Memory in use above the request, negative below it."""
        if self.working_set_bytes is None or self.request_bytes is None:
            return None
        return self.working_set_bytes - self.request_bytes

    @property
    def exceeds(self) -> bool | None:
        """Whether it uses more than it requested."""
        return None if self.over_bytes is None else self.over_bytes > 0


@dataclass(frozen=True, kw_only=True)
class KubeletRanking:
    """The pods of a node, first evicted first."""

    snapshot: Snapshot
    kernel: Ranking
    candidates: tuple[Candidate, ...]
    declared: bool
    """Whether requests and priorities were given."""
    elsewhere: int
    """Pods that were given but are not on this node."""

    @property
    def first(self) -> tuple[Candidate, ...]:
        """Return those that may be evicted first; critical pods are passed over.

        A pod of which that is unknown is taken for one that is not critical.
        """
        listed = [one for one in self.candidates if not one.critical]
        return tuple(one for one in listed if not any(_before(other, one) for other in listed))


def rank_kubelet(
    snapshot: Snapshot, pods: Iterable[Pod] | None = None, *, kernel: str | None = None
) -> KubeletRanking:
    """Rank a node's pods as the kubelet would evict them when memory runs low.

    ``pods`` tells requests and priorities, which the node itself does not show: without them
    the request of a Guaranteed pod is its limit and that of a BestEffort pod 0, and all else is
    unknown. Raises InputError where the snapshot shows no pods.
    """
    found = [(memcg, place_of(memcg.path)) for memcg in snapshot.memcgs or ()]
    own = [(m, p) for m, p in found if p.kind == "pod" and p.pod_uid and not p.below]
    if not own:
        raise InputError("the source shows no Kubernetes pods (no cgroups below kubepods)")
    declared = {} if pods is None else {uid: pod for pod in pods for uid in _uids(pod)}
    weighed = [_weigh(snapshot, *one, declared.get(_plain(one[1].pod_uid))) for one in own]
    placed = [
        one._replace(places=places)
        for one, places in zip(weighed, places_of(weighed, _before), strict=True)
    ]
    here = {_plain(place.pod_uid) for _, place in own}
    return KubeletRanking(
        snapshot=snapshot,
        kernel=rank(snapshot, kernel=kernel, scope=system_scope(snapshot)),
        candidates=tuple(sorted(placed, key=lambda one: (sum(one.places), one.places, one.name))),
        declared=pods is not None,
        elsewhere=len({pod for uid, pod in declared.items() if not here & set(_uids(pod))}),
    )


def _uids(pod: Pod) -> list[str]:
    """Return what the pod may be called in cgroup paths: a static one by its file's hash."""
    return [_plain(uid) for uid in (pod.static_uid, pod.uid) if uid]


def _plain(uid: str | None) -> str:
    return (uid or "").replace("-", "").replace("_", "").lower()


def _weigh(snapshot: Snapshot, memcg: Memcg, place: Place, pod: Pod | None) -> Candidate:
    page_size = snapshot.machine.page_size
    name = name_of(snapshot, place)
    working_set = _working_set_bytes(memcg, page_size)
    if pod is None:
        request = _implied_request_bytes(memcg, place.qos, page_size)
        # A node-critical pod has -997 in any class: only Guaranteed is sure of its own.
        known = (GUARANTEED_ADJ,) if place.qos == "Guaranteed" else None
        return Candidate(memcg, name, place.qos, None, request, working_set, None, known)
    qos = pod.qos or place.qos
    ram = snapshot.machine.ram_pages
    set_adj = None if ram is None else tuple(sorted(set(container_adjs(pod, qos, ram * page_size))))
    return Candidate(
        memcg,
        f"{pod.namespace}/{pod.name}",
        qos,
        pod.priority,
        pod_request_bytes(pod),
        working_set,
        is_critical(pod),
        set_adj,
    )


def _working_set_bytes(memcg: Memcg, page_size: int) -> int | None:
    """Return usage without inactive file cache, as cAdvisor reports it."""
    if memcg.usage_pages is None or memcg.inactive_file_pages is None:
        return None
    return max(0, memcg.usage_pages - memcg.inactive_file_pages) * page_size


def _implied_request_bytes(memcg: Memcg, qos: str | None, page_size: int) -> int | None:
    """Return what the class alone tells: requests are the limits, or there are none."""
    if qos == "BestEffort":
        return 0
    limit = memcg.limit_pages
    if qos != "Guaranteed" or limit is None or limit == UNLIMITED_PAGES:
        return None
    return limit * page_size


def pod_request_bytes(pod: Pod) -> int:
    """Return a pod's memory request.

    The containers together, or more where an init container beside the sidecars before it
    needs more; what the pod requests as a whole replaces that; overhead comes on top.
    """
    sidecars = peak = 0
    for one in pod.containers:
        if one.sidecar:
            sidecars += one.memory_request_bytes
            peak = max(peak, sidecars)
        elif one.init:
            peak = max(peak, sidecars + one.memory_request_bytes)
    regular = sum(one.memory_request_bytes for one in pod.containers if not one.init)
    request = max(peak, regular + sidecars)
    if pod.pod_request_bytes is not None:
        request = pod.pod_request_bytes
    return request + pod.overhead_bytes


def is_critical(pod: Pod) -> bool:
    """Tell whether the kubelet never evicts the pod."""
    return pod.static or pod.priority >= CRITICAL_PRIORITY


def container_adjs(pod: Pod, qos: str | None, capacity_bytes: int) -> list[int]:
    """Return the oom_score_adj of each container that goes on running, in the pod's order.

    ``capacity_bytes`` is the machine's memory (MemTotal). Raises InputError where it is 0.
    """
    if capacity_bytes <= 0:
        raise InputError("the capacity of the node must be more than 0")
    lasting = [one for one in pod.containers if not one.init or one.sidecar]
    if is_critical(pod) and pod.priority_class == NODE_CRITICAL:
        return [GUARANTEED_ADJ] * len(lasting)
    if qos == "Guaranteed":
        return [GUARANTEED_ADJ] * len(lasting)
    if qos == "BestEffort":
        return [BEST_EFFORT_ADJ] * len(lasting)
    spare = _spare_per_container(pod)
    regular = [one.memory_request_bytes for one in pod.containers if not one.init]

    def adj(one: PodContainer) -> int:
        request = one.memory_request_bytes + spare
        if one.sidecar and regular:
            # A sidecar is no likelier to die than the likeliest of those it serves.
            request = max(request, min(regular) + spare)
        return burstable_adj(request, capacity_bytes)

    return [adj(one) for one in lasting]


def burstable_adj(request_bytes: int, capacity_bytes: int) -> int:
    """Return the oom_score_adj of a container of a Burstable pod.

    >>> [burstable_adj(request << 30, 16 << 30) for request in (0, 4, 16)]
    [999, 750, 3]
    """
    adj = 1000 - 1000 * request_bytes // capacity_bytes
    return min(max(LEAST_BURSTABLE_ADJ, adj), BEST_EFFORT_ADJ - 1)


def _spare_per_container(pod: Pod) -> int:
    """Return each container's share of what the pod requests beyond its containers (1.32)."""
    if pod.pod_request_bytes is None or not pod.containers:
        return 0
    asked = pod_request_bytes(pod._replace(pod_request_bytes=None, overhead_bytes=0))
    return max(0, pod.pod_request_bytes - asked) // len(pod.containers)


def _before(one: Candidate, other: Candidate) -> bool:
    """Tell whether ``one`` is surely ranked before ``other``."""
    return all(
        _before_if(one, other, mine, its)
        for mine in _may(one.exceeds)
        for its in _may(other.exceeds)
    )


def _may(known: bool | None) -> tuple[bool, ...]:
    return (True, False) if known is None else (known,)


def _before_if(one: Candidate, other: Candidate, mine: bool, its: bool) -> bool:
    """Compare by who exceeds the request, then by priority, then by how much is above it."""
    if mine != its:
        return mine
    if one.priority is None or other.priority is None:
        return False
    if one.priority != other.priority:
        return one.priority < other.priority
    over, others = one.over_bytes, other.over_bytes
    return over is not None and others is not None and over > others
