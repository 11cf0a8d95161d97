"""House rules that a machine can check: rooms, light imports, public names, dependencies, no traces of a machine."""

from __future__ import annotations

import ast
import configparser
import importlib.metadata
import inspect
import os
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import agentlab

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted((ROOT / "agentlab").rglob("*.py"))

ROWS = (
    ("errors", "clock", "version"),
    ("messages",),
    ("trace",),
    ("formats",),  # below models: an endpoint's wire form is a format, and `models/openai` speaks it
    ("models",),
    ("agent",),
    ("lab",),
    ("analysis",),
    ("experiments",),
    ("widgets", "serve"),
    ("compat",),
    ("terminal",),  # what the commands show
    ("demo",),
    ("cli",),
)
"""The rooms, the lowest first. A room may import itself and the rows below; neighbours in a row may not meet."""

MODULE_NAME = re.compile(rf"agentlab\.({'|'.join(room for row in ROWS for room in row)})(\.\w+)*")
"""A text that names a module."""

BY_NAME = {"agentlab.trace.views", "agentlab.agent.front_end"}
"""What may name a floor above in a text, to load it at first use: runs have frames as methods, notebooks show them."""

HEAVY = [
    *("pandas", "numpy", "matplotlib", "pyarrow", "sqlalchemy", "jsonschema", "openai", "xllamacpp", "fastapi"),
    *("anywidget", "ipywidgets", "IPython", "rich", "typer"),
]
"""What `import agentlab` must not load."""

STORE_AND_FRAMES = {"pandas", "matplotlib", "pyarrow", "sqlalchemy"}
"""What only `lab/` and `analysis/` import at the top of a module; others do it in the function that needs it."""

FLOOR = {
    *("pydantic", "pyyaml", "openai", "orjson", "docstring-parser", "jsonschema", "sqlalchemy", "opentelemetry-api"),
    *("pandas", "pyarrow", "matplotlib", "ipywidgets", "anywidget", "tqdm", "rich", "typer"),
}
BROUGHT = {
    "numpy": "pandas",
    "pydantic_core": "pydantic",
    "httpx2": "openai",
    "IPython": "ipywidgets",
    "anyio": "openai",
    "h11": "openai",
    "starlette": "fastapi",
    "traitlets": "ipywidgets",
}
"""Imported though not declared: each stands below a package that is, and shows in its interface."""

EXTRAS = {"local", "serve", "telemetry", "stats", "cost", "scale", "postgres", "notebook", "test"}

LINE_LIMIT = 400


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(tree: ast.AST, module: str, *, is_package: bool) -> Iterator[str]:
    """Dotted names of all that a module imports, wherever it does, and of what it could load by name."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom():
                above = package[: len(package) - node.level + 1] if node.level else []
                origin = ".".join([*above, *([node.module] if node.module else [])])
                yield from (f"{origin}.{alias.name}" for alias in node.names)
            case ast.Constant(value=str(text)) if module not in BY_NAME and MODULE_NAME.fullmatch(text):
                yield text


def imports_at_the_top(path: Path) -> Iterator[str]:
    """First names of what is imported when the module is; what only type checkers see does not count."""
    waiting = list(ast.parse(path.read_text()).body)
    while waiting:
        node = waiting.pop()
        match node:
            case ast.Import():
                yield from (alias.name.split(".")[0] for alias in node.names)
            case ast.ImportFrom(level=0, module=str(name)):
                yield name.split(".")[0]
            case ast.If() if for_type_checkers(node):
                pass
            case ast.If() | ast.Try() | ast.With() | ast.ClassDef():
                waiting += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]


def for_type_checkers(node: ast.stmt) -> bool:
    """True of what is never run."""
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not node.orelse


def steps_up(path: Path) -> list[str]:
    """The imports of a module that break the order of the rooms."""
    level = {room: n for n, row in enumerate(ROWS) for room in row}
    module = module_name(path)
    if module == "agentlab":
        return []  # the roof sees every room
    room = module.split(".")[1]
    own_level = level.get(room, 0)
    wrong, tree = [], ast.parse(path.read_text())
    if module in BY_NAME:
        tree.body = [node for node in tree.body if not for_type_checkers(node)]
    for imported in imports_of(tree, module, is_package=path.name == "__init__.py"):
        top, _, rest = imported.partition(".")
        other = rest.partition(".")[0]
        if top == "agentlab" and other != room and level.get(other, len(ROWS)) >= own_level:
            wrong.append(f"`{module}` imports `{imported}`")
    return wrong


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def registry_hosts() -> set[str]:
    """Hosts of the package registries that this machine's pip is set to, but for the public one."""
    said = [value for name, value in os.environ.items() if name.startswith("PIP_")]
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, check=False, text=True
    )
    found = re.findall(r"://(?:[^/@\s]*@)?([\w.-]+)", " ".join([*said, listed.stdout]))
    return {host for host in found if host != "pypi.org" and host not in ("localhost", "127.0.0.1")}


def test_imports_point_down() -> None:
    assert [step for path in MODULES for step in steps_up(path)] == []


@pytest.mark.parametrize(
    "line",
    [
        "from agentlab.agent.run import Run",
        "import agentlab.models.base",
        "def f():\n    from agentlab.lab import lab",
        "from agentlab import models",
        "from ..models import base",
        "importlib.import_module('agentlab.analysis.frames')",
        "from agentlab import Agent",
    ],
)
def test_an_import_that_points_up_is_seen(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "agentlab" / "trace" / "events.py"
    module.parent.mkdir(parents=True)
    module.write_text(line)
    monkeypatch.setitem(globals(), "ROOT", tmp_path)

    assert len(steps_up(module)) == 1


def test_every_room_has_its_row() -> None:
    rooms = {module_name(path).split(".")[1] for path in MODULES if module_name(path) != "agentlab"}

    assert rooms <= {room for row in ROWS for room in row}


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_stores_and_frames_are_imported_in_their_own_rooms(path: Path) -> None:
    room = [*module_name(path).split("."), ""][1]

    assert room in ("lab", "analysis") or not STORE_AND_FRAMES & set(imports_at_the_top(path))


def test_importing_agentlab_loads_nothing_heavy() -> None:
    seen = in_a_fresh_python("import sys, agentlab; print(*sys.modules)").split()

    assert [name for name in HEAVY if name in seen] == []


def in_a_fresh_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, text=True).stdout


def packages() -> list[ModuleType]:
    """agentlab and its rooms, those with an `__all__`."""
    names = [module_name(path) for path in MODULES if path.name == "__init__.py"]
    return [module for module in map(importlib.import_module, names) if hasattr(module, "__all__")]


def sort_key(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest: the order that `ruff` keeps."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


def test_the_roof_lists_what_notebooks_use() -> None:
    assert agentlab in packages()


def test_public_names_are_sorted_complete_and_there() -> None:
    for module in packages():
        listed = list(module.__all__)
        assert listed == sorted(listed, key=sort_key)
        assert [name for name in listed if not hasattr(module, name)] == []
        here = {
            name for name, value in vars(module).items() if not name.startswith("_") and not inspect.ismodule(value)
        }
        assert here - set(listed) - {"annotations"} == set(), f"`{module.__name__}` has names that it does not list"


def project() -> dict[str, Any]:
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"])


def plain_name(line: str) -> str:
    """The name of a distribution, without versions and extras, as package registries compare names."""
    return re.sub(r"[-_.]+", "-", re.split(r"[<>=\[; ]", line)[0]).lower()


def test_the_floor_is_as_agreed() -> None:
    assert {plain_name(line) for line in project()["dependencies"]} == FLOOR


def test_what_is_imported_is_declared() -> None:
    extras = [lines for name, lines in project()["optional-dependencies"].items() if name != "test"]
    declared = FLOOR | {plain_name(line) for lines in extras for line in lines}
    homes = importlib.metadata.packages_distributions()
    imported = {
        name.split(".")[0]
        for path in MODULES
        for name in imports_of(ast.parse(path.read_text()), module_name(path), is_package=path.name == "__init__.py")
    }
    foreign = imported - sys.stdlib_module_names - {"agentlab", "__future__"} - set(BROUGHT)

    assert [name for name in sorted(foreign) if not declared & set(map(plain_name, homes.get(name, ())))] == []
    assert set(BROUGHT.values()) <= declared


def test_the_extras_are_as_agreed() -> None:
    assert set(project()["optional-dependencies"]) == EXTRAS


def test_every_dependency_names_its_lowest_version() -> None:
    extras = project()["optional-dependencies"].values()
    lines = [*project()["dependencies"], *(line for extra in extras for line in extra)]

    assert [
        line for line in lines if not re.search(r"[>=]=\d", line) and not line.startswith("agentlab-jupyter[")
    ] == []


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_a_module_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LINE_LIMIT


def test_no_file_tells_of_the_machine_it_was_made_on() -> None:
    folders = [r"/work/\w", r"/root/\w", r"/home/[a-z]+/", r"\.pyenv", re.escape(str(ROOT)) + r"\b"]
    traces = re.compile("|".join([*folders, *map(re.escape, registry_hosts())]))
    own = {Path(__file__).resolve()}
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in tracked_files()
        if path not in own
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1)
        if traces.search(line)
    ]

    assert found == []


def test_tests_cannot_reach_other_machines() -> None:
    with socket.socket() as sock, pytest.raises(ConnectionRefusedError, match="stay on this machine"):
        sock.connect(("192.0.2.1", 80))


def test_nbval_overlooks_memory_addresses_and_nothing_else() -> None:
    overlooked = configparser.RawConfigParser()
    overlooked.read(ROOT / "notebooks" / "sanitize.cfg")

    assert overlooked.sections() == ["memory address"]
    regex = overlooked["memory address"]["regex"]
    assert re.sub(regex, "", "<object object at 0x7f3a> took 0x10 ms") == "<object object > took 0x10 ms"
