"""Kubernetes: oom_score_adj can't be set, so what requests and limits give the wished value."""

from __future__ import annotations

import json

from ...analysis.owners import Owner, owners_of, pod_container_key
from ...analysis.requests import Request, request_for
from ...analysis.suggestion import Suggestion
from ...errors import InputError
from .text import comment, left_over, limit_bytes, promise_notes

_MIB = 1 << 20
_FORMULA = (
    "The kubelet sets oom_score_adj: -997 in Guaranteed pods, 1000 in BestEffort pods, and in "
    "Burstable pods 1000 - 1000 x memory request / memory of the node (rounded up), from 3 to 999."
)


def kubernetes_manifests(found: Suggestion) -> str:
    """Return a pod manifest for each container, with the requests that give its value."""
    if found.impossible:
        raise InputError(f"no setting does it: {found.impossible[0]}")
    machine = found.ranking.snapshot.machine
    if not machine.ram_pages:
        raise InputError(
            "the source does not tell the node's memory, which requests are weighed by"
        )
    capacity = machine.ram_pages * machine.page_size
    owners, rest = owners_of(found, pod_container_key)
    lines = [*comment(_FORMULA), *comment(f"This node has {capacity // _MIB}Mi of memory.")]
    known = found.ranking.snapshot.containers
    for owner in owners:
        if known and owner.container is None:
            lines += comment(
                f"{owner.name} is no container of a pod's spec (its sandbox): as it is."
            )
            continue
        wanted = request_for(owner.value, capacity, at_most=owner.protects)
        lines += _manifest(found, owner, wanted) if wanted else _none(owner)
    lines += promise_notes(found, owners, pod_container_key)
    lines += left_over(rest, "in a pod's container")
    return "\n".join(lines) + "\n"


def _none(owner: Owner) -> list[str]:
    return comment(
        f"{owner.name} would need {owner.value}, which no request gives: the lowest is -997, of a "
        "Guaranteed pod. Give those who shall die before it requests of less, or none."
    )


def _manifest(found: Suggestion, owner: Owner, wanted: Request) -> list[str]:
    known = owner.container
    pod = known.pod if known and known.pod else f"pod-{(owner.place.pod_uid or '')[:8]}"
    image = known.image if known and known.image else "IMAGE"
    space = known.namespace if known and known.namespace else "default"
    wished = "at most" if owner.protects else "at least"
    return [
        "---",
        *comment(f"{owner.name}: {wished} {owner.value} is wished for; {_said(wanted)}"),
        "apiVersion: v1",
        "kind: Pod",
        "metadata:",
        f"  name: {json.dumps(pod)}",
        f"  namespace: {json.dumps(space)}",
        "spec:",
        "  containers:",
        f"  - name: {json.dumps(owner.name)}",
        f"    image: {json.dumps(image)}",
        *_resources(wanted, limit_bytes(found, owner.place.path)),
    ]


def _said(wanted: Request) -> str:
    text = f"{wanted.qos} gives {wanted.oom_score_adj}."
    if wanted.qos == "Guaranteed":
        text += (
            " Every container of the pod needs limits equal to its requests, of CPU and of memory;"
            " put in what it needs (memory here: a quarter above what it uses now)."
        )
    if wanted.qos == "BestEffort":
        text += " No container of the pod may have a request or limit."
    return text


def _resources(wanted: Request, needs_bytes: int | None) -> list[str]:
    if wanted.qos == "BestEffort":
        return ["    resources: {}"]
    if wanted.qos == "Guaranteed":
        amount = ['cpu: "1"', f"memory: {(needs_bytes or 1 << 30) // _MIB}Mi"]
        lines = ["    resources:"]
        for kind in ("requests", "limits"):
            lines += [f"      {kind}:", *(f"        {one}" for one in amount)]
        return lines
    mib = (wanted.memory_bytes or 0) // _MIB
    return ["    resources:", "      requests:", f"        memory: {mib}Mi"]
