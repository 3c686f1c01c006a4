"""What settings of Go, Java and Python do to memory: claimed by us, measured here."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from real_programs import NotHereError, found
from test_tunable_effects import Keeper, claim

from oomlab.analysis.composition import by_kind
from oomlab.analysis.mappings import Kind
from oomlab.analysis.tunables import RETURNS
from oomlab.readers.mappings import read_address_space
from oomlab.readers.procfs import PROC

GO = """package main
import ("bufio"; "fmt"; "os"; "runtime/debug")
var kept []byte
func main() {
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		switch in.Text() {
		case "garbage":
			for i := 0; i < 300; i++ {
				kept = make([]byte, 1<<20)
				for j := range kept { kept[j] = 1 }
			}
		case "free": kept = nil; debug.FreeOSMemory()
		}
		fmt.Println("ready")
	}
}
"""
JAVA = """public class Main {
  public static void main(String[] a) throws Exception {
    while (System.in.read() != -1) if (System.in.available() == 0) System.out.println("ready");
  }
}
"""
PYTHON = """import sys
for line in sys.stdin:
    exec(line)
    print("ready", flush=True)
"""


@contextmanager
def started(*command: str, **environment: str) -> Iterator[Keeper]:
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, env=os.environ | environment,
    ) as process:  # fmt: skip
        try:
            yield Keeper(process)
        finally:
            process.kill()


def built(program: str, source: Path, text: str, *command: str) -> None:
    """Write and compile a program, or skip the test."""
    source.write_text(text)
    try:
        compiler = found(program)
    except NotHereError as why:
        pytest.skip(str(why))
    env = os.environ | {"CGO_ENABLED": "0", "GOCACHE": str(source.parent / "cache"), "GOFLAGS": ""}
    made = subprocess.run(
        [compiler, *command, str(source)], capture_output=True, text=True, check=False, env=env
    )
    if made.returncode:
        pytest.skip(f"{program}: {made.stderr.strip().splitlines()[:1]}")


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("go")
    built("go", directory / "main.go", GO, "build", "-o", str(directory / "program"))
    return str(directory / "program")


def test_when_go_collects(go: str) -> None:
    assert "off: never collects" in claim("GOGC=off")
    assert "collects and gives back harder near 64MiB" in claim("GOMEMLIMIT=64MiB")
    with started(go) as one:
        usual = one.do("garbage").mib()
    with started(go, GOGC="off") as one:
        never = one.do("garbage").mib()
    assert usual < 60
    assert never > 290
    with started(go, GOGC="off", GOMEMLIMIT="64MiB") as one:
        limited = one.do("garbage").mib()
    if limited > 290:
        pytest.skip("this Go has no GOMEMLIMIT (before 1.19)")
    assert limited < 90


def test_go_gives_back_lazily(go: str) -> None:
    assert "RSS falls only when memory is short" in claim("GODEBUG=madvdontneed=0")
    with started(go, GOGC="off") as one:
        assert one.do("garbage", "free").mib() < 60
    with started(go, GOGC="off", GODEBUG="madvdontneed=0") as one:
        assert one.do("garbage", "free").mib() > 290
        assert one.mib("LazyFree") > 250


def test_javas_heap_is_touched_beforehand(tmp_path: Path) -> None:
    assert claim("", ("jvm",), ("-XX:+AlwaysPreTouch",)).startswith("the whole heap is resident")
    built("javac", tmp_path / "Main.java", JAVA, "-d", str(tmp_path))
    try:
        java = found("java")
    except NotHereError as why:
        pytest.skip(str(why))
    sizes = []
    for option in ("-XX:-AlwaysPreTouch", "-XX:+AlwaysPreTouch"):
        heap = ["-XX:+UseSerialGC", "-Xms96m", "-Xmx96m", option]
        with started(java, *heap, "-cp", str(tmp_path), "Main") as one:
            sizes.append(one.do("x").mib())
    assert sizes[1] - sizes[0] > 70


def small_objects(pid: int) -> tuple[int, int]:
    """Return the RSS of the brk heap and of anonymous mappings, in MiB."""
    totals = {kind.kind: (kind.rss or 0) >> 20 for kind in by_kind(read_address_space(PROC, pid))}
    return totals.get(Kind.HEAP, 0), totals.get(Kind.ANON, 0)


def test_pythons_own_arenas() -> None:
    assert "given back only when wholly empty; larger ones come from malloc" in RETURNS["python"]
    make = "kept = [(i, i) for i in range(400000)]"
    with started(sys.executable, "-S", "-c", PYTHON) as one:
        before = small_objects(one.pid)
        one.do(make)
        whole = small_objects(one.pid)[1] - before[1]
        assert whole > 30
        one.do("kept = kept[::500]")
        assert small_objects(one.pid)[1] - before[1] > 0.8 * whole - 4, "each arena holds some"
        one.do("del kept")
        assert small_objects(one.pid)[1] - before[1] < 8
        one.do("kept = [bytes(600) for _ in range(50000)]")
        assert small_objects(one.pid)[0] > 25, "larger than 512 bytes: malloc's"
    assert "malloc: none of its own" in claim("PYTHONMALLOC=malloc")
    with started(sys.executable, "-S", "-c", PYTHON, PYTHONMALLOC="malloc") as one:
        before = small_objects(one.pid)
        one.do(make)
        after = small_objects(one.pid)
        assert after[0] - before[0] > 30, "all small objects lie in malloc's heap"
