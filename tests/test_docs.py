"""The documents are run: every ``$ oomlab`` block's output, every Python block.

After a change of output, ``OOMLAB_WRITE_DOCS=1 pytest tests/test_docs.py`` writes the blocks anew;
read the difference before you commit it.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from oomlab.cli.app import COMMANDS

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
CONSOLE = re.compile(r"(?<=```console\n)\$ (oomlab\b[^\n]*)\n(.*?)(?=```)", re.DOTALL)
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
Run = Callable[..., tuple[int, str, str]]


def by_name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", DOCUMENTS, ids=by_name)
def test_what_the_documents_show_is_what_is_printed(
    path: Path, run_cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "80")

    def run(match: re.Match[str]) -> str:
        _, out, err = run_cli(*shlex.split(match[1])[1:])
        return f"$ {match[1]}\n{out}{err}"

    text = path.read_text()
    shown = CONSOLE.sub(run, text)
    if os.environ.get("OOMLAB_WRITE_DOCS"):
        path.write_text(shown)
    assert shown == text


@pytest.mark.parametrize("path", DOCUMENTS, ids=by_name)
def test_python_in_the_documents_runs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for block in PYTHON.findall(path.read_text()):
        exec(compile(block, by_name(path), "exec"), {})


def test_every_command_is_in_the_reference() -> None:
    text = (ROOT / "docs/cli.md").read_text()
    for name in COMMANDS:
        assert f"$ oomlab {name} --help\n" in text, name


def test_every_schema_is_documented() -> None:
    text = "".join(path.read_text() for path in DOCUMENTS)
    sources = "".join(path.read_text() for path in (ROOT / "oomlab").rglob("*.py"))
    for schema in set(re.findall(r'SCHEMA = "(oomlab\.\w+/\d+)"', sources)):
        assert schema in text, schema
