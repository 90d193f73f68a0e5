"""`paycli wait`: until a service serves."""

from __future__ import annotations

from typing import Annotated

import typer

from paycli.cli import options, output
from paycli.cli.service import Service, calls_service_at_once


@calls_service_at_once
def wait(
    call: Service,
    *,
    service: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Full name, such as payment.PaymentService. Default: the server as a whole.",
            show_default=False,
        ),
    ] = "",
    timeout: Annotated[
        float,
        options.seconds("Seconds to wait; 0 asks once.", least=0, envvar="PAYCLI_WAIT_TIMEOUT"),
    ] = 30.0,
    json: options.Json = False,
) -> None:
    """Wait until a service serves, as its health service says; --timeout 0 asks once."""
    from paycli.cli.interrupts import termination_as_interrupt
    from paycli.client import health

    target, access = call.target, call.access
    with termination_as_interrupt():
        if timeout:
            status = health.wait_until_serving(target, service, timeout, access)
        else:
            status = health.ask(target, service, access)
    if json:
        output.document({"target": target, "service": service, "status": status})
    elif status == health.NO_HEALTH:
        output.result(f"{target} answers; it has no health service to say whether it serves.")
    else:
        output.result(f"{service or 'The service'} at {target} serves.")
