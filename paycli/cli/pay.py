"""`paycli pay`: send one payment, or every payment of fixtures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from paycli.cli import options, output, pay_from
from paycli.cli.service import Service, calls_service
from paycli.errors import CheckFailed, DocumentError, InputError, OutcomeUnknown

if TYPE_CHECKING:
    from collections.abc import Callable

    import grpc

    from paycli.client.charges import Charge, Paid
    from paycli.client.runs import Result, Run

_DEFAULT_CURRENCY = "EUR"
_EXIT_INTERRUPTED = 130
# What ends a command that has sent a payment: a signal, or a stdout that takes no more.
_CUT_OFF = (KeyboardInterrupt, BrokenPipeError, CheckFailed)


@calls_service
def pay(
    service: Service,
    fixtures: Annotated[
        list[Path] | None, typer.Argument(metavar="[FIXTURE.yaml]...", help="Payments to send.")
    ] = None,
    *,
    amount: Annotated[
        str | None,
        typer.Option(
            "--amount", metavar="AMOUNT", help="Major units, such as 99.99; exact or refused."
        ),
    ] = None,
    currency: Annotated[
        str | None, typer.Option(metavar="CODE", help="ISO 4217.", show_default=_DEFAULT_CURRENCY)
    ] = None,
    order_id: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Send it again and it is not paid twice. Default: new."),
    ] = None,
    user_id: Annotated[str | None, typer.Option(metavar="ID", help="The paying customer.")] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="The key of this payment. Default: from order and user."),
    ] = None,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Leave out the wrong entries of fixtures.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Send nothing; show what would be sent.")
    ] = False,
    source: pay_from.From = None,
    mapped: pay_from.Map = None,
    decimal: pay_from.DecimalPoint = ".",
    rejects: pay_from.Rejects = None,
    unknown: pay_from.Unknown = None,
    rate: pay_from.Rate = None,
    concurrency: pay_from.Concurrency = 64,
    max_failures: pay_from.FailuresMax = None,
    retry: pay_from.Retry = 60.0,
    json: options.Json = False,
) -> None:
    """Send a payment (--amount) or the payments of YAML fixtures."""
    from paycli.cli.interrupts import termination_as_interrupt

    order = {
        "--order-id": order_id and _typed(order_id),
        "--currency": currency,
        "--user-id": user_id and _typed(user_id),
        "--idempotency-key": idempotency_key,
    }
    of_rows: dict[str, object] = {
        "--from": source,
        "--map": mapped,
        "--rejects": rejects,
        "--unknown": unknown,
        "--rate": rate,
        "--max-failures": max_failures,
    }
    _refuse_mixture(fixtures, amount, order, of_rows, keep_going=keep_going, dry_run=dry_run)
    with termination_as_interrupt() as interrupts:
        if source is not None:
            given = pay_from.Given(
                *(source, mapped or [], decimal, currency or "", rejects, unknown),
                *(rate, concurrency, max_failures, retry),
            )
            code = pay_from.pay_from(given, service, interrupts, as_json=json)
        elif dry_run:
            code = _rehearse(fixtures, amount, order, service, as_json=json)
        elif amount is None:
            code = _pay_fixtures(fixtures or [], service, keep_going=keep_going, as_json=json)
        else:
            code = _pay_one(amount, order, service, as_json=json)
    raise typer.Exit(code)


def _to_learn(charge: Charge, service: Service) -> str:
    """The command line that sends a charge again; it is never paid twice."""
    import shlex

    words = ["paycli", "pay", "--amount", charge.decimal_amount, "--currency", charge.currency]
    words += ["--order-id", charge.order_id]
    if charge.user_id:
        words += ["--user-id", charge.user_id]
    if charge.idempotency_key:
        words += ["--idempotency-key", charge.idempotency_key]
    # Elsewhere, where PAYCLI_TARGET leads, it would be new.
    return shlex.join([*words, *service.words()])


def _typed(argument: str) -> str:
    """The text as it was typed, in UTF-8, also where the locale (LC_ALL=C) knows ASCII alone."""
    if argument.isprintable():
        return argument
    return os.fsencode(argument).decode("utf-8", "surrogateescape")


def _refuse_mixture(
    fixtures: list[Path] | None,
    amount: str | None,
    order: dict[str, str | None],
    rows: dict[str, object],
    *,
    keep_going: bool,
    dry_run: bool,
) -> None:
    """Raise InputError for options that would be ignored."""
    source = rows.pop("--from")
    if sum(map(bool, (amount is not None, fixtures, source is not None))) != 1:
        raise InputError(
            "Give one of --amount, fixtures and --from FILE, such as 'paycli pay --amount 5'."
        )
    options.refuse_empty_key(order["--idempotency-key"])
    ignored = [option for option, value in order.items() if value is not None]
    if fixtures and ignored:
        raise InputError(f"{', '.join(ignored)}: write that into the fixture, for each payment.")
    if source is not None and (columns := [each for each in ignored if each != "--currency"]):
        raise InputError(f"{', '.join(columns)}: make that a column of {source}, for each row.")
    if not fixtures and keep_going:
        raise InputError("--keep-going is for fixtures; a file of rows always goes on.")
    if source is not None and dry_run:
        raise InputError("--dry-run is for --amount and for fixtures.")
    if source is None and (of_rows := [each for each, value in rows.items() if value]):
        raise InputError(f"{', '.join(of_rows)}: that is for a file of rows, --from FILE.")


def _pay_one(amount: str, order: dict[str, str | None], service: Service, *, as_json: bool) -> int:
    checked = _charge(amount, order)
    with service.connect() as channel:
        try:
            paid = _send_and_print(channel, checked, service.timeout_s, as_json=as_json)
        except OutcomeUnknown as problem:
            problem.command = _to_learn(checked, service)
            output.error(problem, as_json=as_json)
            return problem.exit_code
    return 0 if paid.succeeded else CheckFailed.exit_code


def _charge(amount: str, order: dict[str, str | None]) -> Charge:
    import uuid

    from paycli.client.charges import charge

    order_id, currency = order["--order-id"], order["--currency"]
    return charge(
        order_id=order_id if order_id is not None else f"order-{uuid.uuid4()}",
        amount=amount,
        currency=currency if currency is not None else _DEFAULT_CURRENCY,
        user_id=order["--user-id"] or "",
        idempotency_key=order["--idempotency-key"] or "",
    )


def _rehearse(
    fixtures: list[Path] | None,
    amount: str | None,
    order: dict[str, str | None],
    service: Service,
    *,
    as_json: bool,
) -> int:
    """Show what would be sent; the exit code is 2 if something could not be."""
    from paycli.client.fixtures import read_fixture
    from paycli.client.rehearsal import rehearsal

    code = 0
    read = (each for path in fixtures or [] for each in read_fixture(path))
    charges = (each if isinstance(each, DocumentError) else each.charge for each in read)
    for each in charges if amount is None else (_charge(amount, order),):
        if isinstance(each, DocumentError):
            output.error(each, as_json=as_json)
            code = each.exit_code
            continue
        shown = rehearsal(each, service.target, service.access)
        if as_json:
            output.document(shown)
            continue
        request = shown["request"]
        user = f" by {request['user_id']}" if request["user_id"] else ""
        output.result(
            output.one_line(f"{request['amount']} {request['currency']}{user}: key {shown['key']}")
        )
        output.result(output.one_line(f"  {shown['grpcurl']}"))
        if shown["left_out"]:
            output.progress(f"  and -H for {', '.join(shown['left_out'])}, which may be secret")
    return code


def _send_and_print(
    channel: grpc.Channel, charge: Charge, timeout_s: float, *, as_json: bool
) -> Paid:
    """The answer, shown. Raises OutcomeUnknown whenever that cannot be, and what `send` raises."""
    from paycli.client.charges import send, unknown, untold

    paid: Paid | None = None
    try:
        paid = send(channel, charge, timeout_s)
        _print_answer(paid, as_json=as_json)
    except _CUT_OFF as ended:
        why = _why(ended)
        raise untold(paid, why) if paid is not None else unknown(charge, why) from ended
    return paid


def _print_answer(paid: Paid, *, as_json: bool) -> None:
    charge = paid.charge
    if as_json:
        output.document(paid.as_dict())
    else:
        output.result("Payment Service responded.")
        output.result(f"Response payment ID: {output.one_line(paid.payment_id)}")
        output.result(f"Response status: {paid.status}")
    name = charge.name[0].upper() + charge.name[1:]
    if not paid.succeeded:
        before = " before" if paid.replayed else ""
        why = f": {output.one_line(paid.decline_reason)}" if paid.decline_reason else ""
        output.progress(
            f"Declined{before}{why}. {name} over {charge.decimal_amount} {charge.currency} "
            "was not paid."
        )
    elif paid.replayed:
        output.progress(f"{name} was paid before; nothing was paid again.")


def _why(ended: BaseException) -> str:
    if isinstance(ended, KeyboardInterrupt):
        return "Interrupted before an answer was shown"
    if isinstance(ended, BrokenPipeError):
        return "Cannot write the result: nobody reads it any more"
    return str(ended).rstrip(".")


def _pay_fixtures(paths: list[Path], service: Service, *, keep_going: bool, as_json: bool) -> int:
    """Check all, then send all in order; the exit code is the worst that is true."""
    from itertools import chain

    from paycli.client.fixtures import read_fixture
    from paycli.client.runs import Run

    fixtures = [read_fixture(path) for path in paths]
    wrong = any(isinstance(entry, DocumentError) for each in fixtures for entry in each)
    report = _Report(service, as_json=as_json)
    run = Run(chain.from_iterable(fixtures), report)
    if wrong and not keep_going:
        code = _carry_out(run, report, lambda: run.leave("--keep-going sends those that are right"))
    else:
        with service.connect() as channel:
            code = _carry_out(run, report, lambda: run.send(channel, service.timeout_s))
    output.progress(_summary(run))
    return code


def _carry_out(run: Run, report: _Report, work: Callable[[], None]) -> int:
    """Do it to its end, or account for what it leaves when it is cut off."""
    try:
        work()
    except KeyboardInterrupt as ended:
        why = _why(ended)
        code = _carry_out(run, report, lambda: run.break_off(why))
        return code if code == OutcomeUnknown.exit_code else _EXIT_INTERRUPTED
    except (BrokenPipeError, CheckFailed) as ended:
        report.stdout_is_lost = True
        why = _why(ended)
        return _carry_out(run, report, lambda: run.break_off(why)) or CheckFailed.exit_code
    return run.exit_code


class _Report:
    """Shows results as they come: what was answered on stdout, what is wrong on stderr.

    As JSON, all of it is on stdout.
    """

    def __init__(self, service: Service, *, as_json: bool) -> None:
        self._service = service
        self._as_json = as_json
        self._said = ""
        self.stdout_is_lost = False

    def __call__(self, result: Result) -> None:
        problem, entry = result.problem, result.entry
        if isinstance(problem, OutcomeUnknown) and not isinstance(entry, DocumentError):
            problem.command = _to_learn(entry.charge, self._service)
        if self._as_json and not self.stdout_is_lost:
            error = {"error": output.error_body(problem) if problem is not None else None}
            output.document({**result.as_dict(), **error})
            return
        if result.paid is not None and not self.stdout_is_lost:
            _print_paid(result.paid)
        # A mistake in the defaults is one mistake, however many payments have it.
        if problem is not None and str(problem) != self._said:
            self._said = str(problem)
            output.error(problem, as_json=self._as_json)


def _print_paid(paid: Paid) -> None:
    charge = paid.charge
    note = " (paid before)" if paid.replayed and paid.succeeded else ""
    reason = f" ({output.one_line(paid.decline_reason)})" if paid.decline_reason else ""
    output.result(
        f"{paid.status:7} {charge.decimal_amount:>12} {charge.currency} "
        f"{output.one_line(paid.payment_id)} {charge.order_id or charge.name}{note}{reason}"
    )


def _summary(run: Run) -> str:
    from paycli.client.runs import Outcome

    parts = [f"{run.totals[each]:,} {each}" for each in Outcome if run.totals[each]]
    because = (
        f" ({run.ended_because})" if run.totals[Outcome.NOT_SENT] and run.ended_because else ""
    )
    return f"{output.counted(run.totals.total(), 'payment')}: {', '.join(parts)}{because}."
