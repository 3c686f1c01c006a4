"""What changed in the OOM killer, when, and by which commit: one row per change.

``BASE`` holds every fact as 2.6.11 had it; each ``Change`` sets one fact from a mainline
release on; ``STABLE`` holds what a stable tree took over in the middle of its life.
An era is the state of all facts at one release: complete by construction, so a new kernel
is one new row here. Sources are written as ``commit ("subject") (in vX.Y)``, or as the trees
that show the change where the commit is not known.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Family = Literal[
    "legacy",
    "permille",
    "permille-ptes-int",
    "permille-ptes-long",
    "pages-root30",
    "pages-root3pct",
    "pages-root3pct-pmd",
    "pages-root3pct-pgtables",
    "pages",
    "signed",
    "signed-exact",
]
Formula = Literal["legacy", "permille", "pages", "signed"]
PageTables = Literal["none", "ptes", "ptes+pmds", "bytes"]
RootBonus = Literal["none", "30 points", "30 adj", "3% points", "3% usage"]
Counter = Literal["same", "approximate", "exact"]
Ties = Literal["first", "last"]


class Facts(NamedTuple):
    """Every rule that differs between kernels, as one kernel has it."""

    family: Family
    formula: Formula
    points_type: Literal["int result", "int", "long"]
    """The C type of thousandths: of the quotient only, of every step, or long throughout."""
    page_tables: PageTables
    root_bonus: RootBonus
    killer_counters: Counter
    """What the OOM killer reads: ``same``, the value every file shows; else per-CPU counters."""
    status_counters: Counter
    """What status and statm show; stat field 24 is approximate whenever counters are per-CPU."""
    init_killable: bool
    ties: Ties
    """Which of equals is chosen machine-wide, in scan order."""
    memcg_ties: Ties
    vfork_skipped: bool
    """A task in vfork is passed over, and its oom_score is 0."""
    oom_score_adj_file: bool
    """Whether oom_score_adj exists; before, oom_adj is the setting."""
    oom_adj_minimum: int
    oom_adj_read_factor: Literal[15, 17]
    """oom_adj is shown as oom_score_adj times this over 1000."""
    oom_adj_read_clamped: bool
    """oom_score_adj 942 to 999 is shown as 15, not as 16, which can't be written."""
    legacy_children: Literal["full", "half"]
    legacy_origin: bool
    """badness() itself returns ULONG_MAX for a task in swapoff."""
    legacy_superuser: Literal["uid or admin", "admin or resource"]
    legacy_disjoint: bool
    """Badness is divided by 8 for a task whose memory nodes don't meet the reader's."""
    legacy_bump: bool
    """A positive oom_adj turns 0 points into 1 first."""
    legacy_disabled: bool
    """oom_adj -17 makes badness() itself 0."""
    memcg_totalpages: Literal["none", "bytes bug", "capped", "own swap", "v2 swap"]
    memcg_floor: bool
    """A memcg's totalpages is at least 1."""
    memcg_walk: Literal["none", "global", "tree"]
    node_pages: Literal["none", "spanned", "present"]


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


BASE = Facts(
    family="legacy",
    formula="legacy",
    points_type="int result",
    page_tables="none",
    root_bonus="none",
    killer_counters="same",
    status_counters="same",
    init_killable=False,
    ties="first",
    memcg_ties="first",
    vfork_skipped=False,
    oom_score_adj_file=False,
    oom_adj_minimum=-16,
    oom_adj_read_factor=15,
    oom_adj_read_clamped=False,
    legacy_children="full",
    legacy_origin=False,
    legacy_superuser="uid or admin",
    legacy_disjoint=False,
    legacy_bump=False,
    legacy_disabled=False,
    memcg_totalpages="none",
    memcg_floor=False,
    memcg_walk="none",
    node_pages="none",
)

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
    Change((2, 6, 19), "legacy_origin", True, "af5b0f6 (in v2.6.19)"),
    Change((2, 6, 19), "legacy_disjoint", True, "7887a3da753 (in v2.6.19)"),
    Change((2, 6, 22), "legacy_bump", True, "9a82782f8f5 (in v2.6.22)"),
    Change((2, 6, 25), "legacy_superuser", "admin or resource", "97829955ad2 (in v2.6.25)"),
    Change((2, 6, 25), "memcg_walk", "global", "trees 2.6.24 and 2.6.25"),
    Change((2, 6, 32), "legacy_disabled", True, "28b83c5193e (in v2.6.32)"),
    Change((2, 6, 36), "family", "permille", _REWRITE),
    Change((2, 6, 36), "formula", "permille", _REWRITE),
    Change((2, 6, 36), "root_bonus", "30 points", _REWRITE),
    Change((2, 6, 36), "oom_score_adj_file", True, _REWRITE),
    Change((2, 6, 36), "memcg_totalpages", "bytes bug", _REWRITE),
    Change((2, 6, 36), "node_pages", "spanned", _REWRITE),
    Change((2, 6, 38), "memcg_totalpages", "capped", "f3e8eb70b18 (in v2.6.38)"),
    Change((2, 6, 39), "family", "permille-ptes-int", _PTES),
    Change((2, 6, 39), "page_tables", "ptes", _PTES),
    Change((2, 6, 39), "points_type", "int", _PTES),
    Change((3, 2), "family", "permille-ptes-long", _OVERFLOW),
    Change((3, 2), "points_type", "long", _OVERFLOW),
    Change((3, 5), "family", "pages-root30", _PAGES),
    Change((3, 5), "formula", "pages", _PAGES),
    Change((3, 5), "root_bonus", "30 adj", _PAGES),
    Change((3, 5), "memcg_floor", True, "trees 3.4 and 3.5"),
    Change((3, 6), "memcg_walk", "tree", "trees 3.5 and 3.6"),
    Change((3, 7), "oom_adj_read_factor", 17, "trees 3.6 and 3.7.2"),
    Change((3, 7), "memcg_totalpages", "own swap", "trees 3.6 and 3.7"),
    Change((3, 14), "family", "pages-root3pct", _ROOT3),
    Change((3, 14), "root_bonus", "3% usage", _ROOT3),
    Change((4, 0), "family", "pages-root3pct-pmd", _PMDS),
    Change((4, 0), "page_tables", "ptes+pmds", _PMDS),
    Change((4, 7), "ties", "last", "trees 4.6 and 4.7"),
    Change((4, 8), "vfork_skipped", True, "b18dc5f291c0 (in v4.8)"),
    Change((4, 9), "ties", "first", "trees 4.8 and 4.9"),
    Change((4, 15), "family", "pages-root3pct-pgtables", _PGTABLES),
    Change((4, 15), "page_tables", "bytes", _PGTABLES),
    Change((4, 17), "family", "pages", _NO_ROOT),
    Change((4, 17), "root_bonus", "none", _NO_ROOT),
    Change((5, 3), "ties", "last", "trees 5.2 and 5.3"),
    Change((5, 3), "memcg_ties", "last", "trees 5.2 and 5.3"),
    Change((5, 4), "node_pages", "present", '("mm, oom: consider present pages ...") (in v5.4)'),
    Change((5, 9), "family", "signed", _SIGNED),
    Change((5, 9), "formula", "signed", _SIGNED),
    Change((5, 10), "oom_adj_read_clamped", True, "trees 5.9 and 5.10"),
    Change((5, 10), "memcg_totalpages", "v2 swap", "bd0b230fe145 (in v5.10)"),
    Change((6, 2), "killer_counters", "approximate", _PERCPU),
    Change((6, 2), "status_counters", "approximate", _PERCPU),
    Change((6, 16), "status_counters", "exact", _STATUS),
    Change((7, 0), "family", "signed-exact", _EXACT),
    Change((7, 0), "killer_counters", "exact", _EXACT),
)

STABLE: tuple[StableChange, ...] = (
    StableChange(
        (5, 4),
        143,
        {"family": "signed", "formula": "signed"},
        "posted for 5.4.y; trees 5.4.120, .188",
    ),
    StableChange((6, 12), 39, {"status_counters": "exact"}, "stable mails; tree 6.12.107"),
    StableChange((6, 15), 7, {"status_counters": "exact"}, "stable mails"),
)
