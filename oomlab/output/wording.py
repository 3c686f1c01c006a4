"""The rules in words: a title for each fact, and a phrase for each value it takes."""

from __future__ import annotations

from typing import Any

from ..analysis.upgrade import Difference

TABLES = {
    "none": "",
    "ptes": "page tables (last level)",
    "ptes+pmds": "page tables (two levels)",
    "bytes": "page tables (all levels)",
}

TITLES = {
    "formula": "badness",
    "points_type": "arithmetic of the thousandths",
    "page_tables": "page tables",
    "root_bonus": "root",
    "killer_counters": "memory counters that the killer reads",
    "status_counters": "memory counters in status and statm",
    "ties": "of equals on the whole machine",
    "memcg_ties": "of equals in a memory cgroup",
    "choice_bits": "points compared",
    "scan_threads": "the scan of the whole machine",
    "memcg_scan_threads": "the scan of a memory cgroup",
    "node_selection": "an OOM confined to some memory nodes",
    "child_rule": "children",
    "child_in_scope": "children outside the memory cgroup",
    "mm_partners": "others on the victim's memory map",
    "partner_protects": "a process at -1000 on the same memory map",
    "oom_group": "memory.oom.group",
    "group_spares_init": "init in a memory.oom.group",
    "printed_score": "score in the kill line",
    "vfork_skipped": "a process inside vfork",
    "oom_score_adj_file": "the setting",
    "oom_adj_minimum": "oom_adj",
    "oom_adj_read_factor": "oom_adj as read",
    "oom_adj_write": "writes to oom_adj that need CAP_SYS_RESOURCE",
    "oom_score_adj_write": "writes to oom_score_adj that need CAP_SYS_RESOURCE",
    "adj_follows_mm": "oom_score_adj of others on the same memory map is set with it",
    "oom_adj_read_clamped": "oom_score_adj 942 to 999 as oom_adj",
    "legacy_children": "children's address space",
    "legacy_origin": "a process in swapoff",
    "legacy_superuser": "superuser",
    "legacy_group_cpu": "CPU time",
    "legacy_disjoint": "processes on other memory nodes",
    "legacy_bump": "no points at a positive oom_adj",
    "legacy_disabled": "oom_score at oom_adj -17",
    "memcg_totalpages": "totalpages of a memory cgroup",
    "memcg_floor": "least totalpages of a memory cgroup",
    "memcg_walk": "order within a memory cgroup's tree",
    "memcg_newest_first": "order within one memory cgroup",
    "node_pages": "totalpages of memory nodes",
}
"""Facts that are worth a sentence; the family's name is not one of them."""

_PHRASES: dict[str, dict[Any, str]] = {
    "formula": {
        "legacy": "address space scaled by age, CPU time and privileges",
        "permille": "thousandths of totalpages, 1 to 1000",
        "pages": "pages, 1 at least: all that would be negative are equal",
        "signed": "pages that may be negative; oom_score of an idle process is 666",
    },
    "page_tables": {"none": "don't count", "ptes": "the last level counts"}
    | {"ptes+pmds": "two levels count", "bytes": "all levels count"},
    "root_bonus": {
        "none": "no bonus",
        "30 points": "30 thousandths off",
        "30 adj": "oom_score_adj less 30",
        "3% points": "3% of its thousandths off",
        "3% usage": "3% of its usage off",
    },
    "points_type": {"int result": "quotient cut to 32 bits", "int": "32 bits: wraps at 8 GiB"}
    | {"long": "whole words"},
    "killer_counters": {"same": "the same as in every file", "approximate": "per-CPU, approximate"}
    | {"exact": "per-CPU, summed exactly"},
    "ties": {"first": "the first of the scan", "last": "the last of the scan"},
    "choice_bits": {32: "in 32 bits", 64: "in whole words"},
    "scan_threads": {True: "visits threads", False: "visits processes"},
    "node_selection": {"none": "selects as any other", "current": "kills who asks for memory"}
    | {"policy current": "kills who asks for memory if by mempolicy"}
    | {"select": "selects among those allowed there"},
    "child_rule": {
        "oldest": "the oldest dies in its parent's place",
        "worst": "the worst dies in its parent's place",
        "worst other mm": "the worst dies in its parent's place, unless it shares its memory",
        "none": "the chosen process itself dies",
    },
    "mm_partners": {
        "all": "die too",
        "all or none": "die too, but one at -17 saves all",
        "none": "live on",
        "not at -1000": "die too unless at -1000",
        "not init": "die too whatever their setting",
    },
    "printed_score": {"none": "not printed", "badness": "badness itself"}
    | {"scaled": "badness in thousandths of totalpages"},
    "oom_score_adj_file": {True: "oom_score_adj", False: "oom_adj only"},
    "memcg_totalpages": {
        "none": "not asked for",
        "bytes bug": "limit + swap, swap a page size too small",
        "capped": "limit + swap, at most the limit of both",
        "own swap": "limit + the swap it may use, none at swappiness 0",
    },
    "memcg_walk": {"none": "no memory cgroups", "global": "that of the whole machine"}
    | {"tree": "parents before children"},
    "memcg_newest_first": {True: "the newest member first", False: "the oldest member first"},
    "node_pages": {"none": "not asked for", "spanned": "pages spanned, holes included"}
    | {"present": "pages present"},
}
_PHRASES["memcg_ties"] = _PHRASES["ties"]
_PHRASES["memcg_scan_threads"] = _PHRASES["scan_threads"]
_PHRASES["status_counters"] = _PHRASES["killer_counters"]
_PLAIN: dict[Any, str] = {True: "yes", False: "no"}


def said(fact: str, value: object) -> str:
    """Return a fact's value in words."""
    return _PHRASES.get(fact, _PLAIN).get(value, str(value))


def difference_text(one: Difference) -> str:
    """Return what changes in words, and how many processes here it bears on."""
    text = f"{TITLES[one.fact]}: {said(one.fact, one.before)}; then {said(one.fact, one.after)}"
    if one.processes is None:
        return text
    noun = "process" if one.processes == 1 else "processes"
    return f"{text} ({one.processes} {noun} here)"
