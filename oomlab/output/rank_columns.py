"""The columns of a ranking: text, CSV, Markdown and sorting follow from them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .rank_rows import (
    RankRow,
    command_of,
    kernel_differs,
    needs_bytes,
    rss_pages,
    shown_badness,
    shown_children,
    shown_kernel_score,
    shown_needs,
    shown_oom_score,
    shown_place,
    user_of,
)
from .tables import Column, shown_size


def _sized(name: str, header: str, text: str, keep: int, pages: Any) -> Column[RankRow]:
    return Column(
        name=name,
        header=header,
        help=text,
        key=f"{name}_bytes",
        value=lambda row: row.bytes_of(pages(row)),
        show=lambda row: shown_size(row.bytes_of(pages(row))),
        keep=keep,
    )


COLUMNS: tuple[Column[RankRow], ...] = (
    Column(
        name="rank",
        header="RANK",
        help="place in the kernel's order; a range where it can't be known",
        value=lambda row: row.place if row.score.killable else None,
        show=shown_place,
    ),
    Column(name="pid", header="PID", help="process", value=lambda row: row.task.pid),
    Column(
        name="user",
        header="USER",
        help="effective user",
        value=user_of,
        left=True,
        keep=4,
    ),
    Column(
        name="adj",
        header="ADJ",
        help="oom_score_adj",
        key="oom_score_adj",
        value=lambda row: row.task.oom_score_adj,
    ),
    _sized("rss", "RSS", "resident memory, as the OOM killer reads it", 7, rss_pages),
    _sized("swap", "SWAP", "swapped out", 3, lambda row: row.task.swap_pages),
    Column(
        name="pagetables",
        header="PGTBL",
        help="page tables",
        key="pagetable_bytes",
        value=lambda row: row.task.pagetable_bytes,
        show=lambda row: shown_size(row.task.pagetable_bytes),
        keep=1,
    ),
    Column(
        name="badness",
        header="BADNESS",
        help="what the kernel compares, as a size (~: the kernel's own may differ a little)",
        value=lambda row: row.score.badness,
        show=shown_badness,
    ),
    Column(
        name="score",
        header="SCORE",
        help="oom_score as modelled",
        key="oom_score",
        value=lambda row: row.score.oom_score,
        show=shown_oom_score,
    ),
    Column(
        name="kernel",
        header="KERNEL",
        help="the kernel's oom_score where it differs (! outside the bound, ~ within)",
        key="kernel_oom_score",
        value=lambda row: row.task.kernel_oom_score,
        show=shown_kernel_score,
        keep=8,
    ),
    Column(
        name="needs",
        header="NEEDS",
        help="how much more memory it must use to be killed first",
        key="needs_bytes",
        value=needs_bytes,
        show=shown_needs,
        keep=6,
    ),
    Column(
        name="children",
        header="CHILDREN",
        help="children, and the RSS and swap they hold together",
        value=lambda row: row.children.number,
        show=shown_children,
        left=True,
        keep=2,
    ),
    Column(
        name="why_not",
        header="NEVER, BECAUSE",
        help="why it can't be killed (with --all)",
        value=lambda row: row.score.why_not,
        show=lambda row: row.score.why_not or "",
        left=True,
        keep=5,
    ),
    Column(
        name="name",
        header="NAME",
        help="name (comm, at most 15 bytes)",
        value=lambda row: row.task.comm,
        left=True,
        flexible=True,
    ),
    Column(
        name="cmdline",
        header="COMMAND",
        help="command line",
        value=command_of,
        left=True,
        flexible=True,
    ),
    _sized("anon", "ANON", "anonymous part of RSS", 9, lambda row: row.task.rss_anon_pages),
    _sized("file", "FILE", "file part of RSS", 9, lambda row: row.task.rss_file_pages),
    _sized("shmem", "SHMEM", "shared part of RSS", 9, lambda row: row.task.rss_shmem_pages),
    _sized("vsize", "VSIZE", "virtual size", 9, lambda row: row.task.total_vm_pages),
    Column(name="ppid", header="PPID", help="parent", value=lambda row: row.task.ppid),
    Column(name="uid", header="UID", help="real user id", value=lambda row: row.task.uid),
    Column(name="state", header="S", help="state", value=lambda row: row.task.state),
    Column(name="threads", header="THR", help="threads", value=lambda row: row.task.threads),
    Column(
        name="mems",
        header="MEMS",
        help="NUMA nodes allowed",
        key="mems_allowed",
        value=lambda row: row.task.mems_allowed,
        left=True,
    ),
    Column(
        name="cgroup",
        header="CGROUP",
        help="memory cgroup",
        value=lambda row: row.task.cgroup_path("memory") or row.task.cgroup_path(""),
        left=True,
        flexible=True,
    ),
)

_DEFAULT = frozenset(
    [
        "rank",
        "pid",
        "user",
        "adj",
        "rss",
        "swap",
        "pagetables",
        "badness",
        "score",
        "needs",
        "children",
        "name",
    ]
)


def default_columns(rows: Iterable[RankRow], *, command: bool = False) -> list[Column[RankRow]]:
    """Return the columns that a ranking shows unless told otherwise."""
    shown, listed = set(_DEFAULT), list(rows)
    if any(map(kernel_differs, listed)):
        shown.add("kernel")
    if any(not row.score.killable for row in listed):
        shown.add("why_not")
    if command:
        shown ^= {"name", "cmdline"}
    return [column for column in COLUMNS if column.name in shown]
