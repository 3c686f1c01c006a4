"""Ties the commands together; the one place where errors become messages and exit codes.

Exit codes: 0 done; 1 the answer is no (docs/cli.md says when); 2 the input can't be used.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import click
import typer
import typer.core
import typer.main

from ..errors import InputError, OomlabError
from .notices import tell

USAGE = 2
_INTERRUPTED = 130
_EXIT_BROKEN_PIPE = 0
_MAX_MESSAGE = 500

COMMANDS = {
    "rank": "Rank the OOM killer's likely victims, best first.",
    "whatif": "Try edits: the ranking now and then.",
    "explain": "Explain a process's badness and where its memory is.",
    "heap": "Walk a process's glibc heap: holes, top, what pins it.",
    "scopes": "List the places where memory can run out, nearest first.",
    "suggest": "Suggest the smallest oom_score_adj changes that protect.",
    "apply": "Write suggested values to running processes; undo.",
    "cascade": "Simulate kills: who, what it frees, who is next.",
    "system": "Show where the machine's memory is, and how far OOM is.",
    "report": "Read OOM reports in kernel logs: who died, why.",
    "watch": "Watch memory grow: leaks, until when, who dies then.",
    "snapshot": "Save this machine's state to a file.",
    "check": "Compare the model with the kernel, task by task.",
    "eras": "List the eras of the rules; which is this machine's.",
}
"""Each command is the function of that name in the module of that name; its first line."""


class _OutputClosedError(Exception):
    """Whoever reads the output has what he wanted."""


class _Commands(typer.core.TyperGroup):
    """Imports a command when it is called: starting must not take longer with each new one."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. click would make a closed pipe an exit status of 1."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _OutputClosedError from error

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS:
            raise InputError(f"no command {args[0]!r}; there are: {', '.join(COMMANDS)}")
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f".{cmd_name}", __package__)
        one = typer.Typer(add_completion=False, rich_markup_mode=None)
        one.command(cmd_name)(getattr(module, cmd_name))
        return typer.main.get_command(one)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


app = typer.Typer(
    name="oomlab",
    cls=_Commands,
    help="Whom will the Linux OOM killer kill, why, and what do I change?",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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
    except (BrokenPipeError, _OutputClosedError):
        from .terminal import drop_output

        drop_output()
        return _EXIT_BROKEN_PIPE
    except OomlabError as error:
        return _fail(str(error), getattr(error, "choices", ()))
    except MemoryError:
        return _fail("out of memory: the input is too large for this machine")
    except OSError as error:
        return _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
    except click.ClickException as error:
        return _fail(f"{error.format_message()} (see oomlab --help)")


def _fail(message: str, choices: Sequence[str] = ()) -> int:
    from ..output.escape import printable

    tell(message, _MAX_MESSAGE)
    for choice in choices:
        print(f"  {printable(choice)[:_MAX_MESSAGE]}", file=sys.stderr)
    return USAGE


def run() -> None:
    """Run as a program, then end the process."""
    status = main()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    # Taking a hundred thousand objects apart one by one would cost 0.1 s more.
    os._exit(status)
