"""Compile and run the small C programs of tests/programs."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).with_name("programs")


@cache
def _directory() -> Path:
    made = tempfile.mkdtemp(prefix="oomlab-test-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(made)


@cache
def _compile(name: str, compiler: str, flags: tuple[str, ...]) -> Path | str:
    """Return the program, or why it can't be made."""
    if shutil.which(compiler) is None:
        return f"{compiler} is not installed"
    path = _directory() / f"{name}{abs(hash((compiler, flags)))}"
    command = [compiler, "-O1", "-pthread", "-o", str(path), str(PROGRAMS / f"{name}.c"), *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return path if done.returncode == 0 else done.stderr.strip().splitlines()[0]


def compiled(name: str, *flags: str, compiler: str = "gcc") -> Path:
    """Return the compiled program of that name, or skip the test and say why."""
    made = _compile(name, compiler, flags)
    if isinstance(made, str):
        pytest.skip(f"can't compile {name}.c {' '.join(flags)}: {made}")
    return made


@contextmanager
def running(
    *command: str | Path, env: dict[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[str], dict[str, list[int]]]]:
    """Run a program until it prints "ready"; what it printed before as {name: addresses}."""
    with subprocess.Popen(
        [str(word) for word in command], stdout=subprocess.PIPE, text=True, env=env
    ) as process:
        try:
            assert process.stdout is not None
            said: dict[str, list[int]] = {}
            for line in iter(process.stdout.readline, "ready\n"):
                assert line, f"{command[0]} ended before it was ready"
                name, _, value = line.strip().partition(" ")
                said.setdefault(name, []).append(int(value, 16))
            yield process, said
        finally:
            process.kill()
