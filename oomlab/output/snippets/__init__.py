"""A suggestion in the form that the owner of the processes uses, complete and valid."""

from __future__ import annotations

from collections.abc import Callable

from ...analysis.suggestion import Suggestion
from .commands import choom_commands, shell_script
from .containers import compose_file, docker_commands
from .kubernetes import kubernetes_manifests
from .systemd import systemd_dropins

SNIPPETS: dict[str, Callable[[Suggestion], str]] = {
    "choom": choom_commands,
    "systemd": systemd_dropins,
    "docker": docker_commands,
    "compose": compose_file,
    "kubernetes": kubernetes_manifests,
    "shell": shell_script,
}
"""The forms of ``--as`` by name."""
