"""What a systemd unit's files say of OOMScoreAdjust=, against systemctl's own order of them."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import make_snapshot, make_task

from oomlab.analysis.origin import ask_systemd, origin_of, origin_text, unit_of, unit_text
from oomlab.process import Unit, UnitSetting
from oomlab.readers.unit_files import (
    list_unit_files,
    manager_of,
    parse_assignments,
    read_unit_setting,
)

FOLDERS = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/lib/systemd/system",
    "usr/local/lib/systemd/system",
    "etc/systemd/system.control",
]
A = Unit("a.service")
UNITS = [
    "a.service",
    "a-b.service",
    "a-b-c.service",
    "a-b@one.service",
    "a-b-c@x-y.service",
    "web.socket",
    "x-.mount",
]


def write(root: Path, name: str, *values: object, section: str = "Service") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"[{section}]\n" + "".join(f"OOMScoreAdjust={value}\n" for value in values))
    return path


def test_the_unit_file_then_its_drop_ins(tmp_path: Path) -> None:
    assert read_unit_setting(tmp_path, A) == UnitSetting(A, None, None, False)
    write(tmp_path, "usr/lib/systemd/system/a.service", -100)
    assert read_unit_setting(tmp_path, A) == UnitSetting(
        A, -100, "/usr/lib/systemd/system/a.service", True
    )
    write(tmp_path, "etc/systemd/system/a.service", -200)
    assert read_unit_setting(tmp_path, A).oom_score_adj == -200
    write(tmp_path, "run/systemd/system/a.service.d/20.conf", -300)
    write(tmp_path, "etc/systemd/system/a.service.d/10.conf", -400)
    found = read_unit_setting(tmp_path, A)
    assert (found.oom_score_adj, found.file) == (-300, "/run/systemd/system/a.service.d/20.conf")
    write(tmp_path, "etc/systemd/system/a.service.d/20.conf", -500)  # hides the one in /run
    assert read_unit_setting(tmp_path, A).oom_score_adj == -500
    write(tmp_path, "etc/systemd/system/service.d/90.conf", "")  # takes it all back
    assert read_unit_setting(tmp_path, A) == UnitSetting(A, None, None, True)


def test_the_managers_default(tmp_path: Path) -> None:
    write(tmp_path, "etc/systemd/system/a.service")
    conf = tmp_path / "etc/systemd/system.conf.d/x.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text("[Manager]\nDefaultOOMScoreAdjust=250\n")
    found = read_unit_setting(tmp_path, A)
    assert (found.oom_score_adj, found.file) == (250, "/etc/systemd/system.conf.d/x.conf")


def test_templates_and_other_kinds_of_units(tmp_path: Path) -> None:
    write(tmp_path, "etc/systemd/system/pg@.service", -900)
    assert read_unit_setting(tmp_path, Unit("pg@15-main.service")).oom_score_adj == -900
    write(tmp_path, "etc/systemd/system/pg@15-main.service.d/x.conf", 7)
    assert read_unit_setting(tmp_path, Unit("pg@15-main.service")).oom_score_adj == 7
    write(tmp_path, "etc/systemd/system/s.socket", 9, section="Service")
    assert read_unit_setting(tmp_path, Unit("s.socket")).oom_score_adj is None
    write(tmp_path, "etc/systemd/system/s.socket", 9, section="Socket")
    assert read_unit_setting(tmp_path, Unit("s.socket")).oom_score_adj == 9


def test_assignments_are_read_as_systemd_reads_them() -> None:
    text = (
        "OOMScoreAdjust=1\n[Unit]\nOOMScoreAdjust=2\n[Service]\n# OOMScoreAdjust=3\n"
        "  OOMScoreAdjust = 4 \n;OOMScoreAdjust=5\nExecStart=/bin/x \\\n  OOMScoreAdjust=6\n"
        "OOMScoreAdjusted=7\nOOMScoreAdjust=\n[Service]\nOOMScoreAdjust=8\n"
    )
    assert parse_assignments(text, "Service", "OOMScoreAdjust") == ["4", "", "8"]


@pytest.mark.parametrize("value", ["1001", "-1001", "x", "1e2", "99999999999999999999"])
def test_values_that_systemd_ignores(value: str, tmp_path: Path) -> None:
    write(tmp_path, "etc/systemd/system/a.service", 5, value)
    assert read_unit_setting(tmp_path, A).oom_score_adj == 5


def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "etc/systemd/system/a.service").mkdir(parents=True)
    (tmp_path / "etc/systemd/system/a.service.d").write_text("no directory")
    assert read_unit_setting(tmp_path, A).oom_score_adj is None
    loop = tmp_path / "run/systemd/system/a.service"
    loop.parent.mkdir(parents=True)
    loop.symlink_to(loop)
    assert read_unit_setting(tmp_path, A).oom_score_adj is None


@pytest.mark.parametrize("seed", range(25))
def test_files_count_in_systemds_order(seed: int, tmp_path: Path) -> None:
    """``systemd-analyze verify`` complains of a bad value in each file as it reads it."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    rng = random.Random(seed)
    unit = rng.choice(UNITS)
    stem, _, kind = unit.rpartition(".")
    prefix, at, instance = stem.partition("@")
    parts = prefix.split("-")
    stems = {f"{'-'.join(parts[:count])}-" for count in range(1, len(parts))} | {prefix}
    names = {f"{stem}{end}.{kind}" for stem in stems for end in ("", at, at + instance)}
    files = [f"{folder}/{unit}" for folder in rng.sample(FOLDERS, 3)]
    files += [f"{folder}/{prefix}@.{kind}" for folder in rng.sample(FOLDERS, 2) if at]
    files = rng.sample(files, 2)
    for _ in range(14):
        name = rng.choice([*sorted(names), kind])
        files.append(f"{rng.choice(FOLDERS)}/{name}.d/{rng.choice('abcde')}.conf")
    for name in files:
        write(tmp_path, name, "bad", section=kind.capitalize())
    done = subprocess.run(
        ["systemd-analyze", f"--root={tmp_path}", "--man=no", "verify", unit],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    theirs = re.findall(r"^(/\S+):2: Failed to parse the OOM score", done.stderr, re.MULTILINE)
    if not theirs and list_unit_files(tmp_path, Unit(unit)):
        pytest.skip(f"this systemd-analyze does not read it: {done.stderr.strip()[:80]}")
    ours = [str(path) for path in list_unit_files(tmp_path, Unit(unit))]
    assert ours == theirs


def test_only_what_equals_is_said_to_be_set_by_the_unit() -> None:
    tasks = [
        make_task(1, comm="init"),
        make_task(5, adj=-900, ppid=1, cgroups=(("", "/system.slice/dbus.service"),)),
    ]
    origin = origin_of(make_snapshot(*tasks), tasks[1])
    same = UnitSetting(Unit("dbus.service"), -900, "/usr/lib/systemd/system/dbus.service", True)
    assert origin_text(origin, same) == (
        "oom_score_adj is -900, set by unit dbus.service (/usr/lib/systemd/system/dbus.service)"
    )
    other = same._replace(oom_score_adj=-500)
    assert "set by unit" not in origin_text(origin, other)
    assert "this process was given another value" in unit_text(other)
    none = same._replace(oom_score_adj=None, file=None)
    assert unit_text(none) == "its unit dbus.service has no OOMScoreAdjust="
    assert "systemctl show" in unit_text(none._replace(found=False))


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        ("/system.slice/dbus.service", Unit("dbus.service")),
        ("/user.slice/user-7.slice/user@7.service/app.slice/a.service", Unit("a.service", 7)),
        ("/user.slice/user-7.slice/user@7.service", Unit("user@7.service")),
        ("/user.slice/user-7.slice/session-1.scope", None),
        (f"/system.slice/docker-{'a' * 64}.scope/system.slice/a.service", None),
    ],
)
def test_whose_managers_unit_it_is(path: str, unit: Unit | None) -> None:
    assert unit_of(make_task(5, cgroups=(("", path),))) == unit


def make_user(root: Path) -> Unit:
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/al:/x\n")
    return Unit("a.service", 1000)


def test_a_unit_of_a_users_manager(tmp_path: Path) -> None:
    unit = make_user(tmp_path)
    write(tmp_path, "etc/systemd/system/a.service", -500)  # the system's, of the same name
    assert read_unit_setting(tmp_path, unit) == UnitSetting(unit, None, None, False)
    write(tmp_path, "usr/lib/systemd/user/a.service", 300)
    assert read_unit_setting(tmp_path, unit).oom_score_adj == 300
    write(tmp_path, "home/al/.config/systemd/user/a.service", 400)
    found = read_unit_setting(tmp_path, unit)
    assert (found.oom_score_adj, found.file) == (400, "/home/al/.config/systemd/user/a.service")
    write(tmp_path, "run/user/1000/systemd/transient/a.service", 450)
    assert read_unit_setting(tmp_path, unit).oom_score_adj == 450
    assert read_unit_setting(tmp_path, Unit("a.service", 7)).oom_score_adj == 300, "no home known"
    assert read_unit_setting(tmp_path, A).oom_score_adj == -500


def test_the_default_of_a_users_manager(tmp_path: Path) -> None:
    unit = make_user(tmp_path)
    for name, value in (("etc/systemd/system.conf", 1), ("usr/lib/systemd/user.conf", 150)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"[Manager]\nDefaultOOMScoreAdjust={value}\n")
    assert read_unit_setting(tmp_path, unit).oom_score_adj == 150
    own = tmp_path / "home/al/.config/systemd/user.conf"
    own.parent.mkdir(parents=True)
    own.write_text("[Manager]\nDefaultOOMScoreAdjust=160\n")
    assert read_unit_setting(tmp_path, unit).file == "/home/al/.config/systemd/user.conf"


def test_what_is_said_of_a_users_unit() -> None:
    unit = Unit("a.service", 1000)
    task = make_task(
        5, adj=300, cgroups=(("", "/user.slice/user-1000.slice/user@1000.service/a.service"),)
    )
    origin = origin_of(make_snapshot(task), task)
    assert origin.unit == unit
    set_ = UnitSetting(unit, 300, "/home/al/.config/systemd/user/a.service", True)
    assert "set by unit a.service of user 1000 (/home/al/" in origin_text(origin, set_)
    assert "100 more than the user's manager has" in unit_text(UnitSetting(unit, None, None, True))
    assert ask_systemd(unit) == "systemctl --user show -p OOMScoreAdjust a.service"


@pytest.mark.parametrize("uid", [None, 1000])
def test_units_are_looked_for_where_systemd_does(uid: int | None, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    make_user(tmp_path)
    done = subprocess.run(
        ["systemd-analyze", *(["--user"] if uid else []), "unit-paths"],
        capture_output=True, text=True, check=False,
        env={"HOME": "/home/al", "XDG_RUNTIME_DIR": "/run/user/1000"},
    )  # fmt: skip
    theirs = [path for path in done.stdout.splitlines() if not path.endswith(".attached")]
    if not theirs:
        pytest.skip(f"systemd-analyze can't tell: {done.stderr.strip()[:80]}")
    ours = [f"/{folder}" for folder in manager_of(tmp_path, uid).units]
    # Where /lib is a link to /usr/lib some releases name both.
    assert [path for path in theirs if path in ours] == theirs
    assert [path for path in ours if path in theirs] == [p for p in theirs if p in ours]


def test_a_file_of_a_users_that_would_keep_a_reader_waiting(tmp_path: Path) -> None:
    unit = make_user(tmp_path)
    folder = tmp_path / "home/al/.config/systemd/user"
    (folder / "a.service.d").mkdir(parents=True)
    os.mkfifo(folder / "a.service")
    (folder / "a.service.d/x.conf").symlink_to("/dev/zero")
    assert read_unit_setting(tmp_path, unit).oom_score_adj is None
