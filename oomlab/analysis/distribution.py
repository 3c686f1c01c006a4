"""Whose kernel a release string looks like: distributions put their mark into it."""

from __future__ import annotations

import re

_MARKS: tuple[tuple[str, str], ...] = (
    (r"\.el(\d+)uek", "Oracle Linux {0} (UEK)"),
    (r"\.el(\d+).*\.elrepo", "Enterprise Linux {0} with ELRepo's kernel"),
    (r"\.el(\d+)", "Enterprise Linux {0}"),
    (r"\.fc(\d+)", "Fedora {0}"),
    (r"\.amzn(\d+)", "Amazon Linux {0}"),
    (r"\.cm(\d)|\.azl(\d)", "Azure Linux"),
    (r"\+deb(\d+)|~bpo(\d+)\+", "Debian {0}"),
    (r"-pve$", "Proxmox VE"),
    (r"-arch\d|-ARCH$", "Arch Linux"),
    (r"-(?:generic|lowlatency|aws|azure|gcp|oracle|kvm|oem|raspi\d?)$", "Ubuntu"),
    (r"microsoft-standard", "WSL"),
    (r"-gki-|-android\d+|-android", "Android"),
    (r"-v\d+(?:l|-v8)?\+$|\+rpt-rpi", "Raspberry Pi OS"),
    (r"-(?:default|desktop|preempt)$", "SUSE"),
    (r"-gentoo", "Gentoo"),
    (r"-\d+(?:\.\d+)?-(?:cloud-)?(?:amd64|686|686-pae|arm64|armmp|powerpc64le|s390x)", "Debian"),
    (r"-cki$|\.cki$", "Red Hat's continuous integration"),
    (r"-next-\d{8}", "linux-next"),
)
"""The surest mark first: Debian's and Ubuntu's flavours are told apart by it."""
_FOUND = tuple((re.compile(pattern), name) for pattern, name in _MARKS)


def distribution_of(release: str | None) -> str | None:
    """Return the distribution that a kernel release looks to be of, None where it shows no mark.

    >>> distribution_of("2.6.32-642.11.1.el6.x86_64"), distribution_of("3.13.0-27-generic")
    ('Enterprise Linux 6', 'Ubuntu')
    """
    for pattern, name in _FOUND:
        found = pattern.search(release or "")
        if found is not None:
            return name.format(*(group or "" for group in found.groups())).strip()
    return None
