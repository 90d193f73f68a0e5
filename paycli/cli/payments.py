"""`paycli payments`: look at payments, and act on them."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from paycli.cli import completion, options, output
from paycli.cli.groups import Command, CommandGroup
from paycli.cli.interrupts import termination_as_interrupt
from paycli.cli.service import Service, calls_service
from paycli.cli.tables import Column, show
from paycli.cli.times import shown_here, time_of
from paycli.errors import CheckFailed, InputError, PaycliError, Retry, StateForbids

if TYPE_CHECKING:
    from paycli.client.payments import Changed, Payments

payments = typer.Typer(
    help="Look at payments, and act on them: capture, void, refund.",
    epilog=options.EXIT_CODES,
    cls=CommandGroup,
    add_completion=False,
    rich_markup_mode=None,
)


class State(StrEnum):
    """Where a payment stands."""

    AUTHORIZED = "authorized"
    PARTIALLY_CAPTURED = "partially_captured"
    CAPTURED = "captured"
    VOIDED = "voided"
    EXPIRED = "expired"
    DECLINED = "declined"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"


def _field(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda record: str(record[name] or "")


_AMOUNT = (Column("AMOUNT", _field("amount"), is_number=True), Column("CUR", _field("currency")))
_CREATED = Column("CREATED", lambda record: shown_here(record["create_time"]))
_PAYMENT = Column("PAYMENT", _field("payment_id"))
_PAYMENT_COLUMNS = (
    *(_PAYMENT, Column("STATE", _field("state")), *_AMOUNT, _CREATED),
    *(Column("ORDER", _field("order_id")), Column("CUSTOMER", _field("customer_id"))),
)
_REFUND_COLUMNS = (
    *(Column("REFUND", _field("refund_id")), *_AMOUNT, _CREATED),
    Column("REASON", _field("reason")),
)
_POSTING_COLUMNS = (
    *(Column("ENTRY", _field("sequence"), is_number=True), Column("ACCOUNT", _field("account"))),
    *(*_AMOUNT, _CREATED, _PAYMENT),
)
_BALANCE_COLUMNS = (Column("ACCOUNT", _field("account")), *_AMOUNT)

PaymentId = Annotated[
    str,
    typer.Argument(
        metavar="PAYMENT",
        help="Its id, as receipts have it.",
        autocompletion=completion.payments,
    ),
]
Amount = Annotated[
    str | None, typer.Option(metavar="AMOUNT", help="Major units. Default: all that is left.")
]
Key = Annotated[
    str | None,
    typer.Option(
        "--idempotency-key", metavar="KEY", help="Sent again, it is done once. Default: new."
    ),
]
RetryFor = Annotated[
    float, options.seconds("How long to send again what was not answered or taken.", least=0)
]


@calls_service
def get(service: Service, payment: PaymentId, *, json: options.Json = False) -> None:
    """Show a payment as it stands."""
    from paycli.client.payments import Payments

    with service.connect() as channel:
        found = Payments(channel, service.timeout_s).get(payment)
    if json or not sys.stdout.isatty():
        output.document(found)
        return
    for name, value in found.items():
        if value is not None:
            text = shown_here(value) if name.endswith("_time") else str(value)
            output.result(output.one_line(f"{name:18} {text}"))


@calls_service
def find(
    service: Service,
    *,
    order_id: options.OnlyOrder = "",
    customer_id: options.OnlyCustomer = "",
    state: Annotated[
        State | None,
        typer.Option(
            case_sensitive=False, metavar="STATE", help=f"Only in this state: {', '.join(State)}."
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="2026-01-31, 2026-01-31T12:00Z or 2h ago: 2h."),
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Before this time.")] = None,
    request_id: Annotated[
        str,
        typer.Option(
            *("--request-id", "--idempotency-key"),
            metavar="KEY",
            help="Only the one that was created with this key.",
        ),
    ] = "",
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="At most so many. Default: all.")
    ] = None,
    json: options.Json = False,
) -> None:
    """List payments, newest first: a table on a terminal, a JSON document a line in a pipe."""
    from itertools import islice

    from paycli.client.payments import Payments, Wanted

    begin = time_of(since) if since is not None else None
    end = time_of(until) if until is not None else None
    if begin is not None and end is not None and begin >= end:
        raise InputError(f"No time lies between --since {since} and --until {until}; swap them?")
    named_state = state.name if state is not None else None
    wanted = Wanted(order_id, customer_id, named_state, begin, end, request_id)
    with termination_as_interrupt(), service.connect() as channel:
        found = Payments(channel, service.timeout_s).find(wanted)
        show(islice(found, limit), _PAYMENT_COLUMNS, "payment", as_json=json)


@calls_service
def capture(
    service: Service,
    payment: PaymentId,
    *,
    amount: Amount = None,
    final: Annotated[
        bool, typer.Option("--final", help="Give the rest back; nothing more is captured.")
    ] = False,
    idempotency_key: Key = None,
    retry: RetryFor = 0.0,
    json: options.Json = False,
) -> None:
    """Take what is held for a payment, all or a part of it."""
    key = _key(idempotency_key)
    change = _Change(service, "capture", payment, amount, key, ["--final"] if final else [])
    change.make(lambda calls: calls.capture(payment, amount, key, final=final), retry, as_json=json)


@calls_service
def void(
    service: Service,
    payment: PaymentId,
    *,
    idempotency_key: Key = None,
    retry: RetryFor = 0.0,
    json: options.Json = False,
) -> None:
    """Give back all that is held and not captured."""
    key = _key(idempotency_key)
    change = _Change(service, "void", payment, None, key, [])
    change.make(lambda calls: calls.void(payment, key), retry, as_json=json)


@calls_service
def refund(
    service: Service,
    payment: PaymentId,
    *,
    amount: Amount = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="For people.")] = "",
    idempotency_key: Key = None,
    retry: RetryFor = 0.0,
    json: options.Json = False,
) -> None:
    """Give back what was captured, all or a part of it."""
    key = _key(idempotency_key)
    words = ["--reason", reason] if reason else []
    change = _Change(service, "refund", payment, amount, key, words)
    change.make(lambda calls: calls.refund(payment, amount, reason, key), retry, as_json=json)


@calls_service
def refunds(service: Service, payment: PaymentId, *, json: options.Json = False) -> None:
    """List the refunds of a payment, oldest first."""
    from paycli.client.payments import Payments

    with termination_as_interrupt(), service.connect() as channel:
        found = Payments(channel, service.timeout_s).refunds(payment)
        show(found, _REFUND_COLUMNS, "refund", as_json=json)


@calls_service
def postings(
    service: Service,
    payment: Annotated[str, typer.Argument(metavar="[PAYMENT]", help="Only of this payment.")] = "",
    *,
    account: Annotated[
        str, typer.Option(metavar="ACCOUNT", help="merchant, customer/ID or hold/PAYMENT.")
    ] = "",
    json: options.Json = False,
) -> None:
    """List what was booked for a payment, or on an account, oldest payment first."""
    from paycli.client.payments import Payments

    if bool(payment) == bool(account):
        raise InputError("Name either a payment or an --account, such as 'customer/ada'.")
    with termination_as_interrupt(), service.connect() as channel:
        found = Payments(channel, service.timeout_s).postings(payment=payment, account=account)
        show(found, _POSTING_COLUMNS, "posting", as_json=json)


@calls_service
def balance(
    service: Service,
    account: Annotated[
        str, typer.Argument(metavar="[ACCOUNT]", help="merchant, customer/ID or hold/PAYMENT.")
    ] = "merchant",
    *,
    json: options.Json = False,
) -> None:
    """Show what an account holds, in each currency."""
    from paycli.client.payments import Payments

    with service.connect() as channel:
        found = Payments(channel, service.timeout_s).balance(account)
    show(found, _BALANCE_COLUMNS, "amount", as_json=json)


def _key(given: str | None) -> str:
    options.refuse_empty_key(given)
    return given or str(uuid.uuid4())


class _Change:
    """A change of a payment that is made once, and how to learn what came of it when nobody heard."""

    def __init__(
        self,
        service: Service,
        what: str,
        payment: str,
        amount: str | None,
        key: str,
        words: list[str],
    ) -> None:
        self._service = service
        self._what = what
        self._key = key
        self._payment = payment
        self._words = ["payments", what, payment]
        self._words += ["--amount", amount] if amount is not None else []
        self._words += [*words, "--idempotency-key", key]

    def make(self, act: Callable[[Payments], Changed], retry_s: float, *, as_json: bool) -> None:
        """Do it, again and again for so long, and show the answer. Raises OutcomeUnknown if it cannot."""
        from paycli.client.payments import Payments, unknown
        from paycli.client.persistence import Persistence

        try:
            with termination_as_interrupt(), self._service.connect() as channel:
                calls = Payments(channel, self._service.timeout_s)
                persistence = Persistence(channel, self._service.timeout_s, retry_s)
                try:
                    changed = persistence.until_answered(lambda: act(calls))
                    self._show(changed, as_json=as_json)
                except KeyboardInterrupt as ended:
                    raise unknown("Interrupted before an answer was shown") from ended
                except (BrokenPipeError, CheckFailed) as ended:
                    raise unknown("The answer cannot be written") from ended
        except PaycliError as problem:
            problem.command = self._next(problem)
            if problem.retry is Retry.UNKNOWN:
                problem.metadata["idempotency_key"] = self._key
            raise

    def _next(self, problem: PaycliError) -> str:
        """The command line to type after a failure: one that sends it again, or shows the payment."""
        if problem.retry is not Retry.NO:
            return self._service.command(*self._words)
        if problem.status == StateForbids.status:
            return self._service.command("payments", "get", self._payment)
        return ""

    def _show(self, changed: Changed, *, as_json: bool) -> None:
        record = changed.record
        if as_json or not sys.stdout.isatty():
            output.document({**record, "replayed": changed.replayed})
            return
        if self._what == "refund":
            said = f"Refunded {record['amount']} {record['currency']}: {record['refund_id']}."
        else:
            captured = f"{record['captured_amount']} {record['currency']} captured"
            said = f"{record['payment_id']} is {record['state']}: {captured}, "
            said += f"{record['voided_amount']} given back."
        output.result(output.one_line(said))
        if changed.replayed:
            output.progress("That was done before; nothing was done again.")


for command in (get, find, capture, void, refund, refunds, postings, balance):
    name = "list" if command is find else command.__name__  # Python has a list of its own
    payments.command(name, cls=Command, epilog=options.EXIT_CODES)(command)
