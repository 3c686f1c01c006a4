"""Pods out of what ``kubectl get pods -o json`` prints."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

from ..errors import SourceError
from ..pods import Pod, PodContainer
from ..units import KIB
from .saved import parse_json, read_text

_QUANTITY = re.compile(
    r"(\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})(?:([KMGTPE]i)|([numkMGTPE])|[eE]([+-]?\d{1,2}))?"
)
_BINARY = "KMGTPE"
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_MIRROR = "kubernetes.io/config.mirror"
_SOURCE = "kubernetes.io/config.source"
_HASH = "kubernetes.io/config.hash"
_GONE = ("Succeeded", "Failed")


def read_pods(source: str) -> tuple[Pod, ...]:
    """Read a file of pods ("-": standard input). Raises SourceError where it holds none."""
    name = "standard input" if source == "-" else source
    body = parse_json(read_text(None if source == "-" else Path(source)), name)
    return parse_pods(body, name)


def parse_pods(body: dict[str, Any], name: str = "pods") -> tuple[Pod, ...]:
    """Return the pods of a list, or the one pod, without those that have ended.

    Raises SourceError where the document is neither, or a field is not what the API has.
    """
    items = body.get("items") if "items" in body else [body]
    if not isinstance(items, list) or not all(_is_pod(item) for item in items):
        raise SourceError(
            f"{name}: no list of pods; write it with: kubectl get pods -A -o json > FILE"
        )
    try:
        pods = [_pod(item) for item in items]
    except (TypeError, AttributeError, ValueError) as error:
        raise SourceError(f"{name}: not as the Kubernetes API has pods ({error})") from error
    return tuple(pod for pod, phase in pods if phase not in _GONE)


def parse_quantity(text: str | int | float) -> int:
    """Return a Kubernetes quantity of memory in bytes, rounded up: 128Mi, 1.5G, 1e9, 512.

    Raises ValueError.
    """
    match = _QUANTITY.fullmatch(str(text).strip())
    if match is None:
        raise ValueError(f"{str(text)[:40]!r} is no quantity")
    number = Fraction(match[1] if match[1][0] != "." else f"0{match[1]}")
    if match[2]:
        number *= KIB ** (_BINARY.index(match[2][0]) + 1)
    elif match[3]:
        number *= Fraction(10) ** _DECIMAL[match[3]]
    elif match[4]:
        number *= Fraction(10) ** int(match[4])
    return -(-number.numerator // number.denominator)


def _is_pod(item: Any) -> bool:
    return (
        isinstance(item, dict)
        and item.get("kind", "Pod") == "Pod"
        and isinstance(item.get("metadata"), dict)
        and isinstance(item.get("spec"), dict)
    )


def _pod(item: dict[str, Any]) -> tuple[Pod, str | None]:
    meta, spec, status = item["metadata"], item["spec"], item.get("status") or {}
    notes = meta.get("annotations") or {}
    whole = _memory((spec.get("resources") or {}).get("requests"))
    containers = [
        *(_container(one, init=True) for one in spec.get("initContainers") or ()),
        *(_container(one, init=False) for one in spec.get("containers") or ()),
    ]
    pod = Pod(
        uid=_text(meta.get("uid", "")),
        namespace=_text(meta.get("namespace", "default")),
        name=_text(meta.get("name", "")),
        priority=_whole(spec.get("priority") or 0),
        priority_class=_text_or_none(spec.get("priorityClassName")),
        qos=_text_or_none(status.get("qosClass")),
        containers=tuple(containers),
        pod_request_bytes=whole,
        overhead_bytes=_memory(spec.get("overhead")) or 0,
        static=_MIRROR in notes or notes.get(_SOURCE, "api") != "api",
        static_uid=_text_or_none(notes.get(_HASH)),
    )
    return pod, status.get("phase")


def _container(one: dict[str, Any], *, init: bool) -> PodContainer:
    request = _memory((one.get("resources") or {}).get("requests"))
    sidecar = init and one.get("restartPolicy") == "Always"
    return PodContainer(_text(one.get("name", "")), request or 0, init, sidecar)


def _memory(resources: dict[str, Any] | None) -> int | None:
    if not resources or "memory" not in resources:
        return None
    return parse_quantity(resources["memory"])


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{str(value)[:40]!r} is no text")
    return value


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _text(value)


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"{str(value)[:40]!r} is no whole number")
    return value
