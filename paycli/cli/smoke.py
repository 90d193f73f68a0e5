"""`paycli smoke`: prove that a build takes payments."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from paycli.cli import completion, options, output, schemas
from paycli.cli.file_schemas import shows_schema
from paycli.cli.interrupts import termination_as_interrupt
from paycli.cli.service import Service, calls_service
from paycli.cli.smoke_reports import show, show_mistake, summarize, tell_github, write_files
from paycli.errors import CheckFailed, InputError, OutcomeUnknown, PaycliError

if TYPE_CHECKING:
    from paycli.client.schema import Schema
    from paycli.scenarios.own_server import OwnServer
    from paycli.scenarios.record import Record
    from paycli.scenarios.suite import Suite
    from paycli.scenarios.target import Target


@calls_service
def smoke(
    service: Service,
    suites: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[SUITE]...",
            help="Files, or names such as money. Default: all in configs/smoke, else ours.",
            autocompletion=completion.suites,
        ),
    ] = None,
    *,
    target: Annotated[
        str | None,
        typer.Option(
            envvar="PAYCLI_SMOKE_TARGET",
            metavar="HOST:PORT",
            help="The service to prove. Default: one of our own.",
        ),
    ] = None,
    serve: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODULE:SERVICER", help="Prove servicers of your own, hosted for the run."
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The store of the own server. Default: a temporary one."),
    ] = None,
    roots: schemas.Protos = None,
    descriptor_set: schemas.DescriptorSet = None,
    junit: Annotated[
        Path | None, typer.Option(help="Write JUnit XML here, however the run ends.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE.html", help="Write a page for a browser, however the run ends."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="A service that the target lacks is an error.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "-k",
            metavar="WORD",
            help="Run steps with this in their name, or this tag.",
            autocompletion=completion.tags,
        ),
    ] = None,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="End after the first step that fails.")
    ] = False,
    schema: Annotated[bool, shows_schema("suite")] = False,  # noqa: ARG001 - its callback did it
    list_only: Annotated[bool, typer.Option("--list", help="Show the steps; run none.")] = False,
    crash: Annotated[
        bool, typer.Option("--crash", help="Kill a server under load; it must keep its word.")
    ] = False,
    command: Annotated[
        str | None,
        typer.Option(
            metavar="'CMD {port}'",
            help="What starts the server to crash. Default: our own.",
        ),
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=10_000, help="How often to kill it. Default: 5."),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, max=10**9, help="The chance of an earlier --crash, once more."
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Prove that a service takes payments; by default, one of our own. 'smoke record' and 'smoke import' write suites."""
    from functools import partial

    from paycli.cli import smoke_crash
    from paycli.scenarios.choice import choose
    from paycli.scenarios.contracts import Contracts
    from paycli.scenarios.locate import suite_paths
    from paycli.scenarios.own_server import own_server
    from paycli.scenarios.record import Record
    from paycli.scenarios.suite import read_suite

    given = [name for name, value in (("--serve", serve), ("--store", store)) if value]
    if given and target is not None:
        raise InputError(
            f"{' and '.join(given)}: that is for a server of its own, without --target."
        )
    if len(given) > 1:
        raise InputError("--store is for the payment engine; servicers of yours keep their own.")
    if report is not None and report == junit:
        raise InputError(f"--junit and --report cannot both be {report}.")
    of_suites: dict[str, object] = {
        "SUITE": suites,
        "--serve": serve,
        "--store": store,
        "-I": roots,
        "-k": only,
    }
    of_suites |= {"--descriptor-set": descriptor_set, "--fail-fast": fail_fast, "--list": list_only}
    of_crash = {"--command": command is not None, "--rounds": rounds, "--seed": seed is not None}
    smoke_crash.refuse(of_suites if crash else of_crash, is_crash=crash)
    record = Record(partial(show, as_json=json))
    files = {"JUnit": junit, "HTML": report}
    with termination_as_interrupt(), ExitStack() as stack:
        if crash:
            with _reports(record, files, command or "paycli serve"):
                told = smoke_crash.Given(command, target, rounds or smoke_crash.ROUNDS, seed)
                smoke_crash.prove(told, record, stack, as_json=json)
            _judge(record)
        own = own_server(store, serve or (), log_calls=True) if target is None else None
        proven = _Proven(service, own, stack)
        # An engine of ours tells of nothing that is not known here.
        asks = proven.schema if target is not None or serve else None
        contracts = Contracts(schemas.local_schema(roots, descriptor_set), asks)
        if list_only:
            found = [read_suite(path, contracts) for path in suite_paths(suites or ())]
            _list(choose(found, only or ()), as_json=json)
            return
        address = "a server of its own" if target is None else target
        with _reports(record, files, address):
            paths = suite_paths(suites or ())
            record.plan_suites(paths)
            chosen = choose([read_suite(path, contracts) for path in paths], only or ())
            how = {"strict": strict, "fail_fast": fail_fast}
            _run(chosen, record, proven, how)
    _judge(record)


class _Proven:
    """What is put to the proof: called, and started if it is of our own, as soon as it is needed."""

    def __init__(
        self,
        service: Service,
        own: AbstractContextManager[OwnServer] | None,
        stack: ExitStack,
    ) -> None:
        self._service = service
        self._own = own
        self._stack = stack
        self._target: Target | None = None

    @property
    def is_own(self) -> bool:
        """Whether it goes with the run."""
        return self._own is not None

    def target(self) -> Target:
        """Raises Unreachable, and CheckFailed for a server that does not start."""
        if self._target is None:
            self._target = self._begin()
        return self._target

    def schema(self) -> Schema:
        """What its reflection tells. Raises RemoteError and Refused."""
        from paycli.scenarios.target import told_by

        return told_by(self.target())

    def _begin(self) -> Target:
        from paycli.scenarios.target import Target

        service, command = self._service, self._service.command
        last_words: Callable[[], str] = str
        log_tail: Callable[[], Sequence[str]] = tuple
        if self._own is not None:
            server = self._stack.enter_context(self._own)
            last_words, log_tail = server.last_words, server.log_tail
            command = _command  # of a server that is gone then: one of one's own will do
            service = service.of_own(server.target)
        channel = self._stack.enter_context(service.connect())
        return Target(channel, service.timeout_s, service.target, command, last_words, log_tail)


def _run(suites: Sequence[Suite], record: Record, proven: _Proven, how: dict[str, bool]) -> None:
    from paycli.scenarios.runner import run_suites

    record.begin([each for suite in suites for each in suite.planned])
    try:
        run_suites(suites, proven.target(), record, **how)
    except OutcomeUnknown as lost:
        if proven.is_own:  # and what became of it is gone with it
            raise KeyboardInterrupt from lost
        raise


def _command(*words: str) -> str:
    return shlex.join(["paycli", *words])


def _list(suites: Sequence[Suite], *, as_json: bool) -> None:
    for suite in suites:
        for step in suite.all_steps:
            tags = sorted(step.tags | suite.tags)
            if as_json:
                told = {"suite": suite.name, "step": step.name, "where": step.where, "tags": tags}
                output.document(told)
            else:
                shown = f"  [{', '.join(tags)}]" if tags else ""
                output.result(output.one_line(f"{suite.name}: {step.name}{shown}"))


@contextmanager
def _reports(record: Record, files: Mapping[str, Path | None], address: str) -> Iterator[None]:
    """Leave the reports, however the run ends; before it, ones that hold if even kill -9 ends it."""
    from paycli.report_files import is_replaceable

    wanted = {what: path for what, path in files.items() if path is not None}
    early = {what: path for what, path in wanted.items() if is_replaceable(path)}
    write_files(early, record.whole("the run was killed", address))
    why = "the run ended early"
    try:
        yield
    except PaycliError as problem:
        why = str(problem)
        if record.begun:
            with suppress(BrokenPipeError, CheckFailed):  # the problem is what matters
                record.finish(why)
        else:
            show_mistake(problem)
        raise
    except KeyboardInterrupt:
        why = "the run was interrupted"
        raise
    except BaseException as problem:
        why = f"{type(problem).__name__}: {problem}"
        raise
    finally:
        run = record.whole(why, address)
        try:
            write_files(wanted, run)
        finally:
            tell_github(run)
            summarize(run, begun=record.begun)


def _judge(record: Record) -> None:
    """The exit code of a run that came to its end."""
    verdicts = {str(result.verdict) for result in record.results}
    if verdicts == {"skipped"}:
        raise CheckFailed("Nothing was proved: the target offers nothing that the suites require.")
    raise typer.Exit(1 if verdicts & {"failed", "error"} else 0)
