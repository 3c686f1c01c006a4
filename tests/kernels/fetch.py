"""Which kernels Debian's suites carry today, and their images, through apt."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

SUITES = ("bullseye", "bookworm", "trixie", "forky", "sid")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_FALLBACK_MIRROR = "http://deb.debian.org/debian"

_PACKAGE = re.compile(r"linux-(?:image|binary)-(\d+\.\d+)\S*-cloud-amd64")
"""The small flavour, made for virtual machines. From 7.x on a linux-image may be empty and
depend on the linux-binary that holds the kernel."""


class Kernel(NamedTuple):
    """A kernel to boot: its series (6.1), the suite and the package that carry it."""

    series: str
    suite: str
    package: str


def cache_directory() -> Path:
    """Return where kernels, guests' disks and records are kept: outside the repository."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "oomlab"


def missing_tools(tools: tuple[str, ...]) -> list[str]:
    """Return those of the programs that this machine does not have."""
    return [tool for tool in tools if shutil.which(tool) is None]


def find_kernels(*, refresh: bool = False) -> list[Kernel]:
    """List the newest kernel of each series in Debian's suites, oldest series first."""
    found: dict[str, Kernel] = {}
    for suite in SUITES:
        lists = _apt_root(suite) / "lists"
        if refresh or not any(lists.glob("*_Packages*")):
            _apt(suite, "apt-get", "-q", "update")
        names = _apt(suite, "apt-cache", "pkgnames", "linux-").split()
        for kernel in newest_of_each(suite, names):
            known = found.get(kernel.series)
            if known is None or _newness(kernel.package) > _newness(known.package):
                found[kernel.series] = kernel
    return sorted(found.values(), key=lambda kernel: _numbers(kernel.series))


def newest_of_each(suite: str, names: list[str]) -> list[Kernel]:
    """Return the newest cloud kernel of each series among a suite's package names."""
    best: dict[str, str] = {}
    for name in names:
        match = _PACKAGE.fullmatch(name)
        if match is None:
            continue
        series = match[1]
        if series not in best or _newness(name) > _newness(best[series]):
            best[series] = name
    return [Kernel(series, suite, name) for series, name in best.items()]


def fetch(kernel: Kernel) -> Path:
    """Return the path of the kernel's image, downloaded unless it is in the cache."""
    image = cache_directory() / "kernels" / f"vmlinuz-{kernel.package}"
    if image.exists():
        return image
    image.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        _apt(kernel.suite, "apt-get", "-q", "download", kernel.package, cwd=work)
        (package,) = work.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", package, work], check=True)
        (vmlinuz,) = work.rglob("vmlinuz*")
        shutil.move(vmlinuz, image)
    return image


def fetch_modules(kernel: Kernel) -> Path:
    """Return the directory of the kernel's modules, unpacked unless it is in the cache."""
    # From 7.x on they are in a package of their own.
    package = kernel.package.replace("linux-binary-", "linux-modules-")
    home = cache_directory() / "modules" / package
    if home.exists():
        return home
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as name:
        work = Path(name)
        _apt(kernel.suite, "apt-get", "-q", "download", package, cwd=work)
        (archive,) = work.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", archive, work / "root"], check=True)
        (work / "root").rename(home)
    return home


def fetch_programs(*packages: str) -> Path:
    """Return a directory with the daemons and libraries of packages, of this machine's own suite.

    It has them in bin and lib. They run with this machine's other libraries.
    """
    target = cache_directory() / "programs" / "-".join(packages)
    if target.exists():
        return target
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        subprocess.run(["apt-get", "-q", "download", *packages], check=True, cwd=work)
        for package in work.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", package, work], check=True)
        made = work / "made"
        for kind, pattern in (("bin", "lib/systemd/systemd-*"), ("lib", "usr/lib/*/systemd/*.so")):
            (made / kind).mkdir(parents=True)
            for path in work.glob(pattern):
                shutil.copy(path, made / kind)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(made, target)
    return target


def _newness(name: str) -> tuple[list[int], bool]:
    return _numbers(name), name.startswith("linux-binary")


def _numbers(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]


def _apt_root(suite: str) -> Path:
    return cache_directory() / "apt" / suite


def _apt(suite: str, tool: str, *arguments: str, cwd: Path | None = None) -> str:
    """Run an apt tool on one suite alone, apart from this machine's own apt and as any user."""
    root = _apt_root(suite)
    for part in ("lists/partial", "archives/partial"):
        (root / part).mkdir(parents=True, exist_ok=True)
    sources = root / "sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] {_mirror()} {suite} main\n")
    settings = {
        "Dir::Etc::SourceList": sources,
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State": root,
        "Dir::State::Status": "/dev/null",
        "Dir::Cache": root,
        "APT::Architecture": "amd64",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
    }
    options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
    return subprocess.run(
        [tool, *options, *arguments], check=True, cwd=cwd, stdout=subprocess.PIPE, text=True
    ).stdout


def _mirror() -> str:
    """Return the Debian mirror of this machine's own apt, or Debian's public one."""
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(REPO_URI)"],
        capture_output=True,
        text=True,
    ).stdout
    for line in targets.splitlines():
        origin, _, uri = line.partition("|")
        if origin == "Debian" and "security" not in uri:
            return uri.rstrip("/")
    return _FALLBACK_MIRROR
