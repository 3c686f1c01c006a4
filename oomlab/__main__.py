"""``python -m oomlab`` is ``oomlab``."""

from .cli.app import run

run()
