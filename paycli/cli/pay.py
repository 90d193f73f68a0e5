"""`paycli pay`: send one payment, or every payment of fixtures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from paycli.cli import completion, options, pay_from
from paycli.cli.file_schemas import shows_schema
from paycli.cli.service import Service, calls_service
from paycli.errors import InputError


@calls_service
def pay(
    service: Service,
    fixtures: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FIXTURE.yaml]...",
            help="Payments to send.",
            autocompletion=completion.fixtures,
        ),
    ] = None,
    *,
    amount: Annotated[
        str | None,
        typer.Option(
            "--amount", metavar="AMOUNT", help="Major units, such as 99.99; exact or refused."
        ),
    ] = None,
    currency: Annotated[
        str | None,
        typer.Option(
            metavar="CODE",
            help="ISO 4217.",
            autocompletion=completion.currencies,
            show_default=options.DEFAULT_CURRENCY,
        ),
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
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PATH=VALUE",
            help="Set a value of fixtures: payments.NAME.amount=5, or defaults.currency=USD.",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAME", help="Send this payment of fixtures; repeatable."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Send nothing; show what would be sent.")
    ] = False,
    schema: Annotated[bool, shows_schema("fixture")] = False,  # noqa: ARG001 - its callback did it
    source: pay_from.From = None,
    mapped: pay_from.Map = None,
    decimal: pay_from.DecimalPoint = ".",
    rejects: pay_from.Rejects = None,
    unknown: pay_from.Unknown = None,
    rate: pay_from.Rate = None,
    concurrency: pay_from.Concurrency = 64,
    max_failures: pay_from.FailuresMax = None,
    retry: pay_from.Retry = None,
    json: options.Json = False,
) -> None:
    """Send a payment (--amount) or the payments of YAML fixtures; 'pay settle' tells what became of one."""
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
    of_fixtures: dict[str, object] = {
        "--keep-going": keep_going,
        "--set": changes,
        "--only": only,
    }
    _refuse_mixture(fixtures, amount, order, of_rows, of_fixtures, dry_run=dry_run)
    with termination_as_interrupt() as interrupts:
        if source is not None:
            given = pay_from.Given(
                *(source, mapped or [], decimal, currency or "", rejects, unknown),
                *(rate, concurrency, max_failures, pay_from.RETRY_S if retry is None else retry),
            )
            code = pay_from.pay_from(given, service, interrupts, as_json=json)
        elif amount is not None:
            code = _pay_one(amount, order, service, retry or 0.0, dry_run=dry_run, as_json=json)
        else:
            stdin = Path("/dev/stdin")
            paths = [stdin if str(each) == "-" else each for each in fixtures or []]
            chosen = (changes or [], only or [])
            code = _pay_fixtures(
                paths,
                chosen,
                service,
                retry or 0.0,
                keep_going=keep_going,
                dry_run=dry_run,
                as_json=json,
            )
    raise typer.Exit(code)


def _pay_one(
    amount: str,
    order: dict[str, str | None],
    service: Service,
    retry_s: float,
    *,
    dry_run: bool,
    as_json: bool,
) -> int:
    from paycli.cli.pay_one import charge_of, pay_one

    checked = charge_of(amount, order)
    if not dry_run:
        return pay_one(checked, service, retry_s, as_json=as_json)
    from paycli.cli.pay_rehearsal import rehearse

    rehearse(checked, service, as_json=as_json)
    return 0


def _pay_fixtures(
    paths: list[Path],
    chosen: tuple[list[str], list[str]],
    service: Service,
    retry_s: float,
    *,
    keep_going: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    from paycli.client.fixture_choices import Choices

    choices = Choices(*chosen)
    if dry_run:
        from paycli.cli.pay_rehearsal import rehearse_fixtures

        return rehearse_fixtures(paths, choices, service, as_json=as_json)
    from paycli.cli.pay_fixtures import pay_fixtures

    return pay_fixtures(paths, choices, service, retry_s, keep_going=keep_going, as_json=as_json)


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
    of_fixtures: dict[str, object],
    *,
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
    if not fixtures and (given := [each for each, value in of_fixtures.items() if value]):
        raise InputError(
            f"{', '.join(given)}: that is for fixtures, which are named without --from."
        )
    if source is not None and dry_run:
        raise InputError("--dry-run is for --amount and for fixtures.")
    if source is None and (of_rows := [each for each, value in rows.items() if value]):
        raise InputError(f"{', '.join(of_rows)}: that is for a file of rows, --from FILE.")
