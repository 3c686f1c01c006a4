"""``python -m oomlab`` and the program ``oomlab``: ready for anything before all else starts."""

import gc
import os
import sys

_INTERRUPTED = 130


def _open_missing_streams() -> None:
    """A program started with closed streams must not write into what it opens later."""
    while True:
        descriptor = os.open(os.devnull, os.O_RDWR)
        if descriptor > 2:
            os.close(descriptor)
            break
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: PTH123, SIM115


def run() -> None:
    """Run the command line; an interrupt while it is still imported leaves no traceback."""
    # One command and out: what it builds lives to the end, so looking for cycles is waste.
    gc.disable()
    try:
        _open_missing_streams()
        from .cli import early

        early.begin(sys.argv[1:])
        from .cli.app import run as run_commands

        run_commands()
    except KeyboardInterrupt:
        os._exit(_INTERRUPTED)


if __name__ == "__main__":
    run()
