"""Every example of docs/model.md gives what the page says."""

from __future__ import annotations

import doctest
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "model.md"


def test_every_example_of_the_page() -> None:
    failed, tried = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert failed == 0
    assert tried > 50


def test_the_page_has_an_example_of_each_family() -> None:
    text = PAGE.read_text()
    for kernel in ("2.6.32", "2.6.36", "3.1", "3.2", "3.13", "3.14", "4.9", "4.16", "4.17", "5.9"):
        assert f'"{kernel}"' in text, kernel
