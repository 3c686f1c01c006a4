"""What a cluster declares about a pod: requests and priority, which no file of the node shows.

Source: the Kubernetes API, core/v1 Pod, as ``kubectl get pods -o json`` prints it.
"""

from __future__ import annotations

from typing import NamedTuple


class PodContainer(NamedTuple):
    """One container of a pod's specification."""

    name: str
    memory_request_bytes: int = 0
    init: bool = False
    """Among spec.initContainers: it runs before the others."""
    sidecar: bool = False
    """An init container with restartPolicy Always: it goes on beside the others (1.28)."""


class Pod(NamedTuple):
    """A pod's specification, as far as it decides who is evicted."""

    uid: str
    namespace: str
    name: str
    priority: int = 0
    priority_class: str | None = None
    qos: str | None = None
    """status.qosClass: Guaranteed, Burstable or BestEffort."""
    containers: tuple[PodContainer, ...] = ()
    pod_request_bytes: int | None = None
    """spec.resources.requests.memory: for the pod as a whole (1.32)."""
    overhead_bytes: int = 0
    """spec.overhead.memory, which a RuntimeClass adds."""
    static: bool = False
    """The kubelet's own, from a file: the cluster has a mirror of it only."""
    static_uid: str | None = None
    """Such a pod's name on the node (annotation kubernetes.io/config.hash)."""
