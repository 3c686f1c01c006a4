"""Kernel releases: ``6.1.0-50-cloud-amd64`` is (6, 1, None): its third number is a label."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..errors import InputError

_RELEASE = re.compile(r"(\d{1,4})\.(\d{1,4})(?:\.(\d{1,9}))?(.*)", re.DOTALL)


class Release(NamedTuple):
    """A mainline release and, where the string tells, the level of its stable tree.

    ``series`` is (2, 6, 32), (5, 4): what one mainline release is called.
    ``level`` is the stable tree's last number, None where the string does not tell.
    """

    series: tuple[int, ...]
    level: int | None

    def __str__(self) -> str:
        text = ".".join(map(str, self.series))
        return text if not self.level else f"{text}.{self.level}"


def parse_release(text: str) -> Release:
    """Return the release in ``text`` as uname -r, an oops line or a user writes it.

    Distributions count their own builds behind ``x.y.0-``, so a third number of 0 with a
    suffix says nothing about the stable level. Raises InputError.
    """
    match = _RELEASE.match(text.strip())
    if match is None:
        raise InputError(
            f"{text[:60]!r} is not a kernel release (write for example 5.10 or 4.14.74)"
        )
    major, minor, third, rest = int(match[1]), int(match[2]), match[3], match[4]
    if major < 3:
        # 2.6.32.69: three numbers name the release, the fourth is the stable level.
        fourth = re.match(r"\.(\d{1,9})", rest)
        return Release((major, minor, int(third or 0)), int(fourth[1]) if fourth else None)
    if third is None or (third == "0" and rest):
        return Release((major, minor), None)
    return Release((major, minor), int(third))
