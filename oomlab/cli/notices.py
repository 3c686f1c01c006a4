"""Lines on stderr: each begins with the program's name and can't move the terminal's cursor."""

from __future__ import annotations

import sys


def tell(text: str, most: int | None = None) -> None:
    """Print a line on stderr, ``most`` characters of it at most. Escapes what is not printable."""
    from ..output.escape import printable

    print(f"oomlab: {printable(text)[:most]}", file=sys.stderr)
