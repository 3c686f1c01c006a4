"""Rendering: hostile names, widths, formats."""

from __future__ import annotations

import csv
import io

import pytest
from conftest import make_snapshot, make_task
from hypothesis import given
from hypothesis import strategies as st

from oomlab import InputError, rank
from oomlab.output.escape import cut, harmless_cell, printable, width
from oomlab.output.layout import Screen, wrapped
from oomlab.output.rank_columns import COLUMNS, default_columns
from oomlab.output.rank_rows import ranking_rows
from oomlab.output.ranking import ranking_table
from oomlab.output.render import render_csv, render_markdown, render_table
from oomlab.output.tables import Table, choose, sort_rows


def table_of(*names: str, fixed: bool = False, columns: str = "rank,pid,name") -> Table[object]:
    tasks = [make_task(2 + i, 1000 - i, comm=name) for i, name in enumerate(names)]
    ranking = rank(make_snapshot(*tasks))
    rows = ranking_rows(ranking)
    return ranking_table(ranking, rows, choose(COLUMNS, columns), fixed=fixed)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain", "plain"),
        ("a b", "a b"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("two\nlines\r", r"two\x0alines\x0d"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\x9bc1", r"\x9bc1"),
        ("\udcff\udc80", r"\xff\x80"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("日本", "日本"),
        ("\U000e0001", r"\U000e0001"),
    ],
)
def test_control_characters_are_shown_and_not_obeyed(name: str, shown: str) -> None:
    assert printable(name) == shown


@given(st.text())
def test_printable_text_is_one_line_and_stays_as_it_is(text: str) -> None:
    shown = printable(text)
    assert len(shown.splitlines()) <= 1
    assert "\x1b" not in shown
    assert printable(shown) == shown


@given(st.text(alphabet="ab日本é\u0301"), st.integers(1, 12))
def test_cutting_keeps_to_the_width(text: str, columns: int) -> None:
    assert width(cut(text, columns)) <= columns
    if width(text) <= columns:
        assert cut(text, columns) == text


@pytest.mark.parametrize("name", ["=1+1", "+cmd|x", "-2", "@SUM(A1)", "=HYPERLINK(1)"])
def test_no_spreadsheet_takes_a_name_for_a_formula(name: str) -> None:
    assert harmless_cell(name) == f"'{name}"
    text = render_csv(table_of(name), Screen())
    assert next(row["name"] for row in csv.DictReader(io.StringIO(text))) == f"'{name}"


@pytest.mark.parametrize("columns", [80, 100, 140, 200])
def test_tables_fit_the_terminal(columns: int) -> None:
    tasks = [
        make_task(
            4_194_000 + i, 10**i, adj=-7 * i, comm="名前 with a long name"[:15], user="somebody"
        )
        for i in range(9)
    ]
    ranking = rank(make_snapshot(*tasks))
    rows = ranking_rows(ranking)
    text = render_table(ranking_table(ranking, rows, default_columns(rows)), Screen(columns))
    widest = max(width(line) for line in text.splitlines())
    assert widest <= columns
    if columns >= 140:
        assert "Not shown" not in text


def test_chosen_columns_are_never_left_out() -> None:
    text = render_table(
        table_of("x" * 15, fixed=True, columns="rank,pid,swap,pagetables,name"), Screen(20)
    )
    assert "PGTBL" in text


def test_long_names_are_cut_with_a_mark() -> None:
    text = render_table(table_of("a" * 300, columns="pid,name"), Screen(40))
    assert "aaa…" in text
    assert all(len(line) <= 40 for line in text.splitlines() if "aaa" in line)


def test_colour_only_where_asked() -> None:
    assert "\x1b" not in render_table(table_of("x", "y"), Screen(80))
    coloured = render_table(table_of("x", "y"), Screen(80, colour=True)).splitlines()
    marked = [line for line in coloured if line.startswith("\x1b[31m")]
    assert len(marked) == 1
    assert "x" in marked[0]


def test_markdown_escapes_markup() -> None:
    text = render_markdown(table_of("a|b<i>`c`*d*_e_"), Screen())
    assert r"a\|b\<i\>\`c\`\*d\*\_e\_" in text


@pytest.mark.parametrize("names", ["", " , ", "nope", "pid,nope"])
def test_unknown_columns_name_the_known(names: str) -> None:
    with pytest.raises(InputError, match="there are: rank, pid"):
        choose(COLUMNS, names)


def test_sorting() -> None:
    tasks = [make_task(2, 5), make_task(3, 50, user=None, euid=7), make_task(4, None)]  # type: ignore[arg-type]
    rows = ranking_rows(rank(make_snapshot(*tasks)))

    def order(by: str) -> list[int]:
        return [row.task.pid for row in sort_rows(rows, COLUMNS, by)]

    assert order("pid") == [2, 3, 4]
    assert order("-pid") == [4, 3, 2]
    assert order("rss") == [3, 2, 4], "largest first, unknown last"
    assert order("-rss") == [2, 3, 4], "unknown last either way"
    assert order("name") == [2, 3, 4]
    assert sorted(order("user")) == [2, 3, 4], "a user without a name is a number"


def test_the_kernels_score_is_marked_where_it_differs() -> None:
    tasks = [make_task(2, 9000, kernel_oom_score=669), make_task(3, 800, kernel_oom_score=670)]
    rows = ranking_rows(rank(make_snapshot(*tasks)))
    columns = {column.name: column for column in default_columns(rows)}
    assert [columns["kernel"].text(row) for row in rows] == ["", "!670"]
    same = ranking_rows(rank(make_snapshot(tasks[0])))
    assert "kernel" not in [column.name for column in default_columns(same)]


def test_headings_are_escaped_whoever_wrote_them() -> None:
    hostile = Table(columns=(), rows=(), heading=["a\x1b]0;pwn\x07"], footer=["b\x1b[2J"])
    for screen in (Screen(), Screen(80)):
        assert "\x1b" not in render_table(hostile, screen)


def test_one_long_command_line_does_not_pad_the_others() -> None:
    text = render_table(table_of("x" * 100_000, *["y"] * 50, columns="pid,name"), Screen())
    assert len(text) < 250_000, "the name twice, and no padding"


def test_several_flexible_columns_share_what_is_left() -> None:
    column = choose(COLUMNS, "name")[0]
    rows = table_of("n" * 60).rows
    table = Table(columns=[column] * 3, rows=rows, fixed=True)
    lines = render_table(table, Screen(80)).splitlines()  # type: ignore[arg-type]
    assert [len(cell) for cell in lines[1].split()] == [25, 26, 25] or len(lines[1]) <= 80


def test_unknown_is_a_question_mark_and_never_0() -> None:
    task = make_task(2, 5, swap_pages=None, pagetable_bytes=None)
    rows = ranking_rows(rank(make_snapshot(task, swap_pages=9)))
    shown = {column.name: column.text(rows[0]) for column in COLUMNS}
    assert (shown["swap"], shown["pagetables"], shown["badness"], shown["score"]) == (
        "?",
        "?",
        "?",
        "?",
    )


@pytest.mark.parametrize("columns", [40, 60, 80, 100])
def test_eras_are_whole_on_a_narrow_screen(columns: int) -> None:
    """No text is cut and no column missing where the table is too wide."""
    from oomlab.output.eras import era_rows, eras_table

    table = eras_table(era_rows(None), None)
    shown = render_table(table, Screen(columns=columns))
    assert "…" not in shown
    assert "Not shown" not in shown
    # A line holds the name and the kernels at least.
    assert all(len(line) <= max(columns, 46) for line in shown.splitlines())
    words = " ".join(shown.split())
    for row in table.rows:
        for column in table.columns:
            assert " ".join(column.text(row).split()) in words


def test_eras_stay_a_table_where_it_fits() -> None:
    from oomlab.output.eras import era_rows, eras_table

    shown = render_table(eras_table(era_rows(None), None), Screen(columns=140))
    assert "ALSO CHANGES" in shown
    assert "ties:" not in shown


def test_what_a_bullet_says_stays_behind_it() -> None:
    lines = wrapped(["Changes:", "  - " + "word " * 12], Screen(columns=30))
    assert lines[1].startswith("  - word")
    assert len(lines) > 2
    assert all(line.startswith("    word") for line in lines[2:])
