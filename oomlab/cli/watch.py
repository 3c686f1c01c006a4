"""``oomlab watch``: which processes grow, how, until when, and who dies then."""

from __future__ import annotations

import gc
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError
from .options import Cgroup, Format, Kernel, Proc

_CONDITION_NOT_MET = 1
_DEFAULT_COUNT = 10


def watch(
    processes: Annotated[
        list[str] | None,
        typer.Argument(metavar="PID|NAME...", help="Which; without any, those that grow most."),
    ] = None,
    interval: Annotated[
        str,
        typer.Option("--interval", "-i", metavar="TIME", help="Between samples: 2s, 500ms, 1m."),
    ] = "2s",
    count: Annotated[
        int | None, typer.Option("--count", min=1, help="End after so many samples.")
    ] = None,
    window: Annotated[
        str, typer.Option(metavar="TIME", help="How far back the trend looks: 10m, 1h, 3d.")
    ] = "1h",
    until: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONDITION",
            help="End when victim=NAME, headroom<SIZE or verdict=leak-like; may be repeated.",
        ),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Record the samples; .gz packs them."),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="Replay a recording, not this machine."),
    ] = None,
    number: Annotated[
        int, typer.Option("-n", "--number", min=0, help="How many of those that grow most.")
    ] = _DEFAULT_COUNT,
    cgroup: Cgroup = None,
    kernel: Kernel = None,
    form: Annotated[
        Format | None,
        typer.Option("--format", help="How to print; table on a terminal, else json lines."),
    ] = None,
    proc: Proc = None,
) -> int:
    """Watch memory grow: leaks, until when, who dies then.

    On a terminal a live table, else a JSON document a line. Ctrl-C ends it.

    Exit status with --until: 0 when a condition was met, 1 when the watch ended before.
    """
    from ..analysis.growth.watching import Watch
    from ..units import parse_duration
    from .terminal import drop_output
    from .until import parse_condition
    from .watching import Live, Printer, Replay, views_of

    if source is not None and (proc is not None or record is not None):
        raise InputError("--from replays a recording: it goes with neither --proc nor --record")
    conditions = [parse_condition(text) for text in until or []]
    pause, span = parse_duration(interval), parse_duration(window)
    selected = frozenset(processes or [])
    gc.enable()  # a command that may run for days
    met = False
    with ExitStack() as stack:
        if source is None:
            live = stack.enter_context(Live(proc, cgroup, record))
            path = live.memcg
        else:
            replay = Replay(source, cgroup)
            path = replay.memcg
        watched = Watch(
            selected=selected, most_rows=number, window_seconds=span, memcg=path, kernel=kernel
        )
        samples = live.samples(watched, pause) if source is None else replay.samples()
        printer = stack.enter_context(Printer(form, live=source is None, evidence=bool(selected)))
        try:
            for view in views_of(samples, watched, selected, count):
                printer.show(view)
                met = any(condition(view) for condition in conditions)
                if met:
                    break
        except BrokenPipeError:
            if not conditions:
                raise
            drop_output()  # the reader has left before a condition was met
    return _CONDITION_NOT_MET if conditions and not met else 0
