"""Every rule that differs between kernels, and how the oldest kernel had it.

What changed when stands in history.py. An era is the state of all facts at one release.
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
ChildRule = Literal["oldest", "worst", "worst other mm", "none"]
Partners = Literal["all", "all or none", "none", "not at -1000", "not init"]
Printed = Literal["none", "badness", "scaled"]


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
    ties: Ties
    """Which of equals is chosen machine-wide, in scan order."""
    memcg_ties: Ties
    choice_bits: Literal[32, 64]
    """Bits in which the scan holds the best points so far; 32 of them wrap at 16 TiB."""
    scan_threads: bool
    """The scan visits every thread of a process, not only the process."""
    memcg_scan_threads: bool
    node_selection: Literal["none", "current", "policy current", "select"]
    """An OOM confined to some nodes kills the task that asks for memory, or selects."""
    child_rule: ChildRule
    """Which child dies instead of the chosen process, if it has one that can be killed."""
    child_in_scope: bool
    """In a cgroup's OOM a child outside the cgroup does not die."""
    mm_partners: Partners
    """Which other processes on the victim's memory map die with it."""
    partner_protects: bool
    """A process at -1000 protects every process on its memory map."""
    oom_group: bool
    """memory.oom.group exists."""
    group_spares_init: bool
    printed_score: Printed
    """What "score" in the kill line says, if the line has it."""
    vfork_skipped: bool
    """A task in vfork is passed over, and its oom_score is 0."""
    oom_score_adj_file: bool
    """Whether oom_score_adj exists; before, oom_adj is the setting."""
    oom_adj_minimum: int
    oom_adj_read_factor: Literal[15, 17]
    """oom_adj is shown as oom_score_adj times this over 1000."""
    oom_adj_write: Literal["always", "lower oom_adj", "lower oom_score_adj"]
    """Which writes to oom_adj need CAP_SYS_RESOURCE."""
    oom_score_adj_write: Literal["none", "lower", "below minimum"]
    """Which writes to oom_score_adj need CAP_SYS_RESOURCE."""
    adj_follows_mm: bool
    """Writing one process's oom_score_adj sets that of all processes on its memory map."""
    oom_adj_read_clamped: bool
    """oom_score_adj 942 to 999 is shown as 15, not as 16, which can't be written."""
    legacy_children: Literal["full", "half"]
    legacy_origin: bool
    """badness() itself returns ULONG_MAX for a task in swapoff."""
    legacy_superuser: Literal["uid or admin", "admin or resource"]
    legacy_group_cpu: bool
    """CPU time is the whole process's, not the one thread's."""
    legacy_disjoint: bool
    """Badness is divided by 8 for a task whose memory nodes don't meet the reader's."""
    legacy_bump: bool
    """A positive oom_adj turns 0 points into 1 first."""
    legacy_disabled: bool
    """oom_adj -17 makes badness() itself 0."""
    memcg_totalpages: Literal["none", "bytes bug", "capped", "own swap"]
    memcg_floor: bool
    """A memcg's totalpages is at least 1."""
    memcg_walk: Literal["none", "global", "tree"]
    memcg_newest_first: bool
    """Within one cgroup the walk starts with the process that joined last."""
    node_pages: Literal["none", "spanned", "present"]

    @property
    def in_pages(self) -> bool:
        """Whether badness counts pages: from 3.5 on, thousandths or points before."""
        return self.formula in ("pages", "signed")


BASE = Facts(
    family="legacy",
    formula="legacy",
    points_type="int result",
    page_tables="none",
    root_bonus="none",
    killer_counters="same",
    status_counters="same",
    ties="first",
    memcg_ties="first",
    choice_bits=64,
    scan_threads=True,
    memcg_scan_threads=True,
    node_selection="none",
    child_rule="oldest",
    child_in_scope=False,
    mm_partners="all",
    partner_protects=False,
    oom_group=False,
    group_spares_init=False,
    printed_score="none",
    vfork_skipped=False,
    oom_score_adj_file=False,
    oom_adj_minimum=-16,
    oom_adj_read_factor=15,
    oom_adj_write="always",
    oom_score_adj_write="none",
    adj_follows_mm=False,
    oom_adj_read_clamped=False,
    legacy_children="full",
    legacy_origin=False,
    legacy_superuser="uid or admin",
    legacy_group_cpu=False,
    legacy_disjoint=False,
    legacy_bump=False,
    legacy_disabled=False,
    memcg_totalpages="none",
    memcg_floor=False,
    memcg_walk="none",
    memcg_newest_first=False,
    node_pages="none",
)
