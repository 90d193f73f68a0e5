"""`paycli pay --amount`: one payment, and what came of it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from paycli.cli import options, output
from paycli.cli.pay_from import to_settle
from paycli.client.charges import Charge, Paid, charge, send, unknown, untold
from paycli.errors import CheckFailed, PaycliError, Retry

if TYPE_CHECKING:
    from collections.abc import Callable

    import grpc

    from paycli.cli.service import Service

# What ends a command that has sent a payment: a signal, or a stdout that takes no more.
CUT_OFF: Final = (KeyboardInterrupt, BrokenPipeError, CheckFailed)


def pay_one(checked: Charge, service: Service, retry_s: float, *, as_json: bool) -> int:
    """Send it and show what came back; the exit code."""
    try:
        with service.connect() as channel:
            sending = _sending(channel, service.timeout_s, retry_s)
            paid = _send_and_print(sending, checked, as_json=as_json)
    except PaycliError as problem:
        name_ways(problem, checked, service)
        output.error(problem, as_json=as_json)
        return problem.exit_code
    return 0 if paid.succeeded else CheckFailed.exit_code


def _sending(channel: grpc.Channel, timeout_s: float, retry_s: float) -> Callable[[Charge], Paid]:
    if not retry_s:
        return lambda charge: send(channel, charge, timeout_s)
    from paycli.client.persistence import Persistence  # start-up time: few payments need it

    return Persistence(channel, timeout_s, retry_s).send


def charge_of(amount: str, order: dict[str, str | None]) -> Charge:
    """The charge that options describe. Raises InvalidPayment."""
    order_id, currency = order["--order-id"], order["--currency"]
    return charge(
        order_id=order_id if order_id is not None else f"order-{uuid.uuid4()}",
        amount=amount,
        currency=currency if currency is not None else options.DEFAULT_CURRENCY,
        user_id=order["--user-id"] or "",
        idempotency_key=order["--idempotency-key"] or "",
    )


def _send_and_print(sending: Callable[[Charge], Paid], charge: Charge, *, as_json: bool) -> Paid:
    """The answer, shown. Raises OutcomeUnknown whenever that cannot be, and what `send` raises."""
    paid: Paid | None = None
    try:
        paid = sending(charge)
        _print_answer(paid, as_json=as_json)
    except CUT_OFF as ended:
        why = why_cut_off(ended)
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
            "was not paid.",
            alarms=True,
        )
    elif paid.replayed:
        output.progress(f"{name} was paid before; nothing was paid again.")


def why_cut_off(ended: BaseException) -> str:
    """How one of CUT_OFF is told."""
    if isinstance(ended, KeyboardInterrupt):
        return "Interrupted before an answer was shown"
    if isinstance(ended, BrokenPipeError):
        return "Cannot write the result: nobody reads it any more"
    return str(ended).rstrip(".")


def name_ways(
    problem: PaycliError, charge: Charge, service: Service, again: str | None = None
) -> None:
    """Say what to type after a failure: what tells its outcome, sends it again, or is in its way.

    `again` is the command that sends it once more, if it takes another than `pay --amount`.
    """
    if again is None:
        again = _once_more(charge, service)
    if problem.retry is Retry.UNKNOWN:
        problem.command = to_settle(charge.idempotency_key or charge.order_id, service)
        problem.again = again
    elif problem.retry is Retry.SAME_KEY:
        problem.command = again
    elif first := problem.metadata.get("firstPaymentId"):
        problem.command = service.command("payments", "get", first)


def _once_more(charge: Charge, service: Service) -> str:
    """The command line that sends a charge again; it is never paid twice."""
    words = ["pay", "--amount", charge.decimal_amount, "--currency", charge.currency]
    words += ["--order-id", charge.order_id]
    if charge.user_id:
        words += ["--user-id", charge.user_id]
    if charge.idempotency_key:
        words += ["--idempotency-key", charge.idempotency_key]
    return service.command(*words)
