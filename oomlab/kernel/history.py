"""What changed in the OOM killer, when, and by which commit: one row per change.

Each ``Change`` sets one fact from a mainline release on; ``STABLE`` holds what a stable tree
took over in the middle of its life, from the lowest level at which it was seen. A new kernel
is one new row here. Sources are written as ``commit ("subject") (in vX.Y)``, or as the trees
that show the change where the commit is not known.
"""

from __future__ import annotations

from typing import NamedTuple


class Change(NamedTuple):
    """One fact that takes a new value from release ``since`` on (mainline numbering)."""

    since: tuple[int, ...]
    fact: str
    value: object
    source: str


class StableChange(NamedTuple):
    """A fact that a stable tree has from one of its levels on, unlike its mainline release."""

    series: tuple[int, ...]
    level: int
    facts: dict[str, object]
    source: str


class VendorChange(NamedTuple):
    """Facts that a distribution's kernel took over, told by a mark in its release string."""

    series: tuple[int, ...]
    mark: str
    facts: dict[str, object]
    source: str


_REWRITE = 'a63d83f427f ("oom: badness heuristic rewrite") (in v2.6.36)'
_PTES = 'f755a042d82b ("oom: use pte pages in OOM score") (in v2.6.39)'
_OVERFLOW = 'ff05b6f7ae76 ("oom: fix integer overflow of points in oom_badness") (in v3.2)'
_PAGES = 'a7f638f999ff ("mm, oom: normalize oom scores to oom_score_adj scale ...") (in v3.5)'
_ROOT3 = '778c14affaf9 ("mm, oom: base root bonus on current usage") (in v3.14)'
_PMDS = 'dc6c9a35b66b ("mm: account pmd page tables to the process") (in v4.0)'
_PGTABLES = 'af5b0f6a09e4 ("mm: consolidate page table accounting") (in v4.15)'
_NO_ROOT = 'd46078b28889 ("mm, oom: remove 3% bonus for CAP_SYS_ADMIN processes") (in v4.17)'
_SIGNED = '9066e5cfb73c ("mm, oom: make the calculation of oom badness more accurate") (in v5.9)'
_PERCPU = 'f1a7941243c1 ("mm: convert mm\'s rss stats into percpu_counter") (in v6.2)'
_STATUS = '82241a83cd15 ("mm: fix the inaccurate memory statistics issue for users") (in v6.16)'
_EXACT = '("mm: fix OOM killer inaccuracy on large many-core systems") (in v7.0)'

CHANGES: tuple[Change, ...] = (
    Change((2, 6, 12), "oom_adj_minimum", -17, "79befd0c08c (in v2.6.12)"),
    Change((2, 6, 16), "legacy_children", "half", "9827b781f20 (in v2.6.16)"),
    Change((2, 6, 16), "node_selection", "current", "9b0f8b040ac (in v2.6.16)"),
    Change((2, 6, 16), "printed_score", "badness", "trees 2.6.15 and 2.6.16"),
    Change((2, 6, 19), "legacy_origin", True, "af5b912435d (in v2.6.19)"),
    Change((2, 6, 19), "legacy_disjoint", True, "7887a3da753 (in v2.6.19)"),
    Change((2, 6, 20), "mm_partners", "none", "trees 2.6.19 and 2.6.20"),
    Change((2, 6, 20), "oom_adj_write", "lower oom_adj", "8fb4fc68ca3 (in v2.6.20)"),
    Change((2, 6, 21), "mm_partners", "all or none", "trees 2.6.20 and 2.6.21"),
    Change((2, 6, 22), "legacy_bump", True, "9a82782f8f5 (in v2.6.22)"),
    Change((2, 6, 24), "node_selection", "policy current", "trees 2.6.23 and 2.6.24"),
    Change((2, 6, 25), "legacy_superuser", "admin or resource", "97829955ad2 (in v2.6.25)"),
    Change((2, 6, 25), "memcg_walk", "global", "trees 2.6.24 and 2.6.25"),
    Change((2, 6, 32), "legacy_group_cpu", True, "495789a51a9 (in v2.6.32)"),
    Change((2, 6, 32), "scan_threads", False, "trees 2.6.31 and 2.6.32"),
    Change((2, 6, 32), "memcg_scan_threads", False, "trees 2.6.31 and 2.6.32"),
    Change((2, 6, 32), "mm_partners", "none", "trees 2.6.31 and 2.6.32"),
    Change((2, 6, 32), "legacy_disabled", True, "28b83c5193e (in v2.6.32)"),
    Change((2, 6, 33), "child_in_scope", True, "trees 2.6.32 and 2.6.33"),
    Change((2, 6, 36), "family", "permille", _REWRITE),
    Change((2, 6, 36), "formula", "permille", _REWRITE),
    Change((2, 6, 36), "root_bonus", "30 points", _REWRITE),
    Change((2, 6, 36), "oom_score_adj_file", True, _REWRITE),
    Change((2, 6, 36), "memcg_totalpages", "bytes bug", _REWRITE),
    Change((2, 6, 36), "node_pages", "spanned", _REWRITE),
    Change((2, 6, 36), "node_selection", "select", _REWRITE),
    Change((2, 6, 36), "oom_score_adj_write", "lower", _REWRITE),
    Change((2, 6, 36), "child_rule", "worst", "5e9d834a0e0 (in v2.6.36)"),
    Change((2, 6, 37), "mm_partners", "all", "trees 2.6.36 and 2.6.37"),
    Change((2, 6, 37), "partner_protects", True, "3d5992d2ac7 (in v2.6.37)"),
    Change((2, 6, 38), "memcg_totalpages", "capped", "f3e8eb70b18 (in v2.6.38)"),
    Change((2, 6, 38), "oom_score_adj_write", "below minimum", "dabb16f6398 (in v2.6.38)"),
    Change((2, 6, 39), "family", "permille-ptes-int", _PTES),
    Change((2, 6, 39), "page_tables", "ptes", _PTES),
    Change((2, 6, 39), "points_type", "int", _PTES),
    Change((2, 6, 39), "child_rule", "worst other mm", "trees 2.6.38 and 2.6.39"),
    Change((2, 6, 39), "scan_threads", True, "trees 2.6.38 and 2.6.39"),
    Change((2, 6, 39), "memcg_scan_threads", True, "trees 2.6.38 and 2.6.39"),
    Change((3, 2), "family", "permille-ptes-long", _OVERFLOW),
    Change((3, 2), "points_type", "long", _OVERFLOW),
    Change((3, 2), "mm_partners", "not at -1000", "c9f01245b6a7 (in v3.2)"),
    Change((3, 2), "partner_protects", False, "c9f01245b6a7 (in v3.2)"),
    Change((3, 5), "family", "pages-root30", _PAGES),
    Change((3, 5), "formula", "pages", _PAGES),
    Change((3, 5), "root_bonus", "30 adj", _PAGES),
    Change((3, 5), "memcg_floor", True, "trees 3.4 and 3.5"),
    Change((3, 5), "printed_score", "scaled", _PAGES),
    Change((3, 5), "choice_bits", 32, _PAGES),
    Change((3, 6), "memcg_walk", "tree", "trees 3.5 and 3.6"),
    Change((3, 6), "memcg_newest_first", True, "cgroup_post_fork(); recording of 3.10.105"),
    Change((3, 7), "oom_adj_read_factor", 17, "trees 3.6 and 3.7.2"),
    Change((3, 7), "memcg_totalpages", "own swap", "trees 3.6 and 3.7"),
    Change((3, 7), "oom_adj_write", "lower oom_score_adj", "trees 3.6 and 3.7.2"),
    Change((3, 14), "family", "pages-root3pct", _ROOT3),
    Change((3, 14), "root_bonus", "3% usage", _ROOT3),
    Change((4, 0), "family", "pages-root3pct-pmd", _PMDS),
    Change((4, 0), "page_tables", "ptes+pmds", _PMDS),
    Change((4, 4), "memcg_newest_first", False, "css_set_move_task(); recording of 4.4.155"),
    Change((4, 7), "ties", "last", "trees 4.6 and 4.7"),
    Change((4, 7), "scan_threads", False, "trees 4.6 and 4.7"),
    Change((4, 8), "mm_partners", "not init", "trees 4.7 and 4.8"),
    Change((4, 8), "adj_follows_mm", True, "44a70adec910 (in v4.8)"),
    Change((4, 8), "vfork_skipped", True, "b18dc5f291c0 (in v4.8)"),
    Change((4, 9), "ties", "first", "trees 4.8 and 4.9"),
    Change((4, 9), "choice_bits", 64, "trees 4.8 and 4.9"),
    Change((4, 15), "family", "pages-root3pct-pgtables", _PGTABLES),
    Change((4, 15), "page_tables", "bytes", _PGTABLES),
    Change((4, 17), "family", "pages", _NO_ROOT),
    Change((4, 17), "root_bonus", "none", _NO_ROOT),
    Change((4, 19), "oom_group", True, "3d8b38eb81ca (in v4.19)"),
    Change((5, 1), "child_rule", "none", "bbbe48029720 (in v5.1)"),
    Change((5, 1), "printed_score", "none", "trees 5.0 and 5.2"),
    Change((5, 1), "group_spares_init", True, "trees 5.0 and 5.2"),
    Change((5, 3), "ties", "last", "trees 5.2 and 5.3"),
    Change((5, 3), "memcg_ties", "last", "trees 5.2 and 5.3"),
    Change((5, 3), "memcg_scan_threads", False, "trees 5.2 and 5.3"),
    Change((5, 4), "node_pages", "present", '("mm, oom: consider present pages ...") (in v5.4)'),
    Change((5, 9), "family", "signed", _SIGNED),
    Change((5, 9), "formula", "signed", _SIGNED),
    Change((5, 10), "oom_adj_read_clamped", True, "trees 5.9 and 5.10"),
    Change((6, 2), "killer_counters", "approximate", _PERCPU),
    Change((6, 2), "status_counters", "approximate", _PERCPU),
    Change((6, 16), "status_counters", "exact", _STATUS),
    Change((7, 0), "family", "signed-exact", _EXACT),
    Change((7, 0), "killer_counters", "exact", _EXACT),
)

STABLE: tuple[StableChange, ...] = (
    StableChange((3, 2), 71, {"root_bonus": "3% points"}, "trees 3.2.0 and 3.2.71"),
    StableChange((3, 4), 39, {"memcg_totalpages": "own swap"}, "tree 3.4.39"),
    StableChange((3, 10), 99, {"root_bonus": "3% usage"}, "trees 3.10.0 and 3.10.99"),
    StableChange((3, 13), 10, {"root_bonus": "3% usage"}, "tree 3.13.10"),
    StableChange(
        (5, 4),
        143,
        {"family": "signed", "formula": "signed"},
        "posted for 5.4.y; trees 5.4.120, .188",
    ),
    StableChange((6, 12), 39, {"status_counters": "exact"}, "stable mails; tree 6.12.107"),
    StableChange((6, 15), 7, {"status_counters": "exact"}, "stable mails"),
)

VENDOR: tuple[VendorChange, ...] = (
    VendorChange(
        (2, 6, 32),
        ".el6",
        {
            "family": "permille",
            "formula": "permille",
            "root_bonus": "30 points",
            "oom_score_adj_file": True,
            "oom_score_adj_write": "lower",
            "child_rule": "worst",
        },
        "kill lines and task tables of 2.6.32-431 and -642",
    ),
    VendorChange((3, 10), ".el7", {"root_bonus": "3% usage"}, "scores in kill lines of 3.10.0-514"),
)
"""What is known of distributions from their logs; the scores of a machine still overrule it."""
