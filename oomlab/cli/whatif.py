"""``oomlab whatif``: try edits on a snapshot, change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError
from .options import (
    Cgroup,
    Columns,
    EventNumber,
    Format,
    From,
    Kernel,
    OutputFormat,
    Proc,
    load_source,
    memcg_path,
    print_columns,
    print_json,
    print_table,
    tasks_of,
)

if TYPE_CHECKING:
    from ..analysis.ranking import Ranking
    from ..output.change_columns import ChangeRow
    from ..output.comparison import Edit
    from ..output.tables import Column
    from ..snapshot import Snapshot
    from .edits import Wanted

_DEFAULT_COUNT = 10
Texts = list[str]


def whatif(
    context: typer.Context,
    pid: Annotated[
        str | None, typer.Option("--pid", "-p", help="The task that a plain --adj N is for.")
    ] = None,
    adj: Annotated[
        Texts | None, typer.Option(metavar="N|PID=N", help="Set oom_score_adj (-1000..1000).")
    ] = None,
    oom_adj: Annotated[
        Texts | None, typer.Option(metavar="PID=N", help="Set the old oom_adj (-17..15).")
    ] = None,
    grow: Annotated[
        Texts | None, typer.Option(metavar="PID=+SIZE", help="Let it use more (or, with -, less).")
    ] = None,
    rss: Annotated[Texts | None, typer.Option(metavar="PID=SIZE", help="Set its RSS.")] = None,
    swap: Annotated[
        Texts | None, typer.Option(metavar="PID=SIZE", help="Set what it has swapped out.")
    ] = None,
    kill: Annotated[Texts | None, typer.Option(metavar="PID", help="Take it away.")] = None,
    add: Annotated[
        Texts | None,
        typer.Option(metavar="NAME=SIZE[,adj=N]", help="Add a process that isn't there yet."),
    ] = None,
    ram: Annotated[Texts | None, typer.Option(metavar="SIZE", help="Change the RAM.")] = None,
    swap_total: Annotated[
        Texts | None, typer.Option(metavar="SIZE", help="Change the swap space.")
    ] = None,
    limit: Annotated[
        Texts | None,
        typer.Option(metavar="PATH=SIZE|max", help="Set a memory cgroup's limit."),
    ] = None,
    swap_limit: Annotated[
        Texts | None,
        typer.Option(metavar="PATH=SIZE|max", help="Set the swap that it may use on top."),
    ] = None,
    move: Annotated[
        Texts | None, typer.Option(metavar="PID=PATH", help="Move it to a memory cgroup.")
    ] = None,
    oom_group: Annotated[
        Texts | None, typer.Option(metavar="PATH=on|off", help="Set its memory.oom.group.")
    ] = None,
    cgroup: Cgroup = None,
    kernel: Kernel = None,
    count: Annotated[
        int | None,
        typer.Option("-n", "--number", min=0, help="How many tasks; all for json and csv."),
    ] = None,
    columns: Columns = None,
    form: OutputFormat = Format.table,
    source: From = None,
    event: EventNumber = None,
    proc: Proc = None,
) -> None:
    """Try edits: the ranking now and then.

    Nothing is changed on the machine. Edits apply in the order given. A NAME does for a PID
    where exactly one process has it, a UNIT or CONTAINER for a PATH. Sizes: 2G, 512M, 4096.
    """
    from ..analysis.ranking import rank
    from ..output.change_columns import COLUMNS
    from ..output.comparison import Edit
    from ..output.tables import choose
    from .edits import apply_all, in_order

    if columns == "help":
        print_columns(COLUMNS)
        return
    chosen = choose(COLUMNS, columns) if columns is not None else None
    texts: dict[str, Any] = {
        "adj": _addressed(pid, adj),
        "oom_adj": oom_adj,
        "grow": grow,
        "rss": rss,
        "swap": swap,
        "kill": kill,
        "add": add,
        "ram": ram,
        "swap_total": swap_total,
        "limit": limit,
        "swap_limit": swap_limit,
        "move": move,
        "oom_group": oom_group,
    }
    wanted = in_order(context.obj or [], {kind: found or [] for kind, found in texts.items()})
    if not wanted and kernel is None:
        raise InputError("no edit given: for example --pid 812 --adj -500, or --grow 812=+2G")
    snapshot = _with_totals(load_source(source, proc, event=event, cgroups=True), wanted)
    with tasks_of(source):
        after, edits = apply_all(snapshot, wanted)
    if kernel is not None:
        edits.append(Edit(kind="kernel", value=kernel, text=f"rules of {kernel}"))
    memcg = _scope(after, cgroup, edits)
    before = _ranked_now(snapshot, kernel, memcg)
    then = rank(after, kernel=kernel or before.era, memcg=memcg)
    _print(before, then, edits, chosen, count, form)


def _scope(snapshot: Snapshot, cgroup: str | None, edits: list[Edit]) -> str | None:
    """Return whose OOM is asked about: --cgroup's, else the cgroup's that was edited last.

    Where that has no limit, the nearest one above it that has: none is the machine.
    """
    if cgroup is not None:
        return memcg_path(snapshot, cgroup)
    limited = [edit.path for edit in edits if edit.kind in ("limit", "swap_limit")]
    if limited:
        return limited[-1]
    edited = [edit.path for edit in edits if edit.path is not None]
    if not edited:
        return None
    from ..analysis.scopes import limited_above

    return limited_above(snapshot, edited[-1])


def _with_totals(snapshot: Snapshot, wanted: list[Wanted]) -> Snapshot:
    """Take a machine whose RAM or swap is unknown for the one that --ram and --swap-total name.

    Without them there is no ranking to compare with: they tell what the source does not.
    """
    from .edits import apply_all

    if snapshot.machine.totalpages is not None:
        return snapshot
    missing = {
        "ram": snapshot.machine.ram_pages is None,
        "swap_total": snapshot.machine.swap_pages is None,
    }
    return apply_all(snapshot, [one for one in wanted if missing.get(one.kind)])[0]


def _ranked_now(snapshot: Snapshot, kernel: str | None, memcg: str | None) -> Ranking:
    """Rank by the snapshot's own rules, or where nothing tells them by those asked for."""
    from ..analysis.ranking import rank
    from ..kernel.evidence import pick_era

    try:
        era = pick_era(snapshot)
    except InputError:
        if kernel is None:
            raise
        era = pick_era(snapshot, kernel)
    return rank(snapshot, kernel=era, memcg=memcg)


def _print(
    before: Ranking,
    after: Ranking,
    edits: list[Edit],
    chosen: list[Column[ChangeRow]] | None,
    count: int | None,
    form: Format,
) -> None:
    from ..output.change_columns import COLUMNS, change_rows, worth_showing
    from ..output.comparison import comparison_table, whatif_document

    if form is Format.json:
        limit = len(before) + len(after) if count is None else count
        print_json(whatif_document(before, after, edits, limit))
        return
    rows = change_rows(before, after)
    if form is not Format.csv or count is not None:
        touched = frozenset(edit.pid for edit in edits if edit.pid is not None)
        rows = worth_showing(rows, _DEFAULT_COUNT if count is None else count, touched)
    listed = chosen or list(COLUMNS)
    print_table(
        comparison_table(before, after, edits, rows, listed, fixed=chosen is not None), form
    )


def _addressed(pid: str | None, adj: list[str] | None) -> list[str]:
    """Give the plain form ``--pid X --adj N`` its target."""
    plain = [text for text in adj or [] if "=" not in text]
    if pid is None and plain:
        raise InputError(f"--adj {plain[0]} needs a target: --pid PID, or --adj PID={plain[0]}")
    if pid is not None and len(plain) != 1:
        raise InputError("--pid goes with one plain --adj N; for other edits write PID=VALUE")
    return [f"{pid}={text}" if "=" not in text else text for text in adj or []]
