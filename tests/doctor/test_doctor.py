"""`paycli doctor` under real conditions: taken ports, bad stores, stale code, old packages."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import socket
import sqlite3
import subprocess
import sys
import venv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from paycli.doctor.environment import check_interpreter
from tests.conftest import Server, run_paycli

ROOT = Path(__file__).parents[2]
SITE = "site-packages"
# Permissions mean nothing to root, unless it goes without this.
WITHOUT_PRIVILEGES = (
    ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")
    if os.geteuid() == 0
    else ()
)
PROTO = 'syntax = "proto3";\npackage shop;\nmessage Order { string id = 1; }\n'
SYSTEM_HAS_APT_PKG = (
    shutil.which("dpkg") is not None
    and subprocess.run(["/usr/bin/python3", "-c", "import apt_pkg"], capture_output=True).returncode
    == 0
)


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return str(listening.getsockname()[1])


Run = Callable[..., subprocess.CompletedProcess[str]]
Examine = Callable[..., dict[str, dict[str, Any]]]


@pytest.fixture
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that repairs may change; packages come from PYTHONPATH."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    return folder / "bin/python"


@pytest.fixture
def run(environment: Path, tmp_path: Path) -> Run:
    """Run Python in that environment, in the folder of the test."""

    def run(
        *arguments: str | Path,
        first: Path | None = None,
        instead: Path | None = None,
        through: Sequence[str] = (),
    ) -> subprocess.CompletedProcess[str]:
        sites = [str(instead)] if instead else [path for path in sys.path if path.endswith(SITE)]
        paths = [str(first)] if first else []
        return subprocess.run(
            [*through, environment, *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([*paths, str(ROOT), *sites])},
            capture_output=True,
            text=True,
        )

    return run


@pytest.fixture
def examine(run: Run) -> Callable[..., dict[str, dict[str, Any]]]:
    """Run doctor and return its findings by name."""

    def examine(
        *arguments: str | Path, exit_code: int = 0, **how: Any
    ) -> dict[str, dict[str, Any]]:
        port = () if "--port" in arguments else ("--port", free_port())
        ran = run("-m", "paycli", "doctor", "--json", *port, *arguments, **how)
        assert ran.returncode == exit_code, ran.stdout + ran.stderr
        document = json.loads(ran.stdout)
        assert document["verdict"] == ("fail" if exit_code else "ok")
        return {check["name"]: check for check in document["checks"]}

    return examine


def test_in_an_empty_folder_all_is_well_and_nothing_is_made(
    examine: Examine, tmp_path: Path
) -> None:
    found = examine()
    looked_at = {"python", "packages", "includes", "port", "store", "transport"}
    assert found.keys() - {"apt_pkg"} == looked_at
    assert found["transport"]["verdict"] == "info"
    assert "has no TLS" in found["transport"]["message"]
    assert "'paycli serve' makes it" in found["store"]["message"]
    assert not list(tmp_path.iterdir())


def test_each_finding_is_a_line_and_its_repair_another(run: Run, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ran = run("-m", "paycli", "doctor", "--port", port)
    assert ran.returncode == 1
    lines = ran.stdout.splitlines()
    said = f"localhost:{port} takes connections but says nothing."
    wrong = lines.index(f"FAIL  port: Port {port} is taken: {said}")
    assert lines[wrong + 1].startswith("      repair with: paycli serve --port ")
    assert ran.stderr == ""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the system tells of no process")
def test_what_a_call_costs_is_measured_when_asked_for(examine: Examine, tmp_path: Path) -> None:
    if "transport" not in (found := examine()):
        pytest.skip("there is one transport")
    assert "should cost less of the processor; it has no TLS" in found["transport"]["message"]
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/paycli.yaml").write_text("profiles: {default: {serve: {port: x}}}")
    said = examine("--transports", "--config", os.devnull)["transport"]["message"]
    costs = re.search(r"a call costs (\d+) µs of the processor here, on grpc.aio (\d+) µs", said)
    assert costs is not None, said
    assert all(0 < int(each) < 100_000 for each in costs.groups())


def test_an_old_interpreter_is_too_old() -> None:
    assert check_interpreter((3, 10, 13)).verdict == "fail"
    assert check_interpreter((3, 11, 0)).verdict == "ok"


@pytest.mark.parametrize(
    ("package", "version", "said"),
    [
        ("grpcio", "1.60.0", "needs grpcio>=1.85.1, but 1.60.0 is installed"),
        ("protobuf", "6.31.0", "needs protobuf>=7.35.1, but 6.31.0 is installed"),
        ("protobuf", "99.0", "but 99.0 is installed"),
    ],
)
def test_packages_that_do_not_fit_are_named(
    examine: Examine, tmp_path: Path, package: str, version: str, said: str
) -> None:
    information = tmp_path / f"{package}-{version}.dist-info"
    information.mkdir()
    text = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
    (information / "METADATA").write_text(text)
    found = examine(first=tmp_path, exit_code=1)
    assert said in found["packages"]["message"]
    assert f"pip install '{package}>=" in found["packages"]["command"] or version == "99.0"
    assert "port" not in found  # what needs the packages is not tried


def test_missing_google_protos_are_named_with_their_package(
    examine: Examine, tmp_path: Path
) -> None:
    site = next(Path(path) for path in sys.path if path.endswith(SITE))
    without = tmp_path / SITE
    (without / "google").mkdir(parents=True)
    for path in (*site.iterdir(), *(site / "google").iterdir()):
        link = without / path.relative_to(site)
        if path.name not in ("google", "rpc"):
            link.symlink_to(path)
    found = examine(instead=without, exit_code=1)["includes"]
    assert found["message"].startswith('import "google/rpc/status.proto" will not be found')
    assert found["command"].endswith(" googleapis-common-protos")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a proto and current code."""
    (tmp_path / "proto").mkdir()
    (tmp_path / "proto/shop.proto").write_text(PROTO)
    assert run_paycli("gen", cwd=tmp_path).returncode == 0
    return tmp_path


def test_stale_code_is_found_and_made_again(examine: Examine, project: Path) -> None:
    assert examine()["generated"]["verdict"] == "ok"
    (project / "proto/shop.proto").write_text(PROTO.replace("id", "number"))
    found = examine(exit_code=1)["generated"]
    assert "stale shop_pb2.py" in found["message"]
    assert found["command"] == "paycli gen"
    assert run_paycli("gen", "--check", cwd=project).returncode == 1  # it only looked
    assert examine("--fix")["generated"]["verdict"] == "ok"
    assert run_paycli("gen", "--check", cwd=project).returncode == 0


def test_a_command_can_be_pasted_whatever_the_names(examine: Examine, project: Path) -> None:
    (project / "proto").rename(project / "my protos")
    (project / "it's").mkdir()
    (project / "generated").rename(project / "it's/generated")
    (project / "my protos/shop.proto").write_text(PROTO.replace("id", "number"))
    where = ("-I", "my protos", "--out", "it's/generated")
    command = examine(*where, exit_code=1)["generated"]["command"]
    assert shlex.split(command) == ["paycli", "gen", *where]


def test_code_that_somebody_edited_is_not_fixed(examine: Examine, project: Path) -> None:
    edited = project / "generated/shop_pb2.py"
    edited.write_text(f"{edited.read_text()}# mine\n")
    found = examine("--fix", exit_code=1)["generated"]
    assert "was not left as gen wrote it" in found["message"]
    assert edited.read_text().endswith("# mine\n")


def test_a_proto_with_a_mistake_is_shown_where_it_is(examine: Examine, project: Path) -> None:
    (project / "proto/shop.proto").write_text(PROTO.replace("string", "strin"))
    found = examine("--fix", exit_code=1)["generated"]
    assert found["message"].startswith("proto/shop.proto:3:17: ")
    assert found["command"] is None  # nothing but an editor repairs that


def test_code_for_a_newer_runtime_is_found(examine: Examine, project: Path) -> None:
    code = project / "generated/shop_pb2.py"
    text = code.read_text()
    current = text.partition("# Protobuf Python Version: ")[2].partition("\n")[0]
    code.write_text(text.replace(current, "99.1.0"))
    found = examine(exit_code=1)["runtime"]
    assert found["message"].startswith("The generated code needs protobuf>=99.1.0, but ")
    assert found["command"] == "pip install 'protobuf>=99.1.0'"


def test_a_project_that_allows_an_older_runtime_is_warned(examine: Examine, project: Path) -> None:
    (project / "pyproject.toml").write_text('[project]\ndependencies = ["protobuf>=5"]\n')
    found = examine()["runtime"]
    assert found["verdict"] == "warn"
    assert "allows one as old as 5" in found["message"]


def test_a_running_server_is_no_fault(examine: Examine, server: Server, tmp_path: Path) -> None:
    store = f"sqlite:///{server.store}"
    found = examine("--port", str(server.port), "--store", store)
    assert found["port"]["message"] == f"A gRPC server answers on port {server.port}."
    assert found["store"]["message"] == f"A server is using {server.store}."
    server.stop()
    assert examine("--store", store)["store"]["message"].endswith("can be opened.")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.write_bytes(b"no database" * 100), "is not a SQLite database"),
        (lambda path: path.mkdir(), "There is no store"),
        (lambda path: execute(path, "CREATE TABLE recipes (name)"), "another program"),
        (
            lambda path: execute(
                path, "PRAGMA application_id = 1885436259; PRAGMA user_version = 99"
            ),
            "schema version 99",
        ),
        (
            lambda path: execute(
                path, "PRAGMA application_id = 1885436259; PRAGMA user_version = 1"
            ),
            "written by an older paycli",
        ),
    ],
)
def test_a_store_that_cannot_be_opened_is_named(
    examine: Examine, tmp_path: Path, spoil: Any, said: str
) -> None:
    path = tmp_path / "s.db"
    spoil(path)
    found = examine("--store", f"sqlite:///{path}", exit_code=1)["store"]
    assert said in found["message"]
    assert found["command"]


def test_an_empty_file_becomes_a_store(examine: Examine, tmp_path: Path) -> None:
    (tmp_path / "s.db").touch()
    assert examine("--store", "sqlite:///s.db")["store"]["message"] == "s.db can be opened."


def execute(path: Path, sql: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(sql)


def test_the_folder_of_a_store_is_made_when_asked_for(run: Run, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/books/deep/s.db"
    ran = run("-m", "paycli", "doctor", "--fix", "--store", store, "--port", free_port())
    assert ran.returncode == 0
    assert f"Making {tmp_path}/books/deep.\n" in ran.stderr
    assert (tmp_path / "books/deep").is_dir()


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="we are root")
@pytest.mark.parametrize("mode", [0o000, 0o500])
def test_a_folder_that_is_not_writable_is_named(
    examine: Examine, tmp_path: Path, mode: int
) -> None:
    folder = tmp_path / "books"
    folder.mkdir(mode)
    store = f"sqlite:///{folder}/s.db"
    found = examine("--store", store, through=WITHOUT_PRIVILEGES, exit_code=1)["store"]
    assert found["message"] == f"The store needs {folder}, which you may not write to."
    assert found["command"] == f"chmod u+rwX {folder}"


def test_a_wrong_flag_is_wrong_usage(tmp_path: Path) -> None:
    assert run_paycli("doctor", "--store", "mysql://x", cwd=tmp_path).returncode == 2
    assert run_paycli("doctor", "--port", "70000", cwd=tmp_path).returncode == 2


@pytest.fixture
def packages_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], None]:
    """Make dpkg believe that python3-apt has this status."""
    if shutil.which("dpkg-query") is None:
        pytest.skip("no dpkg here")
    records = tmp_path / "dpkg"
    (records / "info").mkdir(parents=True)
    (records / "updates").mkdir()
    monkeypatch.setenv("DPKG_ADMINDIR", str(records))

    def set_status(status: str) -> None:
        (records / "status").write_text(
            f"Package: python3-apt\nStatus: {status}\nArchitecture: all\nVersion: 1\n"
            "Maintainer: A <a@example.com>\nDescription: x\n"
        )

    set_status("install ok installed")
    return set_status


@pytest.mark.parametrize("status", ["deinstall ok config-files", "unknown ok not-installed"])
def test_apt_pkg_is_nothing_to_look_at_without_python3_apt(
    packages_of_the_system: Callable[[str], None], examine: Examine, status: str
) -> None:
    packages_of_the_system(status)
    assert "apt_pkg" not in examine()


def test_apt_pkg_is_for_information(
    packages_of_the_system: Callable[[str], None], examine: Examine, run: Run
) -> None:
    found = examine()["apt_pkg"]
    assert found["verdict"] == "info"
    assert "Only programs that use python3-apt need it." in found["message"]
    assert "\nINFO  apt_pkg: " in run("-m", "paycli", "doctor", "--port", free_port()).stdout


@pytest.mark.skipif(not SYSTEM_HAS_APT_PKG, reason="no dpkg with python3-apt here")
def test_apt_pkg_of_the_system_is_linked_into_an_environment(run: Run, tmp_path: Path) -> None:
    doctor = ("-m", "paycli", "doctor", "--port", free_port())
    before = run(*doctor)
    assert before.returncode == 0
    assert "INFO  apt_pkg: " in before.stdout
    assert run("-c", "import apt_pkg").returncode == 1
    fixed = run(*doctor, "--fix")
    if "made for another Python" in before.stdout:
        assert "INFO  apt_pkg: " in fixed.stdout
        return
    assert "apt_pkg: apt_pkg cannot be imported: " in fixed.stderr
    assert "OK    apt_pkg: apt_pkg can be imported." in fixed.stdout
    assert run("-c", "import apt_pkg").returncode == 0
