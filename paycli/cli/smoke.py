"""`paycli smoke`: prove that a build takes payments."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from paycli.cli import options, output

if TYPE_CHECKING:
    from paycli.scenarios.runner import StepResult

_MARKS = {"passed": "PASS", "failed": "FAIL", "skipped": "SKIP"}


def smoke(
    suites: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[SUITE.yaml]...", help="Default: those of configs/smoke."),
    ] = None,
    *,
    target: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="The service to prove. Default: one of our own."),
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML here.")] = None,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_S,
    plaintext: options.Plaintext = None,
    json: options.Json = False,
) -> None:
    """Prove that a service takes payments; by default, one of our own."""
    from paycli.client.channel import connect
    from paycli.scenarios.junit import write_junit
    from paycli.scenarios.locate import suite_paths
    from paycli.scenarios.own_server import own_server
    from paycli.scenarios.runner import run_suites
    from paycli.scenarios.suite import read_suite

    read = [read_suite(path) for path in suites or suite_paths()]
    with _termination_as_interrupt():
        with ExitStack() as stack:
            address = target or stack.enter_context(own_server()).target
            channel = stack.enter_context(connect(address, timeout, plaintext=plaintext))
            results = run_suites(
                read, channel, timeout, lambda result: _report(result, as_json=json)
            )
        if junit is not None:
            write_junit(junit, results)
    _summarize(results, address)
    raise typer.Exit(1 if any(result.verdict == "failed" for result in results) else 0)


def _report(result: StepResult, *, as_json: bool) -> None:
    if as_json:
        output.document(
            {
                "suite": result.suite,
                "step": result.step,
                "where": result.where,
                "verdict": result.verdict,
                "duration_ms": round(result.duration_s * 1000, 3),
                "reason": result.reason or None,
            }
        )
        return
    duration = f"{result.duration_s * 1000:8.1f} ms"
    output.result(f"{_MARKS[result.verdict]} {duration}  {result.suite}: {result.step}")
    if result.reason:
        output.result(f"     {result.where}: {result.reason}")


def _summarize(results: list[StepResult], address: str) -> None:
    verdicts = [str(result.verdict) for result in results]
    counts = ", ".join(f"{verdicts.count(each)} {each}" for each in _MARKS)
    output.progress(f"{counts} against {address}.")


@contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """Let SIGTERM and a closed terminal unwind like Ctrl-C: our own server never outlives us."""
    import signal

    endings = [
        number
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN  # nohup
    ]
    before = {number: signal.signal(number, signal.default_int_handler) for number in endings}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
