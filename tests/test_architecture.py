"""The habits of the house, held by tests: import arrows, names, sizes, light start-up."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from paycli.cli.app import COMMANDS, load_command
from tests.mutants.changes import CHANGES, Change

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "paycli"

# Who may import whom; everything may import its own folder, and what lies at the bottom.
ARROWS = {
    "errors": set(),
    "wire_names": set(),
    "addresses": set(),
    "documents": set(),
    "long_documents": set(),
    "excerpts": set(),
    "placeholders": set(),
    "report_files": set(),
    "rows": set(),
    "shipped": set(),
    "workflow_commands": set(),
    "payments": set(),
    "storage": {"payments"},
    "engine": {"payments"},
    "servicers": {"engine", "host", "payments", "generated"},
    "host": set(),
    "chaos": {"host"},
    "client": {"payments", "generated"},
    "pages": set(),
    "scenarios": {"client", "pages", "payments", "generated"},
    "load": {"client", "generated"},
    "mcp": {"client", "payments"},
    "toolchain": set(),
    # A check-up looks at what every other part needs, so it stands above them, below the command.
    "doctor": {"toolchain", "client", "storage"},
    "cli": {
        "pages",
        "chaos",
        "doctor",
        "scenarios",
        "toolchain",
        "engine",
        "servicers",
        "host",
        "client",
        "load",
        "mcp",
        "storage",
        "payments",
    },
    # What pytest loads: beside the command, and without it.
    "pytest": {"scenarios", "client", "generated"},
    "__main__": {"cli"},
    "__init__": set(),
}
# The rooms of the large folders: who may import whom inside it.
ROOMS: dict[str, dict[str, set[str]]] = {
    "toolchain": {
        "protos": set(),
        "stubs": {"protos"},
        "gen": {"protos", "stubs"},
        "rules": {"protos"},
        "lint": {"protos", "rules"},
        "breaking": {"protos", "rules"},
    },
    "host": {
        "transport": {"interceptors"},
        "observation": {"interceptors", "transport"},
        "protection": {"calls_in_flight", "interceptors", "observation", "own_sockets", "statuses"},
        "hosting": {"app", "interceptors"},
        "processes": {"own_sockets"},
    },
    "scenarios": {
        "reports": {"problems", "record"},
        "crash": {"own_process", "own_server", "target"},
        "recording": {
            "contracts",
            "expect",
            "references",
            "requests",
            "secret_names",
            "steps",
            "target",
            "wire_values",
        },
    },
}
BOTTOM = {
    "errors",
    "wire_names",
    "addresses",
    "documents",
    "long_documents",
    "excerpts",
    "placeholders",
    "report_files",
    "rows",
    "shipped",
    "workflow_commands",
}

# Third-party modules that only some folders may know.
ONLY_IN = {
    "typer": {"cli"},
    "grpc": {"servicers", "host", "chaos", "client", "load", "mcp", "scenarios"},
    "grpc_tools": {"toolchain"},
    "hpack": {"load"},
    "apsw": {"storage"},
    "sqlite3": set(),
    "asyncpg": {"storage"},
    "opentelemetry": {"host"},
    "prometheus_client": {"host", "storage"},
    "mcp": {"mcp"},
    "mcp_types": {"mcp"},
    "pydantic": {"mcp"},
    "anyio": {"mcp"},
}
PURE = {"payments", "errors", "addresses"}
FORBIDDEN_NAMES = {"util", "utils", "helper", "helpers", "common", "misc", "manager", "base"}
HEAVY = ("grpc", "google.protobuf", "apsw", "grpc_tools", "uvloop", "yaml", "mcp", "pydantic")

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
FUNCTION_LINES_P90 = 20


def sources() -> list[Path]:
    found = [path for path in PACKAGE.rglob("*.py") if "generated" not in path.parts]
    assert len(found) > 30
    return found


def folder_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path, *, runtime_only: bool = True) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if runtime_only and id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    folder = folder_of(path)
    allowed = ARROWS[folder] | BOTTOM | {folder, "__version__"}
    for name in imports(path):
        top, _, rest = name.partition(".")
        if top == "paycli":
            assert rest.split(".")[0] in allowed, f"{path.name} must not import {name}"
        if top in ONLY_IN:
            assert folder in ONLY_IN[top], f"{folder} must not import {top}"
        if folder in PURE and top != "paycli":
            assert top in sys.stdlib_module_names, f"{path.name} must stay pure: {name}"


@pytest.mark.parametrize(
    ("folder", "room"), [(folder, room) for folder, rooms in ROOMS.items() for room in rooms]
)
def test_rooms_import_one_way(folder: str, room: str) -> None:
    for path in (PACKAGE / folder / room).rglob("*.py"):
        for name in imports(path):
            top, _, rest = name.partition(f"paycli.{folder}.")
            if not top and rest:
                assert rest.split(".")[0] in ROOMS[folder][room] | {room}, f"{path} imports {name}"


def test_no_backend_is_known_above_its_folder() -> None:
    for path in (PACKAGE / "storage").glob("*.py"):
        if path.name != "stores.py":
            assert not [name for name in imports(path) if ".sqlite" in name], path.name


def test_the_command_that_serves_is_the_one_place_where_a_server_is_put_together() -> None:
    for path in (PACKAGE / "cli").glob("*.py"):
        if not path.name.startswith(("serve", "proxy")):
            used = {name.split(".")[1] for name in imports(path) if name.startswith("paycli.")}
            assert not used & {"engine", "servicers", "host", "chaos"}, path.name


def test_the_map_is_drawn_of_the_arrows() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `paycli/(\w+)` \|[^|]*\| ([^|]*) \|$", text, re.MULTILINE)
    drawn = {folder: set(may.split(", ")) - {"nothing"} for folder, may in rows}
    folders = {name for name in ARROWS if (PACKAGE / name).is_dir()}
    assert drawn == {name: ARROWS[name] for name in folders} | {"generated": set()}
    for folder, rooms in ROOMS.items():
        row = rf"^\| `{folder}/(\w+)` \|[^|]*\| ([^|]*) \|$"
        rows = re.findall(row, text, re.MULTILINE)
        assert {room: set(may.split(", ")) - {"nothing"} for room, may in rows} == rooms
        assert rooms.keys() == {
            path.parent.name for path in PACKAGE.glob(f"{folder}/*/__init__.py")
        }


def test_each_folder_says_what_belongs_in_it() -> None:
    for path in {path.parent for path in sources()}:
        said = ast.get_docstring(ast.parse((path / "__init__.py").read_text(encoding="utf-8")))
        assert said, f"{path} does not say what belongs in it"


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_are_small_and_say_what_they_are(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert path.stem not in FORBIDDEN_NAMES
    assert path.stem not in sys.stdlib_module_names
    assert text.count("\n") <= FILE_LINES_MAX
    tree = ast.parse(text)
    if text.strip():
        assert ast.get_docstring(tree), f"{path} does not say what it is for"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            # A command's parameters are a table of options, as long as it has options.
            length = node.end_lineno - node.body[0].lineno + 1
            assert length <= FUNCTION_LINES_MAX, f"{path.name}: {node.name} has {length} lines"


def test_most_functions_are_seen_at_a_glance() -> None:
    lengths = sorted(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    assert lengths[len(lengths) * 9 // 10] <= FUNCTION_LINES_P90


@pytest.mark.parametrize("arguments", [["--help"], ["pay", "--help"], ["--version"]])
def test_help_and_version_load_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys; from paycli.cli.app import run; code = run(sys.argv[1:]);"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules];"
        "sys.exit(f'loaded {loaded}' if loaded else code)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")


def test_every_command_is_in_the_readme_and_its_help_has_the_exit_codes() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, summary in COMMANDS.items():
        command = load_command(name)
        assert command.help == summary, name
        assert "70 a bug in paycli" in command.epilog, name
        assert f"`paycli {name}" in readme


def test_only_the_command_that_runs_is_loaded() -> None:
    program = (
        "import sys; from paycli.cli.app import run; code = run(sys.argv[1:]);"
        "print({name for name in sys.modules if name.startswith('paycli.cli.')}, file=sys.stderr)"
    )
    shown = [
        subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)
        for arguments in (["--help"], ["pay", "--help"])
    ]
    root, pay = (ast.literal_eval(run.stderr) for run in shown)
    names = ("completion", "file_schemas", "pay", "pay_from", "service")
    assert pay - root == {f"paycli.cli.{name}" for name in names}


def test_the_error_tree_is_drawn_as_it_is() -> None:
    from paycli import errors

    drawing = errors.__doc__ or ""
    for name, thing in vars(errors).items():
        if isinstance(thing, type) and issubclass(thing, errors.PaycliError):
            line = next(line for line in drawing.splitlines() if f" {name} " in f"{line} ")
            if thing is not errors.PaycliError:
                assert f" {thing.exit_code} " in line, name
            retry = {3: errors.Retry.SAME_KEY, 5: errors.Retry.UNKNOWN}
            assert thing.retry is retry.get(thing.exit_code, errors.Retry.NO), name


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.what)
def test_every_mutant_still_finds_its_line(change: Change) -> None:
    assert (PACKAGE / change.path).read_text().count(change.old) == 1
