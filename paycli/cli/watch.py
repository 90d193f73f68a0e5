"""`paycli watch`: what happens to payments, as it happens."""

from __future__ import annotations

import sys
from enum import StrEnum
from itertools import dropwhile, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from paycli.cli import completion, options, output
from paycli.cli.interrupts import termination_as_interrupt
from paycli.cli.service import Service, calls_service
from paycli.cli.times import shown_here, time_of
from paycli.errors import CheckFailed, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from paycli.client.events import Filter, Mark


class Kind(StrEnum):
    """What an event did to its payment."""

    CHARGED = "charged"
    AUTHORIZED = "authorized"
    DECLINED = "declined"
    CAPTURED = "captured"
    VOIDED = "voided"
    EXPIRED = "expired"
    REFUNDED = "refunded"


@calls_service
def watch(
    service: Service,
    *,
    after: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=2**63 - 1,
            metavar="SEQ",
            help="Begin after this event; 0: with the first one. A kept position goes before.",
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Begin there: 2h ago (2h), 2026-01-31, RFC 3339."),
    ] = None,
    payment: Annotated[
        str,
        typer.Option(
            metavar="PAYMENT", help="Only of this payment.", autocompletion=completion.payments
        ),
    ] = "",
    order_id: options.OnlyOrder = "",
    customer_id: options.OnlyCustomer = "",
    event: Annotated[
        list[Kind] | None,
        typer.Option(
            "--event",
            case_sensitive=False,
            metavar="KIND",
            help=f"Only of this kind, repeatable: {', '.join(Kind)}.",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="End after so many. Default: never.")
    ] = None,
    command: Annotated[
        str | None,
        typer.Option("--exec", metavar="CMD", help="Run this for each, with the event on stdin."),
    ] = None,
    position: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where --exec keeps how far it has come."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Show what happens to payments, from now on or from where you say; Ctrl-C ends it."""
    from paycli.client.events import Filter

    if (command is None) != (position is None):
        raise InputError(
            "--exec CMD and --position FILE belong together: a command that is killed goes on where it was."
        )
    if after is not None and since is not None:
        raise InputError("Give either --after or --since; both say where to begin.")
    if command is not None and since is not None:
        raise InputError(
            "--exec begins after a number, --after SEQ; 'paycli watch --since 2h --limit 1' shows one."
        )
    wanted = Filter(payment, order_id, customer_id, tuple(each.name for each in event or ()))
    begin = time_of(since) if since is not None else None
    with termination_as_interrupt():
        if command is not None and position is not None:
            _deal_with(command, position, service, wanted, after, limit)
            return
        for _, each in islice(_events(service, wanted, after, begin), limit):
            _show(each, as_json=json or not sys.stdout.isatty())


def _events(
    service: Service, wanted: Filter, after: int | None, begin: datetime | None
) -> Iterator[tuple[Mark, dict[str, Any]]]:
    """Those after a number, else since a time, else those that are still to happen."""
    from datetime import datetime

    from paycli.client.events import BEGIN, follow

    mark = _mark(service, after) if begin is None else BEGIN
    coming = follow(service.connect, wanted, mark, service.timeout_s, output.progress)
    if begin is None:
        return coming
    return dropwhile(lambda it: datetime.fromisoformat(it[1]["create_time"]) < begin, coming)


def _mark(service: Service, after: int | None) -> Mark:
    """Of the event to begin after: that of this number, or the newest one."""
    from paycli.client.events import mark_at, newest_sequence

    with service.connect() as channel:
        if after is None:
            after = newest_sequence(channel, service.timeout_s)
        return mark_at(channel, after, service.timeout_s)


def _deal_with(
    command: str,
    path: Path,
    service: Service,
    wanted: Filter,
    after: int | None,
    limit: int | None,
) -> None:
    """Run a command for each event; one that fails is run again for the same event the next time."""
    import json
    import subprocess

    from paycli.client.events import follow
    from paycli.client.position import position_in

    with position_in(path) as position:
        if position.mark is None:  # from here on, also if nothing happens before the next start
            position.advance(_mark(service, after))
        elif after is not None:
            output.progress(f"{path} goes before --after: on after event {position.mark.sequence}.")
        assert position.mark is not None
        coming = follow(service.connect, wanted, position.mark, service.timeout_s, output.progress)
        for mark, each in islice(coming, limit):
            said = json.dumps(each, ensure_ascii=False) + "\n"
            ran = subprocess.run(["/bin/sh", "-c", command], input=said.encode(), check=False)
            if ran.returncode:
                raise CheckFailed(
                    f"The command ended with {ran.returncode} for event {mark.sequence}; "
                    "watch again, and it is run for the same event again.",
                    metadata={"sequence": str(mark.sequence)},
                )
            position.advance(mark)


def _show(event: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.document(event)
        return
    payment = event["payment"]
    output.result(
        output.one_line(
            f"{event['sequence']:>8}  {shown_here(event['create_time'])}  {event['event']:10}"
            f"  {event['amount']:>12} {event['currency']}  {payment['payment_id']}"
            f"  {payment['order_id']}  {payment['customer_id']}"
        ).rstrip()
    )
