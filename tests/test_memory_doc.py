"""Every example of docs/memory.md gives what the page says."""

from __future__ import annotations

import doctest
import os
import shutil
from pathlib import Path

import pytest

PAGE = Path(__file__).parent.parent / "docs" / "memory.md"


def test_every_example_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    if not os.access("/proc/self/smaps", os.R_OK):
        pytest.skip("this kernel has no smaps")
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed, which compiles the page's C program")
    monkeypatch.chdir(PAGE.parent.parent)
    failed, tried = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert failed == 0
    assert tried > 25
