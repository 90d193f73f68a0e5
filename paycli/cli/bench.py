"""`paycli bench`: a service under load."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from paycli.cli import completion, options, output, schemas
from paycli.cli.interrupts import termination_as_interrupt
from paycli.cli.service import Service, calls_service
from paycli.errors import CheckFailed, InputError

if TYPE_CHECKING:
    from paycli.load.result import Result
    from paycli.load.thresholds import Threshold
    from paycli.scenarios.own_server import OwnServer

_CONCURRENCY: Final = 16
_BATCH_MAX: Final = 1000
_NAMES: Final = {"roots": "-I", "data": "DATA"}
_APART: Final = (
    ("rate", "concurrency", "calls come by the clock, or from callers who wait"),
    ("rate", "growth", "what grows is the time of a call, which a fixed rate hides"),
    ("baseline", "growth", "each is a row of runs of its own"),
    ("compare", "growth", "a comparison is of one run"),
    ("baseline", "rate", "the floor is the most that this machine can do, and a fixed rate is not"),
    ("batch", "method", "a batch is BatchCreatePayments"),
    ("batch", "data", "a batch makes its own requests"),
    ("roots", "descriptor_set", "both say what services look like"),
)


@calls_service
def bench(
    service: Service,
    context: typer.Context,
    data: Annotated[
        str,
        typer.Argument(
            metavar="[DATA]",
            help="The request as JSON or YAML, with ${uuid}, ${n}, ${env:NAME}; several for a stream.",
        ),
    ] = "",
    *,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="The service to load. Default: one of our own, for the run."
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            metavar="SERVICE/METHOD",
            help="Default: ProcessPayment, with random orders.",
            autocompletion=completion.methods,
        ),
    ] = "",
    batch: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, max=_BATCH_MAX, help="BatchCreatePayments with N payments a call."
        ),
    ] = 0,
    roots: schemas.Protos = None,
    descriptor_set: schemas.DescriptorSet = None,
    concurrency: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=10_000,
            help="Closed loop: N callers who wait for each answer. Default: 16.",
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            min=0.1,
            max=1e6,
            help="Open loop: N calls a second, whatever the answers do.",
        ),
    ] = None,
    duration: Annotated[float, options.seconds("How long to measure.", least=0.1)] = 10.0,
    warm_up: Annotated[
        float, options.seconds("Load before that, which does not count.", least=0)
    ] = 2.0,
    processes: Annotated[
        int, typer.Option(metavar="N", min=1, max=64, help="Generator processes.")
    ] = 1,
    baseline: Annotated[
        bool,
        typer.Option("--baseline", help="Also a bare echo and the disk's fsync, slice by slice."),
    ] = False,
    compare: Annotated[
        Path | None,
        typer.Option(metavar="FILE.json", help="Say what differs from an earlier --json."),
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-if",
            metavar="THRESHOLD",
            help="Exit 1 if so: 'p99 > 50ms', 'errors > 0.1%', 'rate < 500'; repeatable.",
        ),
    ] = None,
    growth: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            max=1_000_000,
            help="The rate with N, 10 N and 100 N payments stored, in a server of our own.",
        ),
    ] = 0,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write a page for a browser.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Measure a service under load; by default, one of our own."""
    from dataclasses import asdict, replace

    from paycli.cli.bench_shown import progress_of, shown, warning_of
    from paycli.cli.bench_wanted import Wanted
    from paycli.load.compare import read_earlier, refuse_other_load
    from paycli.load.growth import grown
    from paycli.load.run import Run
    from paycli.load.thresholds import threshold_of

    _refuse_nonsense(context)
    thresholds = [threshold_of(each) for each in fail_if or ()]
    earlier = None if compare is None else read_earlier(compare)
    wanted = Wanted(method, batch, data, roots, descriptor_set)
    wanted.refuse_unfit()
    with termination_as_interrupt() as interrupts, ExitStack() as stack:
        service, own = _reached(service, target, stack)
        channel = stack.enter_context(service.connect())
        planned, plan = wanted.planned(channel, service)
        config = replace(
            planned,
            is_own_server=target is None,
            concurrency=None if rate is not None else concurrency or _CONCURRENCY,
            rate=rate,
            duration_s=duration,
            warm_up_s=warm_up,
            processes=processes,
        )
        if compare is not None and earlier is not None:
            refuse_other_load(asdict(config), earlier, compare)
        if target is not None:
            output.progress(warning_of(config))
        stop = threading.Event()
        with interrupts.held(stop.set):
            with progress_of(config) as show:
                run = Run(stop, show, baseline, None if own is None else own.pid)
                if growth:
                    result = grown(channel, plan, config, run, growth, show.stored)
                else:
                    result = run(plan, config)
            shown(result, earlier, as_json=json)
        gone = _gone(result, own)
    if report is not None:
        _draw(result, report)
    _judge(result, thresholds, gone)


def _draw(result: Result, path: Path) -> None:
    from paycli.pages.bench_page import bench_page
    from paycli.report_files import write_report

    write_report(path, "HTML", bench_page(result.as_dict()).encode())


def _reached(
    service: Service, target: str | None, stack: ExitStack
) -> tuple[Service, OwnServer | None]:
    """Where the load goes: only where somebody said just now, or to a server of our own."""
    if target is not None:
        return service, None
    from paycli.scenarios.own_server import own_server

    server = stack.enter_context(own_server())
    return service.of_own(server.target), server


def _refuse_nonsense(context: typer.Context) -> None:
    """Raises InputError for options that do not go together."""
    given = {name for name in context.params if options.is_given(context, name)}
    given -= {name for name in ("growth", "batch", "method", "data") if not context.params[name]}
    for one, other, why in _APART:
        if {one, other} <= given:
            raise InputError(f"{_named(one)} and {_named(other)} do not go together: {why}.")
    if "growth" in given and "target" in given:
        raise InputError("--growth fills a store; it is for a server of our own, without --target.")


def _named(name: str) -> str:
    return _NAMES.get(name) or options.option_of(name)


def _gone(result: Result, own: OwnServer | None) -> str:
    """What to say of a service that was not there at the end; "" if it was."""
    after_s = result.silent_after_s
    if after_s is None:
        return ""
    ended = own.last_words() if own is not None else ""
    why = f": {ended}" if ended else "; the statuses say why."
    return f"No call was answered after {after_s:.1f} s of {result.seconds:.1f} s{why}"


def _judge(result: Result, thresholds: Sequence[Threshold], gone: str) -> None:
    """Raises CheckFailed for what the run must not do."""
    if gone:
        raise CheckFailed(gone)
    complaints = [said for each in thresholds if (said := each.complaint(result))]
    if complaints:
        raise CheckFailed(f"--fail-if: {'; '.join(complaints)}.")
    if not result.ok:
        raise CheckFailed("No call succeeded; the statuses say why.")
