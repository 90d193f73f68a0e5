"""`paycli mcp`: payments as tools for an agent, over stdin and stdout."""

from __future__ import annotations

from typing import Annotated

import typer

from paycli.cli.service import Service, calls_service_at_once
from paycli.errors import InputError


@calls_service_at_once
def mcp(
    service: Service,
    *,
    allow_payments: Annotated[
        bool,
        typer.Option("--allow-payments", help="Offer pay and refund too. Default: reads only."),
    ] = False,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CURRENCY=AMOUNT",
            help="Each payment or refund up to so much needs no person's word, such as EUR=100.00; "
            "repeatable. Default: all of them do.",
        ),
    ] = None,
) -> None:
    """Offer payments to an agent as tools (Model Context Protocol, stdio); by default it only reads."""
    from paycli.cli.interrupts import termination_as_interrupt

    if limit and not allow_payments:
        raise InputError("--limit is for payments; say --allow-payments too, or leave it out.")
    with termination_as_interrupt() as interrupts:
        from paycli.mcp.allowance import Allowance
        from paycli.mcp.cashier import Cashier
        from paycli.mcp.desk import Desk
        from paycli.mcp.stdin import make_stdin_end

        try:
            from paycli.mcp.server import Server
        except ImportError as problem:  # missing, or a release before its server had this form
            raise InputError(
                "paycli mcp needs the package mcp, 2.3 or newer; run pip install 'paycli[mcp]'."
            ) from problem
        cashier = Cashier(service.connect, service.timeout_s)
        server = Server(
            Desk(cashier, Allowance(limit or ()), service.target), moving=allow_payments
        )
        with interrupts.held(then=make_stdin_end()):
            server.serve()
