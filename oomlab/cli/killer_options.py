"""The options of ``oomlab rank`` that only another killer than the kernel has."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import typer

Killer = Annotated[
    str | None,
    typer.Option(
        "--killer",
        metavar="NAME",
        help="Rank as another killer would: earlyoom, earlyoom:1.7, systemd-oomd, kubelet.",
    ),
]
Prefer = Annotated[
    str | None, typer.Option("--prefer", metavar="REGEX", help="earlyoom's --prefer.")
]
Avoid = Annotated[str | None, typer.Option("--avoid", metavar="REGEX", help="earlyoom's --avoid.")]
Ignore = Annotated[
    str | None, typer.Option("--ignore", metavar="REGEX", help="earlyoom's --ignore.")
]
SortByRss = Annotated[bool, typer.Option("--sort-by-rss", help="earlyoom's --sort-by-rss.")]
Pods = Annotated[
    str | None,
    typer.Option("--pods", metavar="FILE", help="The kubelet's pods: kubectl get pods -A -o json."),
]


class KillerOptions(NamedTuple):
    """Options that only another killer than the kernel has."""

    prefer: str | None
    avoid: str | None
    ignore: str | None
    sort_by_rss: bool
    pods: str | None
