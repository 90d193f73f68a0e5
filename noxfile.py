"""What CI does, and what a developer runs: `nox` for all of it, `nox -s NAME` for a part."""

from __future__ import annotations

import os
import re

import nox

nox.options.default_venv_backend = "venv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "types", "tests", "build", "image"]

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
# Most tests wait for servers and processes of their own, not for the processor.
PARALLEL = ("--numprocesses", str(2 * (os.cpu_count() or 1)))
CONSTRAINTS = ("--constraint", "constraints.txt")


def _install(session: nox.Session, *groups: str) -> None:
    wanted = nox.project.dependency_groups(PROJECT, *groups)
    session.install("--editable", ".", *wanted, *CONSTRAINTS)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, of protos too, and whether the generated code is what the protos say."""
    _install(session, "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("paycli", "gen", "--check")
    session.run("paycli", "lint")


@nox.session
def fix(session: nox.Session) -> None:
    """Put right what a machine can: style, formatting, generated code."""
    _install(session, "lint")
    session.run("ruff", "check", "--fix")
    session.run("ruff", "format")
    session.run("paycli", "gen")


@nox.session
def types(session: nox.Session) -> None:
    """Strict types, tests included."""
    _install(session, "types", "test")
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """All tests but the long ones: `nox -s tests -- -k money`."""
    _install(session, "test")
    session.run("pytest", "-m", "not chaos", *PARALLEL, *session.posargs)


@nox.session
def native(session: nox.Session) -> None:
    """The tests of servers and of their clients on the native transport."""
    _install(session, "test")
    folders = [
        f"tests/{each}"
        for each in ("host", "servicers", "client", "scenarios", "acceptance", "chaos")
    ]
    env = {"PAYCLI_TRANSPORT": "native"}
    session.run("pytest", "-m", "not chaos", *PARALLEL, *folders, *session.posargs, env=env)


@nox.session
def interop(session: nox.Session) -> None:
    """Clients of other makers and languages, from PyPI and npm, against our server."""
    _install(session, "test")
    session.install("grpclib", "grpc-requests")
    folder = session.create_tmp()
    packages = ["@grpc/grpc-js", "@grpc/proto-loader", "@connectrpc/connect-node"]
    packages += ["@connectrpc/connect", "@bufbuild/protobuf", "@bufbuild/protoc-gen-es"]
    session.run("npm", "install", "--silent", "--prefix", folder, *packages, external=True)
    env = {"INTEROP": os.path.abspath(folder)}  # noqa: PTH100 - a string for the environment
    session.run("pytest", "tests/interop", *session.posargs, env=env)


@nox.session(python=PYTHONS)
def pythons(session: nox.Session) -> None:
    """The tests on every Python that paycli is for, where it is installed."""
    tests(session)


@nox.session
def minimums(session: nox.Session) -> None:
    """The tests with the oldest dependencies that pyproject.toml allows."""
    oldest = [
        re.sub(r">=([\w.]+).*", r"==\1", each.partition(";")[0].strip())
        for each in PROJECT["project"]["dependencies"]
    ]
    session.install("--editable", ".", *oldest, *nox.project.dependency_groups(PROJECT, "test"))
    session.run("pytest", "-m", "not chaos", *PARALLEL, *session.posargs)


@nox.session
def mutants(session: nox.Session) -> None:
    """Break lines that matter, one at a time; some test must notice each: `-- claim lock` picks some."""
    _install(session, "test")
    session.run("python", "-m", "tests.mutants", *session.posargs)


@nox.session
def chaos(session: nox.Session) -> None:
    """Hundreds of kills and injected faults; takes a long time."""
    _install(session, "test")
    session.run("pytest", "-m", "chaos", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """The wheel and the source archive."""
    session.install("build", *CONSTRAINTS)
    session.run("python", "-m", "build", "--outdir", session.create_tmp())


@nox.session
def image(session: nox.Session) -> None:
    """The container, built and run without a registry or a daemon, where its tools are."""
    program = "from tests.image.containers import missing; print(missing())"
    lacking = str(session.run("python", "-c", program, silent=True)).strip()
    if lacking:
        session.skip(f"THE CONTAINER WAS NOT TESTED: it {lacking}")
    _install(session, "test")
    session.run("pytest", "tests/image", *session.posargs, env={"IMAGE": "1"})


@nox.session
def bench(session: nox.Session) -> None:
    """Speed and memory as ratios against a baseline in the same run."""
    _install(session, "test")
    session.run("python", "-m", "tests.bench", *session.posargs)
