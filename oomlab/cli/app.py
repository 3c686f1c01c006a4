"""Ties the commands together; the one place where errors become messages and exit codes.

Exit codes: 0 done; 1 ``check`` found a disagreement; 2 the input can't be used.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import click
import typer

from ..errors import OomlabError
from .check import check
from .rank import rank
from .report import report
from .snapshot import snapshot
from .whatif import whatif

USAGE = 2
_INTERRUPTED = 130
_EXIT_BROKEN_PIPE = 0
_MAX_MESSAGE = 500

app = typer.Typer(
    name="oomlab",
    help="Whom will the Linux OOM killer kill, why, and what do I change?",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (rank, whatif, report, snapshot, check):
    app.command(no_args_is_help=False)(_command)


def _show_version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        print(f"oomlab {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001  # acts in its callback
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status. Never raises for bad input."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # A name that the terminal's encoding lacks must not end the listing.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = app(given, standalone_mode=False, prog_name="oomlab", obj=given)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except typer.Exit as stop:
        return stop.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader has what it wanted; keep the interpreter from complaining at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _EXIT_BROKEN_PIPE
    except OomlabError as error:
        return _fail(str(error))
    except click.ClickException as error:
        return _fail(f"{error.format_message()} (see oomlab --help)")


def _fail(message: str) -> int:
    from ..output.escape import printable

    print(f"oomlab: {printable(message)[:_MAX_MESSAGE]}", file=sys.stderr)
    return USAGE


def run() -> None:
    """Run as a program."""
    # One command and out: what it builds lives to the end, so looking for cycles is waste.
    gc.disable()
    status = main()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    # Taking a hundred thousand objects apart one by one would cost 0.1 s more.
    os._exit(status)
