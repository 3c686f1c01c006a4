"""``oomlab rank --killer``: the ranking that another killer would make."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import InputError
from ..snapshot import Snapshot
from .killer_options import KillerOptions
from .options import Format, load_source, memcg_path, print_columns, print_json, print_table
from .users import check_user, is_of_user

KILLERS = ("kernel", "earlyoom", "systemd-oomd", "kubelet")


class Asked(NamedTuple):
    """What the command line asks of a killer's ranking."""

    killer: str | None
    limit: int | None
    every: bool
    sort: str | None
    columns: str | None
    kernel: str | None
    form: Format
    source: str | None
    event: int | None
    proc: Path | None
    cmdline: bool
    pid: str | None
    user: str | None
    cgroup: str | None
    own: KillerOptions


def print_killer(asked: Asked) -> bool:
    """Print the ranking of another killer than the kernel; False where the kernel's is asked.

    Raises InputError for a name that is no killer's, and for options that the killer has not.
    """
    name, _, release = (asked.killer or "kernel").partition(":")
    if name not in KILLERS:
        raise InputError(f"no killer {name!r}; there are: {', '.join(KILLERS)}")
    if release and name != "earlyoom":
        raise InputError(f"--killer {name} takes no release; write --killer {name}")
    for option, value in asked.own._asdict().items():
        owner = "kubelet" if option == "pods" else "earlyoom"
        if value and name != owner:
            raise InputError(f"--{option.replace('_', '-')} goes with --killer {owner}")
    if name == "kernel":
        return False
    _refuse_others(asked, name)
    if name == "earlyoom":
        _print_earlyoom(asked, release)
    elif name == "kubelet":
        _print_kubelet(asked)
    else:
        _print_oomd(asked)
    return True


def _refuse_others(asked: Asked, name: str) -> None:
    """Raise InputError for an option of the ranking that means nothing to this killer."""
    understood = {"earlyoom": {"user"}, "systemd-oomd": {"cgroup"}}.get(name, set())
    for option in ("cmdline", "pid", "user", "cgroup"):
        if getattr(asked, option) and option not in understood:
            raise InputError(f"--{option} does not go with --killer {name}")


def _load(asked: Asked, *, cgroups: bool = False) -> Snapshot:
    return load_source(asked.source, asked.proc, (), asked.event, cgroups=cgroups)


def _print_earlyoom(asked: Asked, release: str) -> None:
    from ..analysis.killers.earlyoom import rank_earlyoom
    from ..analysis.killers.earlyoom_settings import NEWEST, Settings
    from ..output.killers import earlyoom as output

    if asked.columns == "help":
        print_columns(output.COLUMNS)
        return
    settings = Settings(
        release=release or NEWEST,
        prefer=_pattern(asked.own.prefer, "--prefer"),
        avoid=_pattern(asked.own.avoid, "--avoid"),
        ignore=_pattern(asked.own.ignore, "--ignore"),
        sort_by_rss=asked.own.sort_by_rss,
    )
    snapshot = _load(asked)
    if asked.user is not None:
        check_user(snapshot, asked.user, asked.source)
    ranking = rank_earlyoom(snapshot, settings, kernel=asked.kernel)
    cut_later = asked.user is not None or asked.sort is not None
    rows = output.rows_of(ranking, None if cut_later else asked.limit, every=asked.every)
    if asked.user is not None:
        rows = [row for row in rows if is_of_user(row.one.task, asked.user)]
    if asked.form is Format.json:
        print_json(output.document(ranking, _sorted(asked, rows, output.COLUMNS)))
        return
    _print(asked, output.COLUMNS, rows, output.default_columns, output.heading(ranking))


def _print_oomd(asked: Asked) -> None:
    from ..analysis.killers.oomd import rank_oomd
    from ..output.killers import oomd as output

    if asked.columns == "help":
        print_columns(output.COLUMNS)
        return
    snapshot = _load(asked, cgroups=True)
    monitored = memcg_path(snapshot, asked.cgroup) or "/"
    ranking = rank_oomd(snapshot, monitored, kernel=asked.kernel)
    rows = output.rows_of(ranking, every=asked.every)
    if asked.form is Format.json:
        print_json(output.document(ranking, _sorted(asked, rows, output.COLUMNS)))
        return
    _print(asked, output.COLUMNS, rows, output.default_columns, output.heading(ranking))


def _print_kubelet(asked: Asked) -> None:
    from ..analysis.killers.kubelet import rank_kubelet
    from ..output.killers import kubelet as output

    if asked.columns == "help":
        print_columns(output.COLUMNS)
        return
    pods = None
    if asked.own.pods is not None:
        from ..readers.pods import read_pods

        pods = read_pods(asked.own.pods)
    ranking = rank_kubelet(_load(asked, cgroups=True), pods, kernel=asked.kernel)
    rows = output.rows_of(ranking)
    if asked.form is Format.json:
        print_json(output.document(ranking, _sorted(asked, rows, output.COLUMNS)))
        return
    _print(asked, output.COLUMNS, rows, output.default_columns, output.heading(ranking))


def _pattern(text: str | None, option: str) -> Any:
    if text is None:
        return None
    from .posix_regex import compile_extended

    return compile_extended(text, option)


def _sorted(asked: Asked, rows: list[Any], columns: Any) -> list[Any]:
    from ..output.tables import sort_rows

    ordered = sort_rows(rows, columns, asked.sort) if asked.sort is not None else rows
    return ordered[: asked.limit]


def _print(
    asked: Asked,
    columns: Any,
    rows: list[Any],
    default: Callable[[list[Any]], list[Any]],
    heading: list[str],
) -> None:
    from ..output.tables import Table, choose

    chosen = choose(columns, asked.columns) if asked.columns is not None else None
    shown = _sorted(asked, rows, columns)
    listed = chosen or default(shown)
    marked = frozenset(i for i, row in enumerate(shown) if row.places == (1, 1))
    table: Table[Any] = Table(
        columns=listed,
        rows=shown,
        heading=heading,
        marked=marked,
        fixed=asked.columns is not None,
    )
    print_table(table, asked.form)
