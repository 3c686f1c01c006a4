import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomlab.errors import InputError
from oomlab.units import bytes_to_pages, human, human_range, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        ("1k", 1024),
        ("1K", 1024),
        ("8G", 8 << 30),
        ("8GiB", 8 << 30),
        ("8gb", 8 << 30),
        (" 512 M ", 512 << 20),
        ("1.5G", 3 << 29),
        (".5K", 512),
        ("16E", 16 << 60),
        ("0.1K", 102),
    ],
)
def test_sizes_are_powers_of_1024(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(("text", "size"), [("+2G", 2 << 30), ("-2G", -2 << 30), ("2G", 2 << 30)])
def test_growth_may_have_a_sign(text: str, size: int) -> None:
    assert parse_size(text, signed=True) == size


@pytest.mark.parametrize(
    "text", ["", "G", "1X", "1,5G", "-1", "+1", "1e9", "0x10", "1..5G", "nan", "9" * 40, "1\n2"]
)
def test_other_text_is_no_size(text: str) -> None:
    with pytest.raises(InputError):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (1023, "1023"),
        (1024, "1.0K"),
        (10 * 1024, "10K"),
        (9.94 * 1024, "9.9K"),
        (1023.4 * 1024, "1023K"),
        (1023.6 * 1024, "1.0M"),
        (-1536, "-1.5K"),
        (5 << 70, "5120E"),
    ],
)
def test_human_sizes_as_ls_shows_them(size: float, text: str) -> None:
    assert human(int(size)) == text


@given(st.integers(0, 1 << 60), st.sampled_from([4096, 16384, 65536]))
def test_pages_hold_all_bytes_and_not_a_page_more(size: int, page: int) -> None:
    pages = bytes_to_pages(size, page)
    assert pages * page >= size > (pages - 1) * page


def test_a_range_whose_ends_look_alike_is_one_size() -> None:
    assert human_range(126_500_000, 127_000_000) == "121M"
    assert human_range(0, 0) == "0"
    assert human_range(0, 4096) == "0 to 4.0K"


def test_a_length_of_time_that_no_clock_holds() -> None:
    assert parse_duration("36500d") == 36_500 * 86_400
    with pytest.raises(InputError, match="too long: at most 36500d"):
        parse_duration("36501d")
