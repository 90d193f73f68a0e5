"""The pytest plugin: a payment service for tests, and suites as tests.

It is loaded with every run of pytest where paycli is installed, so it imports the rest when it is used.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    import grpc

    from paycli.generated.paycli.payments.v1.payments_pb2_grpc import PaymentsStub
    from paycli.scenarios.record import StepResult
    from paycli.scenarios.steps import Step
    from paycli.scenarios.target import Target

_TIMEOUT_S: Final = 10.0
_SUFFIXES: Final = (".yaml", ".yml")


class _Proven:
    """The service of this run of pytest, started or called when it is first asked for."""

    def __init__(self, named: str | None) -> None:
        self._named = named
        self._stack = ExitStack()

    @cached_property
    def target(self) -> Target:
        """Raises PaycliError when there is none."""
        from paycli.client.channel import connect
        from paycli.scenarios.own_server import own_server
        from paycli.scenarios.target import Target

        address = self._named
        last_words: Callable[[], str] = str
        if address is None:
            server = self._stack.enter_context(own_server())
            address, last_words = server.target, server.last_words
        channel = self._stack.enter_context(connect(address, _TIMEOUT_S))
        return Target(channel, _TIMEOUT_S, address, self._command, last_words)

    def close(self) -> None:
        """Nothing of it is left."""
        self._stack.close()

    def _command(self, *words: str) -> str:
        named = () if self._named is None else ("--target", self._named)
        return shlex.join(["paycli", *words, *named])


_PROVEN: Final = pytest.StashKey[_Proven]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """What paycli adds to pytest."""
    parser.getgroup("paycli").addoption(
        "--paycli-target",
        metavar="HOST:PORT",
        help="The payment service to test. Default: one of paycli's own, with an empty store.",
    )
    parser.addini(
        "paycli_suites",
        "Files that are suites of paycli, as patterns; each step is a test.",
        type="args",
        default=["*.suite.yaml", "*.suite.yml"],
    )


def pytest_configure(config: pytest.Config) -> None:
    """Begin without a service."""
    config.stash[_PROVEN] = _Proven(config.getoption("paycli_target"))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what was started."""
    if _PROVEN in config.stash:
        config.stash[_PROVEN].close()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> SuiteFile | None:
    """A suite, by its name or since it is named on the command line."""
    patterns = parent.config.getini("paycli_suites")
    if file_path.suffix in _SUFFIXES and (
        parent.session.isinitpath(file_path) or any(map(file_path.match, patterns))
    ):
        return SuiteFile.from_parent(parent, path=file_path)
    return None


@dataclass(frozen=True, slots=True)
class PaycliServer:
    """A running payment service."""

    target: str
    """HOST:PORT."""


@pytest.fixture(scope="session")
def paycli_server(pytestconfig: pytest.Config) -> PaycliServer:
    """A payment service for this run: with an empty store, or the one that --paycli-target names."""
    return PaycliServer(pytestconfig.stash[_PROVEN].target.address)


@pytest.fixture(scope="session")
def paycli_channel(pytestconfig: pytest.Config) -> grpc.Channel:
    """A channel to it, for the stub of any of its services."""
    return pytestconfig.stash[_PROVEN].target.channel


@pytest.fixture(scope="session")
def payments_stub(paycli_channel: grpc.Channel) -> PaymentsStub:
    """A stub of paycli.payments.v1.Payments."""
    from paycli.generated.paycli.payments.v1 import payments_pb2_grpc

    return payments_pb2_grpc.PaymentsStub(paycli_channel)


class StepFailed(Exception):
    """A step of a suite did not come out as expected."""


class SuiteFile(pytest.File):
    """A suite; its steps follow each other, so that all run when the first is asked for."""

    def collect(self) -> Iterable[SuiteStep]:
        """Its steps. Raises CollectError for a mistake."""
        from paycli.errors import PaycliError
        from paycli.scenarios.contracts import Contracts
        from paycli.scenarios.suite import read_suite
        from paycli.scenarios.target import told_by

        asks = (
            (lambda: told_by(self._proven.target))
            if self.config.getoption("paycli_target")
            else None
        )
        try:
            self.suite = read_suite(_shown(self.path), Contracts(None, asks))
        except PaycliError as problem:
            raise self.CollectError(str(problem)) from problem
        for step in self.suite.all_steps:
            found: SuiteStep = SuiteStep.from_parent(self, name=step.name)
            found.take(step)
            yield found

    @property
    def _proven(self) -> _Proven:
        return self.config.stash[_PROVEN]

    @cached_property
    def results(self) -> Mapping[str, StepResult]:
        """What came of each step, by its name."""
        from paycli.errors import PaycliError
        from paycli.scenarios.record import Record
        from paycli.scenarios.runner import run_suites

        record = Record(lambda _: None)
        record.begin(self.suite.planned)
        why = "the run ended early"
        try:
            run_suites([self.suite], self._proven.target, record)
        except PaycliError as problem:
            if isinstance(problem.__cause__, KeyboardInterrupt):
                raise problem.__cause__ from problem
            why = str(problem)
        return {each.step: each for each in record.whole(why, self.suite.name).results}


class SuiteStep(pytest.Item):
    """A step of a suite."""

    parent: SuiteFile

    def take(self, step: Step) -> None:
        """What it is of."""
        self._line = int(step.where.rpartition(":")[2])
        self.extra_keyword_matches |= step.tags | self.parent.suite.tags

    def runtest(self) -> None:
        """Tell what came of it."""
        result = self.parent.results[self.name]
        if result.verdict == "skipped":
            pytest.skip(result.reason)
        if result.verdict != "passed":
            again = f"\nagain: {result.again}" if result.again else ""
            raise StepFailed(f"{result.where}: {result.reason}{again}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """A failed step in words; what else there is as pytest does."""
        if isinstance(excinfo.value, StepFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where it stands."""
        return self.path, self._line - 1, f"{self.parent.suite.name}: {self.name}"


def _shown(path: Path) -> Path:
    """As somebody would name it from where they stand."""
    return Path(os.path.relpath(path)) if path.is_relative_to(Path.cwd()) else path
