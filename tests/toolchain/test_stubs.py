"""Type stubs: strict checkers take what the run time takes, and report what it would refuse."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import grpc_tools
import pytest
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.rpc import status_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from hypothesis import HealthCheck, given, settings

from paycli.toolchain.protos.protoc import compile_descriptors, compile_python
from paycli.toolchain.protos.schema import Schema
from paycli.toolchain.protos.workspace import find_workspace
from paycli.toolchain.stubs.emit import emit_stubs
from tests.toolchain.checkers import Report, generate_into, in_file, mypy, pyright, write_package
from tests.toolchain.proto_trees import trees

PROJECT = Path(__file__).parent / "typed_project"
CLAIMS = Path(__file__).parent / "claims.py"
PACKAGE = "shop_project"
RANDOM_TREES = 25


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that is checked, in one project so that each checker starts once.

    Generated code, programs that use it, and the stubs of real and of random protos.
    """
    folder = tmp_path_factory.mktemp("typed")
    generate_into(folder / PACKAGE / "gen", PROJECT / "proto")
    for name in ("program.py", "mistakes.py"):
        shutil.copy(PROJECT / name, folder / PACKAGE / name)
    generate_into(folder / PACKAGE / "keyword_path", PROJECT / "keyword_path")
    generate_into(folder / PACKAGE / "googleapis", _installed_protos(folder / "protos"))
    for module in (health_pb2, reflection_pb2):
        stubs = _stubs_of(module.DESCRIPTOR)
        assert len(stubs) == 2
        write_package(folder / PACKAGE / "installed", stubs)
    for number, tree in enumerate(_random_trees(RANDOM_TREES, same_every_time=True)):
        write_package(folder / PACKAGE / f"tree{number}", tree)
    return folder


def _installed_protos(folder: Path) -> Path:
    """The protos of googleapis-common-protos and the well-known types, in one tree."""
    includes = [
        Path(status_pb2.__file__).parents[2] / "google",
        Path(grpc_tools.__file__).parent / "_proto" / "google",
    ]
    for root in includes:
        for path in root.rglob("*.proto"):
            copy = folder / path.relative_to(root.parent)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    assert len(list(folder.rglob("*.proto"))) > 60
    return folder


def _stubs_of(descriptor: FileDescriptor) -> Mapping[str, str]:
    files = FileDescriptorSet()
    for each in (*descriptor.dependencies, descriptor):
        each.CopyToProto(files.file.add())
    return emit_stubs(Schema(files, {descriptor.name}), [descriptor.name])


def _random_trees(count: int, *, same_every_time: bool) -> list[Mapping[str, str]]:
    """Stubs of random protos: they parse, and are the same every time."""
    made: list[Mapping[str, str]] = []

    @settings(
        max_examples=count,
        deadline=None,
        derandomize=same_every_time,
        suppress_health_check=list(HealthCheck),
    )
    @given(trees())
    def make(files: FileDescriptorSet) -> None:
        names = [file.name for file in files.file if not file.name.startswith("google/")]
        again = FileDescriptorSet.FromString(files.SerializeToString())
        stubs = emit_stubs(Schema(files, set(names)), names)
        assert stubs == emit_stubs(Schema(again, set(names)), names)
        for content in stubs.values():
            ast.parse(content)
        made.append(stubs)

    make()
    assert len(made) >= count
    return made


@pytest.fixture(scope="module")
def mypy_reports(project: Path) -> list[Report]:
    return mypy(project, PACKAGE)


@pytest.fixture(scope="module")
def pyright_reports(project: Path) -> list[Report]:
    return pyright(project)


@pytest.fixture(params=["mypy", "pyright"])
def reports(request: pytest.FixtureRequest) -> list[Report]:
    """What one checker said of the whole project; each runs once."""
    found = request.getfixturevalue(f"{request.param}_reports")
    assert isinstance(found, list)
    return found


def test_nothing_is_reported_but_mistakes(reports: list[Report]) -> None:
    assert [report for report in reports if not report.file.endswith("mistakes.py")] == []


def test_each_mistake_is_reported(reports: list[Report]) -> None:
    lines = (PROJECT / "mistakes.py").read_text().splitlines()
    marked = {number for number, line in enumerate(lines, 1) if line.endswith("# mistake")}
    assert len(marked) > 60
    said = in_file(reports, "mistakes.py")
    assert {lines[number - 1] for number in marked - said.keys()} == set(), "not reported"
    assert {number: said[number] for number in said.keys() - marked} == {}, "reported too"


def test_the_stubs_alone_need_no_settings(project: Path) -> None:
    assert mypy(project, "-p", f"{PACKAGE}.gen", config="[mypy]\nstrict = true\n") == []


def test_the_program_that_checkers_accept_runs(project: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", f"{PACKAGE}.program"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (run.stdout, run.stderr) == ("every call was made\n", "")


def test_what_stubs_claim_is_there_at_run_time(project: Path) -> None:
    run = subprocess.run(
        [sys.executable, str(CLAIMS), str(project), f"{PACKAGE}/gen"],
        env={"PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")


def test_there_is_a_stub_for_each_module() -> None:
    workspace = find_workspace([PROJECT / "keyword_path"], [])
    stubs = emit_stubs(
        Schema(compile_descriptors(workspace), set(workspace.names)), workspace.names
    )
    with compile_python(workspace, workspace.names) as made:
        code = made.code()
    modules = {name for name in code if name.endswith(".py")}
    assert {name.removesuffix("i") for name in stubs} == modules


def test_comments_become_docstrings() -> None:
    workspace = find_workspace([PROJECT / "proto"], [])
    stubs = emit_stubs(
        Schema(compile_descriptors(workspace), set(workspace.names)), workspace.names
    )
    body = ast.parse(stubs["shop/v1/shop_pb2.pyi"]).body
    voucher = next(
        node for node in body if isinstance(node, ast.ClassDef) and node.name == "Voucher"
    )
    said = 'A comment with """quotes""", a backslash \\d, and "an end"'
    assert ast.get_docstring(voucher) == said
    services = stubs["shop/v1/shop_pb2_grpc.pyi"]
    assert services.count('"""Buys once."""') == 3  # stub, servicer, experimental calls


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_hundreds_of_random_trees(tmp_path: Path) -> None:
    for number, tree in enumerate(_random_trees(500, same_every_time=False)):
        write_package(tmp_path / "drawn" / f"tree{number}", tree)
    assert mypy(tmp_path, "drawn") == []
    assert pyright(tmp_path) == []
