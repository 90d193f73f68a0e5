"""`paycli pay`: send one payment, or every payment of fixtures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from paycli.cli import options, output
from paycli.errors import InputError, PaycliError

if TYPE_CHECKING:
    import grpc

    from paycli.client.charges import Charge, Paid


def pay(
    fixtures: Annotated[
        list[Path] | None, typer.Argument(metavar="[FIXTURE.yaml]...", help="Payments to send.")
    ] = None,
    *,
    amount: Annotated[
        str | None, typer.Option(help="Major units, such as 99.99; exact or refused.")
    ] = None,
    currency: Annotated[str, typer.Option(help="ISO 4217 code.")] = "EUR",
    order_id: Annotated[
        str | None, typer.Option(help="Send it again and it is not paid twice. Default: new.")
    ] = None,
    user_id: Annotated[str, typer.Option(help="The paying customer.")] = "",
    idempotency_key: Annotated[
        str, typer.Option(help="The key of this payment. Default: from order and user.")
    ] = "",
    target: options.Target = options.DEFAULT_TARGET,
    timeout: options.Timeout = options.DEFAULT_TIMEOUT_S,
    plaintext: options.Plaintext = None,
    json: options.Json = False,
) -> None:
    """Send a payment (--amount) or the payments of YAML fixtures."""
    import uuid

    from paycli.client.channel import connect
    from paycli.client.charges import charge

    if (amount is None) == (not fixtures):
        raise InputError("Give either --amount or fixture files, such as 'paycli pay --amount 5'.")
    if amount is None:
        raise typer.Exit(_pay_fixtures(fixtures or [], target, timeout, plaintext, as_json=json))
    checked = charge(
        order_id=order_id if order_id is not None else f"order-{uuid.uuid4()}",
        amount=amount,
        currency=currency,
        user_id=user_id,
        idempotency_key=idempotency_key,
    )
    with connect(target, timeout, plaintext=plaintext) as channel:
        raise typer.Exit(_pay_one(channel, checked, timeout, as_json=json))


def _pay_one(channel: grpc.Channel, charge: Charge, timeout_s: float, *, as_json: bool) -> int:
    from paycli.client.charges import send

    paid = send(channel, charge, timeout_s)
    if as_json:
        output.document(paid.as_dict())
    else:
        output.result("Payment Service responded.")
        output.result(f"Response payment ID: {paid.payment_id}")
        output.result(f"Response status: {paid.status}")
    if paid.replayed:
        output.progress(f"Order {charge.order_id} was paid before; nothing was paid again.")
    if not paid.succeeded:
        output.progress(_declined(paid))
    return 0 if paid.succeeded else 1


def _pay_fixtures(
    paths: list[Path], target: str, timeout_s: float, plaintext: bool | None, *, as_json: bool
) -> int:
    """Send all in order. Wrong entries are named and left out; the worst exit code wins."""
    from collections import Counter

    from paycli.client.channel import connect
    from paycli.client.charges import send
    from paycli.client.fixtures import read_fixture

    opened = [
        read_fixture(path) for path in paths
    ]  # a file that is no fixture fails before sending
    totals: Counter[str] = Counter()
    exit_code = 0
    with connect(target, timeout_s, plaintext=plaintext) as channel:
        for item in (each for fixture in opened for each in fixture):
            if isinstance(item, PaycliError):
                problem: PaycliError = item
            else:
                try:
                    paid = send(channel, item.charge, timeout_s)
                except PaycliError as failure:
                    failure.args = (f"{item.path}:{item.line}: {failure}",)
                    problem = failure
                else:
                    totals[paid.status] += 1
                    exit_code = max(exit_code, 0 if paid.status == item.expect else 1)
                    _print_paid(paid, as_json=as_json)
                    continue
            totals["not sent" if problem.exit_code == InputError.exit_code else "failed"] += 1
            exit_code = max(exit_code, problem.exit_code)
            output.error(problem, as_json=as_json)
    summary = ", ".join(f"{count} {outcome}" for outcome, count in sorted(totals.items()))
    count = totals.total()
    output.progress(f"{count} payment{'' if count == 1 else 's'}: {summary}.")
    return exit_code


def _print_paid(paid: Paid, *, as_json: bool) -> None:
    if as_json:
        output.document(paid.as_dict())
        return
    charge = paid.charge
    note = " (paid before)" if paid.replayed else ""
    reason = f" ({paid.decline_reason})" if paid.decline_reason else ""
    output.result(
        f"{paid.status:7} {charge.decimal_amount:>12} {charge.currency} "
        f"{paid.payment_id} {charge.order_id}{note}{reason}"
    )


def _declined(paid: Paid) -> str:
    charge = paid.charge
    reason = f": {paid.decline_reason}" if paid.decline_reason else ""
    return (
        f"Declined{reason}. Order {charge.order_id} over {charge.decimal_amount} "
        f"{charge.currency} was not paid."
    )
