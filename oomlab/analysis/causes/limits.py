"""Causes that are limits or decisions: by hand, by a program, a memory cgroup's, swap."""

from __future__ import annotations

from ...report import OomReport
from ...report_memory import UNLIMITED_KIB, Usage
from ..places import place_of
from .cause import Cause, is_share, size
from .figures import Figures, is_manual


def manual(report: OomReport, _figures: Figures) -> Cause | None:
    """Somebody asked for the kill."""
    if not is_manual(report):
        return None
    order = report.trigger.order if report.trigger is not None else None
    shown = "order=-1" if order == -1 else "moom_callback in the call trace"
    return Cause(
        "asked for by hand",
        (f"{shown}: sysrq-f, or f written to /proc/sysrq-trigger",),
        "Memory need not have been short. Find who triggers sysrq.",
    )


def program(report: OomReport, _figures: Figures) -> Cause | None:
    """A BPF program asked for the kill, or chose."""
    constraint = report.constraint or ""
    evidence = [constraint] if "BPF" in constraint else []
    evidence += [frame for frame in report.stack if "bpf_out_of_memory" in frame][:1]
    if not evidence and report.policy in (None, "default"):
        return None
    if report.policy is not None:
        evidence.append(f"oom_policy={report.policy}")
    return Cause(
        "a BPF program decided",
        tuple(evidence),
        "A BPF program (on memory pressure, for instance) asked for the kill before the kernel "
        "itself had to: see its rules with bpftool prog.",
    )


def cgroup_limit(report: OomReport, figures: Figures) -> Cause | None:
    """The limit of a memory cgroup: the victim's own or an ancestor's."""
    if not report.is_memcg or "BPF" in (report.constraint or ""):
        return None
    path = report.oom_memcg or "?"
    owner = owner_of(path)
    evidence = [f"the limit hit is that of {path}" + (f": {owner}" if owner else "")]
    usage = report.memcg.usage if report.memcg is not None else {}
    evidence += [_line(what, usage[what]) for what in ("memory", "kmem") if what in usage]
    advice = "Raise its limit, or make what runs in it need less; the machine itself is not full."
    if report.task_memcg not in (None, report.oom_memcg):
        below = owner_of(report.task_memcg or "")
        evidence.append(f"the victim was in {report.task_memcg}" + (f": {below}" if below else ""))
        advice = (
            "The limit is an ancestor's, not the victim's own: all that runs below it counts. "
            "Raise that one, or give its children limits of their own."
        )
    return Cause("a memory cgroup's limit", tuple(evidence), advice, figures.total_pages or 0)


def owner_of(path: str) -> str | None:
    """Return who runs in a cgroup, by the usual names of paths; None where they say nothing more.

    >>> owner_of("/docker/" + "0f" * 32)
    'docker container 0f0f0f0f0f0f'
    """
    place = place_of(path)
    pod = f"Kubernetes pod {place.pod_uid}" if place.pod_uid is not None else None
    if place.kind == "container":
        container = f"{place.engine or ''} container {place.name}".strip()
        return f"{container} of {pod}" if pod else container
    return pod


def _line(what: str, usage: Usage) -> str:
    limit = "none" if usage.limit_kib >= UNLIMITED_KIB else f"{usage.limit_kib}kB"
    return f"{what}: usage {usage.usage_kib}kB, limit {limit}, failcnt {usage.failcnt}"


def cgroup_swap(report: OomReport, _figures: Figures) -> Cause | None:
    """A cgroup that may use no more swap, or whose memory and swap together hit a limit."""
    usage = report.memcg.usage if report.memcg is not None else {}
    if not report.is_memcg or "memory" not in usage:
        return None
    swap, both = usage.get("swap"), usage.get("memory+swap")
    if swap is not None and swap.limit_kib == 0:
        return Cause(
            "the cgroup may use no swap",
            (_line("swap", swap),),
            "Its anonymous memory has nowhere to go: memory.swap.max above 0 lets it.",
        )
    if swap is not None and swap.usage_kib >= swap.limit_kib:
        advice = "Raise memory.swap.max, or its memory limit."
        return Cause("the cgroup may use no more swap", (_line("swap", swap),), advice)
    if both is not None and both.usage_kib >= both.limit_kib:
        return Cause(
            "the cgroup's memory and swap together",
            (_line("memory+swap", both),),
            "Raise memory.memsw.limit_in_bytes: the sum of memory and swap hit its limit.",
        )
    return None


def kept(report: OomReport, figures: Figures) -> Cause | None:
    """memory.min of cgroups keeps memory from being reclaimed (told by 6.18 and newer)."""
    kib = report.memcg.min_protection_kib if report.memcg is not None else None
    pages = None if kib is None else figures.pages_of_kib(kib)
    if pages is None or not is_share(figures, "kept by memory.min", pages):
        return None
    return Cause(
        "memory.min keeps memory from being reclaimed",
        (f"Memory cgroup min protection {kib}kB: {size(figures, pages)}",),
        "What memory.min protects is never taken back: lower it where it is more than is used.",
        pages,
    )


def swap(report: OomReport, figures: Figures) -> Cause | None:
    """No swap, or all of it in use, where there is memory that could go there."""
    memory = report.memory
    if memory is None or memory.swap_total_kib is None or is_manual(report) or report.is_memcg:
        return None
    anon = figures.anon_pages
    if anon is not None:
        anon += figures.counter("shmem") or 0
        if figures.total_pages and not is_share(figures, "swappable", anon):
            return None
    if memory.swap_total_kib == 0:
        return Cause(
            "no swap",
            ("Total swap = 0kB",),
            "Anonymous memory has nowhere to go: some swap (or zram) turns a kill into slowness.",
        )
    free = memory.swap_free_kib
    # What the allocator takes in one cluster for each CPU: less than this is as good as none.
    if free is None or free * 50 > memory.swap_total_kib:
        return None
    used = memory.swap_total_kib - free
    return Cause(
        "swap is full",
        (f"Free swap = {free}kB, Total swap = {memory.swap_total_kib}kB",),
        "More swap only delays it unless the load shrinks: see whose memory it is.",
        figures.pages_of_kib(used),
    )
