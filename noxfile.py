"""What CI does, and what a developer runs: `nox` for all of it, `nox -s NAME` for a part."""

from __future__ import annotations

import os

import nox

nox.options.default_venv_backend = "venv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "types", "tests", "build"]

PROJECT = nox.project.load_toml("pyproject.toml")
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
def bench(session: nox.Session) -> None:
    """Speed and memory as ratios against a baseline in the same run."""
    _install(session, "test")
    session.run("python", "-m", "tests.bench", *session.posargs)
