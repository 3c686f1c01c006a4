"""Options of docker and podman, and keys of a compose file.

Neither engine changes oom_score_adj of a container that exists: it is made anew with the option.
Source: docker container create --help, the Compose specification (oom_score_adj, mem_limit).
"""

from __future__ import annotations

import json
import re
import shlex

from ...analysis.cgroups import container_of, name_of
from ...analysis.owners import Owner, container_key, owners_of, place_of_task
from ...analysis.suggestion import Suggestion
from .text import comment, left_over, limit_bytes, promise_notes

_MIB = 1 << 20
_SERVICE = re.compile(r"(?:[a-z0-9][a-z0-9_-]*[-_])?([a-zA-Z0-9][a-zA-Z0-9._-]*?)[-_][0-9]+")
_IMAGE = "IMAGE"


def docker_commands(found: Suggestion) -> str:
    """Return a create command for each container."""
    owners, notes = _owners(found)
    lines = comment(
        "Remove each container and make it anew, with all its other options as they were."
    )
    for owner, options in owners:
        engine = "podman" if owner.place.engine == "podman" else "docker"
        image = owner.container.image if owner.container and owner.container.image else _IMAGE
        words = [engine, "create", *options, f"--name={owner.name}", image]
        lines.append(" ".join(map(shlex.quote, words)))
    if not owners:
        lines = comment("Nothing here for docker or podman to set.")
    return "\n".join([*lines, *notes]) + "\n"


def compose_file(found: Suggestion) -> str:
    """Return a compose file to merge: docker compose -f compose.yaml -f THIS up -d."""
    owners, notes = _owners(found)
    if not owners:
        return "\n".join([*comment("Nothing here for a compose file to set."), *notes]) + "\n"
    lines = [*comment("docker compose -f compose.yaml -f this-file.yaml up -d"), "services:"]
    for owner, options in owners:
        lines.append(f"  {json.dumps(_service(owner.name))}:")
        for option in options:
            name, _, value = option.partition("=")
            key = {"--oom-score-adj": "oom_score_adj", "--memory": "mem_limit"}[name]
            lines.append(f"    {key}: {value}")
    return "\n".join([*lines, *notes]) + "\n"


def _service(name: str) -> str:
    """Return the compose service of a container: PROJECT-SERVICE-1 is what compose calls it."""
    match = _SERVICE.fullmatch(name)
    return match[1] if match else name


def _owners(found: Suggestion) -> tuple[list[tuple[Owner, list[str]]], list[str]]:
    if found.impossible:
        return _limited(found), comment(
            f"No setting of oom_score_adj does it: {found.impossible[0]}."
        )
    owners, rest = owners_of(found, container_key)
    notes = promise_notes(found, owners, container_key)
    notes += left_over(rest, "in a container that docker or podman made")
    return [(owner, [f"--oom-score-adj={owner.value}"]) for owner in owners], notes


def _limited(found: Suggestion) -> list[tuple[Owner, list[str]]]:
    """Return limits for the containers of those who may die, a quarter above what they use."""
    snapshot = found.ranking.snapshot
    limited: dict[str, tuple[Owner, list[str]]] = {}
    doomed = [place_of_task(task) for task in found.sacrificed]
    for place in doomed:
        key = None if place is None else container_key(place)
        limit = None if place is None else limit_bytes(found, place.path)
        if place is None or key is None or limit is None:
            continue
        name, known = name_of(snapshot, place), container_of(snapshot, place)
        owner = Owner(place, name, 0, protects=False, mixed=False, container=known)
        limited.setdefault(key, (owner, [f"--memory={limit // _MIB}m"]))
    return list(limited.values())
