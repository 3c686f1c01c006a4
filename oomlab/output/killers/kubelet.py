"""The listing of a ranking by the kubelet's rules."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...analysis.killers.kubelet import Candidate, KubeletRanking
from ...analysis.killers.partial import Places
from ...units import human
from ..escape import printable
from ..tables import Column, shown_size
from .shared import frame, kernel_sentence, shown_places


class Row(NamedTuple):
    """A pod of the listing."""

    one: Candidate

    @property
    def places(self) -> Places:
        """Its place in the kubelet's order."""
        return self.one.places


def rows_of(ranking: KubeletRanking) -> list[Row]:
    """Return a row for each pod, first evicted first."""
    return [Row(one) for one in ranking.candidates]


def _over(row: Row) -> str:
    over = row.one.over_bytes
    return "?" if over is None else f"{'+' if over > 0 else ''}{human(over)}"


def _critical(row: Row) -> str:
    return {True: "critical", False: "", None: "?"}[row.one.critical]


def _adjs(row: Row) -> str | None:
    return None if row.one.adj is None else ",".join(map(str, row.one.adj))


COLUMNS: tuple[Column[Row], ...] = (
    Column(
        name="rank",
        header="RANK",
        help="place in the kubelet's order; a range where it can't be known",
        value=lambda row: row.places[0],
        show=lambda row: shown_places(row.places),
    ),
    Column(
        name="pod",
        header="POD",
        help="namespace and name",
        value=lambda row: row.one.name,
        left=True,
        flexible=True,
    ),
    Column(
        name="qos", header="QOS", help="QoS class", value=lambda row: row.one.qos, left=True, keep=7
    ),
    Column(
        name="priority",
        header="PRIORITY",
        help="priority: of those that exceed their request the lowest goes first",
        value=lambda row: row.one.priority,
    ),
    Column(
        name="used",
        header="USED",
        help="working set: memory in use without inactive file cache",
        key="working_set_bytes",
        value=lambda row: row.one.working_set_bytes,
        show=lambda row: shown_size(row.one.working_set_bytes),
    ),
    Column(
        name="request",
        header="REQUEST",
        help="memory that the pod requested",
        key="request_bytes",
        value=lambda row: row.one.request_bytes,
        show=lambda row: shown_size(row.one.request_bytes),
    ),
    Column(
        name="over",
        header="OVER",
        help="how much it uses above its request",
        key="over_bytes",
        value=lambda row: row.one.over_bytes,
        show=_over,
    ),
    Column(
        name="adj",
        header="ADJ",
        help="the oom_score_adj that the kubelet gives its containers",
        key="oom_score_adj",
        value=_adjs,
        left=True,
        keep=6,
    ),
    Column(
        name="critical",
        header="NEVER",
        help="critical pods have a place but are never evicted",
        value=lambda row: row.one.critical,
        show=_critical,
        left=True,
        keep=8,
    ),
    Column(
        name="cgroup",
        header="CGROUP",
        help="path",
        value=lambda row: row.one.memcg.path,
        left=True,
        flexible=True,
    ),
)


def default_columns(rows: list[Row]) -> list[Column[Row]]:
    """Return the columns shown unless told otherwise."""
    hidden = {"cgroup"}
    if not any(row.one.critical for row in rows):
        hidden.add("critical")
    return [column for column in COLUMNS if column.name not in hidden]


def heading(ranking: KubeletRanking) -> list[str]:
    """Return whom it would evict, what is unknown, the kernel's own choice, and the rules."""
    lines = [
        f"When memory runs low, the kubelet would evict {_victims(ranking)}.",
        kernel_sentence(ranking.kernel),
        "Rules of Kubernetes 1.34: first who uses more than requested, then the lowest priority, "
        "then who uses most above the request. It acts once memory.available is under its "
        "threshold (100Mi unless set).",
    ]
    if not ranking.declared:
        lines.append(
            "Note: the node shows no priorities, no requests of Burstable pods and not which pods "
            "are critical: give --pods FILE (kubectl get pods -A -o json)."
        )
    elif any(one.priority is None for one in ranking.candidates):
        lines.append("Note: some pods here are not in the file: their requests are unknown.")
    return lines


def _victims(ranking: KubeletRanking) -> str:
    names = [printable(one.name) for one in ranking.first]
    if not names:
        return "nobody: all pods here are critical"
    unless = "" if ranking.declared else ", unless critical"
    if len(names) == 1:
        return f"{names[0]} first{unless}"
    more = " and others" if len(names) > 3 else ""
    return f"one of {', '.join(names[:3])}{more} first{unless}"


def document(ranking: KubeletRanking, rows: list[Row]) -> dict[str, Any]:
    """Return the JSON document."""
    more = {
        "declared": ranking.declared,
        "pods_elsewhere": ranking.elsewhere,
        "first": [one.name for one in ranking.first],
        "kernel_victim": ranking.kernel.victim.task.pid if ranking.kernel.victim else None,
    }
    entries = [_entry(row.one) for row in rows]
    return frame("kubelet", "1.34", heading(ranking), ranking.snapshot, entries, more)


def _entry(one: Candidate) -> dict[str, Any]:
    return {
        "rank_best": one.places[0],
        "rank_worst": one.places[1],
        "pod": one.name,
        "qos": one.qos,
        "priority": one.priority,
        "working_set_bytes": one.working_set_bytes,
        "request_bytes": one.request_bytes,
        "over_bytes": one.over_bytes,
        "exceeds_request": one.exceeds,
        "critical": one.critical,
        "oom_score_adj": None if one.adj is None else list(one.adj),
        "cgroup": one.memcg.path,
    }
