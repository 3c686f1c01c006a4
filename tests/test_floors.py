"""The house's rules about imports, read off the import statements."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import oomlab

ROOT = Path(oomlab.__file__).parent
FLOORS = [
    {"units", "errors"},
    {
        "snapshot",
        "memcg",
        "report",
        "report_memory",
        "mappings",
        "meminfo",
        "pods",
        "process",
        "samples",
    },
    {"kernel", "glibc"},
    {"analysis"},
    {"readers", "writers"},
    {"output"},
    {"cli"},
]
PURE = ("kernel", "glibc", "analysis", "output")
IMPURE_MODULES = {"os", "pathlib", "time", "subprocess", "psutil", "typer", "click", "socket"}
DOORS = (ROOT / "__init__.py", ROOT / "__main__.py")
"""They may import from every floor."""
MODULES = sorted(set(ROOT.rglob("*.py")) - set(DOORS))


def floor_of(room: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports_of(path: Path) -> list[tuple[str, bool]]:
    """Every imported module: (its name from the package on, whether it is our own)."""
    package = path.relative_to(ROOT).parts[:-1]
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(alias.name, False) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.append((node.module or "", False))
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - (node.level - 1)]
            found.append((".".join((*base, node.module or "")).strip("."), True))
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    room = room_of(path)
    for name, ours in imports_of(path):
        if ours and name:
            assert floor_of(name.split(".")[0]) <= floor_of(room), f"{path}: imports {name}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Nor within one floor, nor where the import stands in a function."""
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in MODULES}
    needs = {
        name: {other for other, ours in imports_of(path) if ours and other in names}
        for name, path in names.items()
    }
    assert sum(map(len, needs.values())) > len(needs)
    TopologicalSorter(needs).prepare()  # raises CycleError with the circle


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_pure_rooms_touch_no_machine(path: Path) -> None:
    if room_of(path) not in PURE:
        return
    outside = {name.split(".")[0] for name, ours in imports_of(path) if not ours}
    assert not outside & IMPURE_MODULES


def test_analysis_needs_no_reader_and_readers_need_no_analysis() -> None:
    for path in MODULES:
        other = {"analysis": "readers", "readers": "analysis"}.get(room_of(path))
        assert all(not ours or name.split(".")[0] != other for name, ours in imports_of(path))


def test_public_names_are_sorted_documented_and_there() -> None:
    assert oomlab.__all__ == sorted(oomlab.__all__)
    for name in oomlab.__all__:
        assert getattr(oomlab, name).__doc__, name
    with pytest.raises(AttributeError):
        oomlab.nothing_of_this_name  # noqa: B018


WRITING = {"write_text", "write_bytes", "unlink", "rename", "mkdir", "chmod", "O_WRONLY", "O_RDWR"}
"""Names that change something outside the program, where a module uses them as attributes."""
MAY_WRITE = {"cli/terminal.py": {"O_WRONLY"}, "readers/samples.py": {"O_WRONLY"}}
"""/dev/null, after a broken pipe; a recording, where the user says."""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_writers_change_the_machine(path: Path) -> None:
    """Beside them a snapshot's file is written, by readers/saved.py, where the user says."""
    name = str(path.relative_to(ROOT))
    if room_of(path) == "writers" or name == "readers/saved.py":
        return
    used = {n.attr for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Attribute)}
    assert used & WRITING <= MAY_WRITE.get(name, set())


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_function_says_more_than_fifty_lines(path: Path) -> None:
    """Counted without its declaration and docstring: a command's options are data."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            said = node.body[1:] if ast.get_docstring(node) else node.body
            lines = said[-1].end_lineno - said[0].lineno + 1 if said else 0  # type: ignore[operator]
            assert lines <= 50, f"{node.name} has {lines} lines"
