"""Real programs, installed or not: started in a directory of their own, loaded, and at rest.

``python -m tests.real_programs`` prints a table of what our commands say of each.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

NOBODY = 65534
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")


class NotHereError(Exception):
    """The program is not installed, or does not work here; why."""


class Started:
    """Processes of one program, by role."""

    def __init__(self, version: str, pids: dict[str, int]) -> None:
        self.version = version
        self.pids = pids


def found(*names: str) -> str:
    """Return the first of some programs that is installed. Raises NotHereError."""
    places = [shutil.which(name) or (name if Path(name).exists() else None) for name in names]
    path = next((path for path in places if path is not None), None)
    if path is None:
        raise NotHereError(f"{Path(names[0]).name} is not installed")
    return path


def said(*command: str) -> str:
    """Return the first line that a command prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).partition("\n")[0].strip()


def asleep(pid: int, seconds: float = 10.0) -> None:
    """Wait until all threads of a process sleep, and have slept for a while."""
    quiet, end = 0, time.monotonic() + seconds
    while quiet < 4 and time.monotonic() < end:
        states = {
            path.read_text().rpartition(")")[2].split()[0]
            for path in Path(f"/proc/{pid}/task").glob("*/stat")
        }
        quiet = quiet + 1 if states == {"S"} else 0
        time.sleep(0.05)


def wait_for(what: Callable[[], bool], name: str, seconds: float = 30.0) -> None:
    """Wait until something is so. Raises NotHereError where it never is."""
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise NotHereError(f"{name} does not start here")
        time.sleep(0.05)


@contextmanager
def running(*command: str, **more: object) -> Iterator[subprocess.Popen[str]]:
    """Run a program; end it, and nothing else, when done."""
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        **more,  # type: ignore[call-overload]
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def open_to_nobody(directory: Path) -> None:
    """Let another user reach a directory below /tmp, and own it."""
    for one in directory.parents:
        if one.is_relative_to("/tmp") and one != Path("/tmp"):
            one.chmod(one.stat().st_mode | 0o055)
    os.chown(directory, NOBODY, NOBODY)
    directory.chmod(0o700)


@contextmanager
def postgresql(directory: Path) -> Iterator[Started]:
    """A cluster with a session that has sorted, and freed, some megabytes."""
    if os.getuid() != 0:
        raise NotHereError("not root, who may become the user that postgres wants")
    postgres = os.path.realpath(found("postgres", *_versions("/usr/lib/postgresql/*/bin/postgres")))
    data = directory / "data"
    data.mkdir()
    open_to_nobody(data)
    initdb = str(Path(postgres).with_name("initdb"))
    made = subprocess.run(
        [*AS_NOBODY, initdb, "-D", str(data), "-A", "trust", "--no-sync"],
        capture_output=True, text=True, check=False, cwd="/",
    )  # fmt: skip
    if made.returncode:
        raise NotHereError(f"initdb: {made.stderr.strip().splitlines()[-1:]}")
    options = [
        "-c",
        "listen_addresses=",
        "-c",
        f"unix_socket_directories={data}",
        "-c",
        "fsync=off",
    ]
    server = [*AS_NOBODY, postgres, "-D", str(data), *options]
    with running(*server, cwd="/") as main, ExitStack() as stack:
        psql = [*AS_NOBODY, found("psql"), "-h", str(data), "-U", "nobody", "-d", "postgres", "-q"]

        def answers() -> bool:
            done = subprocess.run(
                [*psql, "-c", "select 1"], capture_output=True, check=False, cwd="/"
            )
            return done.returncode == 0

        wait_for(answers, "postgres")
        others = set(children(main.pid))
        client = stack.enter_context(running(*psql, cwd="/"))
        assert client.stdin is not None
        client.stdin.write(
            "set work_mem='64MB'; create temp table t as select g, md5(g::text) m "
            "from generate_series(1,100000) g; "
            f"select count(*) from (select m from t order by m) s \\g {data}/done\n"
        )
        client.stdin.flush()
        wait_for((data / "done").exists, "a session")
        backend = max(set(children(main.pid)) - others)
        asleep(backend)
        yield Started(said(postgres, "--version"), {"postmaster": main.pid, "session": backend})


def _versions(pattern: str) -> list[str]:
    return sorted(map(str, Path("/").glob(pattern.lstrip("/"))), reverse=True)


@contextmanager
def redis(directory: Path) -> Iterator[Started]:
    """A server on a socket, with keys of which every second was deleted."""
    program, socket = found("redis-server"), directory / "socket"
    command = [program, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir"]
    with running(*command, str(directory)) as process:
        wait_for(socket.exists, "redis-server")
        script = (
            "for i=1,20000 do redis.call('set','k'..i,string.rep('x',300)) end "
            "for i=1,20000,2 do redis.call('del','k'..i) end"
        )
        client = [found("redis-cli"), "-s", str(socket), "eval", script, "0"]
        subprocess.run(client, capture_output=True, check=True)
        asleep(process.pid, 3)
        yield Started(said(program, "--version"), {"server": process.pid})


@contextmanager
def python(_: Path) -> Iterator[Started]:
    """The interpreter with many strings of which every second was dropped."""
    program = "x = [str(i) * 300 for i in range(20000)]; del x[::2]; input()"
    with running(sys.executable, "-c", program) as process:
        time.sleep(0.3)
        asleep(process.pid)
        yield Started(said(sys.executable, "--version"), {"interpreter": process.pid})


@contextmanager
def nginx(directory: Path) -> Iterator[Started]:
    """A master and a worker on a socket, after some requests."""
    program = found("nginx", "/usr/sbin/nginx")
    conf = directory / "nginx.conf"
    conf.write_text(
        f"daemon off; pid {directory}/pid; error_log {directory}/errors; worker_processes 1;\n"
        "events { worker_connections 512; }\n"
        f"http {{ access_log off; client_body_temp_path {directory}/b; "
        f"proxy_temp_path {directory}/p; fastcgi_temp_path {directory}/f; "
        f"uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;\n"
        f"server {{ listen unix:{directory}/socket; location / {{ return 200 'x'; }} }} }}\n"
    )
    for one in (directory, *directory.parents):
        if os.getuid() == 0 and one.is_relative_to("/tmp") and one != Path("/tmp"):
            one.chmod(one.stat().st_mode | 0o055)
    with running(program, "-p", str(directory), "-c", str(conf)) as process:
        wait_for((directory / "socket").exists, "nginx")
        wait_for(lambda: bool(children(process.pid)), "nginx's worker")
        worker = children(process.pid)[0]
        asleep(worker)
        yield Started(said(program, "-v"), {"master": process.pid, "worker": worker})


GO = """package main
import ("fmt"; "os"; "time")
var kept [][]byte
func main() {
	for i := 0; i < 20000; i++ { kept = append(kept, make([]byte, 1000)) }
	for i := range kept { if i%2 == 0 { kept[i] = nil } }
	fmt.Fprintln(os.Stderr, "ready")
	time.Sleep(time.Hour)
}
"""


@contextmanager
def go(directory: Path) -> Iterator[Started]:
    """A program without cgo: there is no malloc in it."""
    compiler = found("go")
    source = directory / "main.go"
    source.write_text(GO)
    env = {**os.environ, "CGO_ENABLED": "0", "GOCACHE": str(directory / "cache"), "GOFLAGS": ""}
    made = subprocess.run(
        [compiler, "build", "-o", str(directory / "program"), str(source)],
        capture_output=True, text=True, check=False, env=env, cwd=directory,
    )  # fmt: skip
    if made.returncode:
        raise NotHereError(f"go build: {made.stderr.strip().splitlines()[:1]}")
    with running(str(directory / "program")) as process:
        time.sleep(0.5)
        asleep(process.pid)
        yield Started(said(compiler, "version"), {"program": process.pid})


JAVA = """public class Main {
  static byte[][] kept = new byte[20000][];
  public static void main(String[] a) throws Exception {
    for (int i = 0; i < kept.length; i++) kept[i] = new byte[1000];
    new java.io.File(a[0]).createNewFile();
    Thread.sleep(3600_000);
  }
}
"""


@contextmanager
def java(directory: Path) -> Iterator[Started]:
    """A JVM whose C++ side allocates with glibc's malloc, its heap without."""
    program = found("java")
    (directory / "Main.java").write_text(JAVA)
    made = subprocess.run(
        [found("javac"), "-d", str(directory), str(directory / "Main.java")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode:
        raise NotHereError(f"javac: {made.stderr.strip().splitlines()[:1]}")
    done = directory / "done"
    with running(program, "-Xmx64m", "-cp", str(directory), "Main", str(done)) as process:
        wait_for(done.exists, "java")
        asleep(process.pid, 3)
        yield Started(said(program, "-version"), {"vm": process.pid})


PROGRAMS = {
    "postgresql": postgresql,
    "redis": redis,
    "python": python,
    "nginx": nginx,
    "go": go,
    "java": java,
}


def _oomlab(*arguments: str) -> tuple[dict[str, Any] | None, str]:
    """Return a command's document, or what it says instead."""
    command = [sys.executable, "-m", "oomlab", *arguments, "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (json.loads(done.stdout), "") if done.returncode == 0 else (None, done.stderr.strip())


def _row(name: str, role: str, pid: int) -> str:
    from oomlab.units import human

    explained, why = _oomlab("explain", str(pid))
    assert explained is not None, why
    heap, why = _oomlab("heap", str(pid))
    rss = sum(kind["rss_bytes"] for kind in explained["kinds"])
    allocators = ", ".join(one["key"] for one in explained["allocators"])
    frees = explained["killing_frees"]
    figures = ["", "", "", why.rpartition(" allocates ")[2].partition(",")[0]]
    if heap is not None:
        total, resident = heap["total"], heap["resident"]
        trim = resident["trim_inside"] + resident["trim_top"]
        holds = sum(check["holds"] for check in heap["checks"])
        mapped = total["hblkhd"]
        figures = [human(total["arena"] + mapped), human(total["uordblks"] + mapped), human(trim)]
        figures.append(f"{holds} of {len(heap['checks'])}")
    equal = "yes" if rss == explained["rollup"]["rss_bytes"] else "no"
    cells = [f"{name}, {role}", human(rss), equal, human_range(frees), allocators, *figures]
    return f"| {' | '.join(cells)} |"


def human_range(frees: dict[str, int]) -> str:
    from oomlab.units import human_range as shown

    return shown(frees["low_bytes"], frees["high_bytes"])


def main() -> None:
    heads = ["program", "RSS", "kinds sum to it", "a kill frees", "allocators"]
    heads += ["taken by malloc", "in use", "trim would give back", "checks hold"]
    print(f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}")
    for name, start in PROGRAMS.items():
        with tempfile.TemporaryDirectory() as directory:
            try:
                with start(Path(directory)) as started:
                    for role, pid in started.pids.items():
                        print(_row(name, role, pid))
                    print(f"<!-- {name}: {started.version} -->", file=sys.stderr)
            except NotHereError as why:
                print(f"{name}: {why}", file=sys.stderr)


if __name__ == "__main__":
    main()
