"""`paycli call`: any method of any server."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from paycli.cli import options, output, schemas
from paycli.cli.interrupts import termination_as_interrupt
from paycli.cli.service import Service, calls_service
from paycli.errors import OutcomeUnknown, PaycliError

if TYPE_CHECKING:
    import grpc

    from paycli.client.invoke import Metadata
    from paycli.client.schema import Schema

_STDIN = "-"
_DATA = "DATA"


@calls_service
def call(
    service: Service,
    method: Annotated[
        str, typer.Argument(metavar="SERVICE/METHOD", help="Or just METHOD, where there is one.")
    ],
    data: Annotated[
        str,
        typer.Argument(
            metavar="[DATA]", help="The request as JSON or YAML; - for stdin; several for a stream."
        ),
    ] = "",
    *,
    roots: schemas.Protos = None,
    descriptor_set: schemas.DescriptorSet = None,
    max_time: Annotated[
        float | None,
        options.seconds(
            "End the call after so many seconds. Default: --timeout; no end for a stream."
        ),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Show metadata and timing, on stderr.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Call any method of any server, by its reflection or by protos; prints responses as JSON."""
    from paycli.client.schema import schema_of_server

    text = sys.stdin.read() if data == _STDIN else data
    local = schemas.local_schema(roots, descriptor_set)
    with termination_as_interrupt(), service.connect() as channel:
        schema = local or schema_of_server(channel, service.timeout_s)
        try:
            _call(channel, schema, method, text, service, max_time, verbose=verbose, one_line=json)
        except PaycliError as problem:
            if not json:  # where they have a place of their own
                details = (
                    each for name, each in problem.metadata.items() if name.startswith("detail")
                )
                problem.message += "".join(f"\n  {each}" for each in details)
            raise


def _call(
    channel: grpc.Channel,
    schema: Schema,
    name: str,
    text: str,
    service: Service,
    max_time_s: float | None,
    *,
    verbose: bool,
    one_line: bool,
) -> None:
    from paycli.client.forms import as_json, documents_of
    from paycli.client.invoke import Heard, invoke, requests_of

    method = schema.method(name)
    requests = requests_of(method, documents_of(text, _DATA), schema.pool, _DATA)
    tell = _Telling(verbose=verbose)
    # Without --max-time a stream ends by itself, or by Ctrl-C.
    is_stream = method.client_streaming or method.server_streaming
    bound_s = max_time_s or (None if is_stream else service.timeout_s)
    indent = 2 if sys.stdout.isatty() and not one_line else None
    try:
        for response in invoke(
            channel,
            method,
            requests,
            bound_s,
            Heard(tell.initial, tell.trailing),
        ):
            output.json_text(
                as_json(
                    response,
                    schema.pool,
                    indent=indent,
                    always_print_fields_with_no_presence=True,
                )
            )
    except KeyboardInterrupt as ended:
        if method.server_streaming:
            raise
        raise OutcomeUnknown(
            "Interrupted before an answer came; it may have been carried out."
        ) from ended


class _Telling:
    """What else a call brings, told to a person who asked."""

    def __init__(self, *, verbose: bool) -> None:
        self._verbose = verbose
        self._began = time.monotonic()

    def initial(self, metadata: Metadata) -> None:
        """The first thing that comes."""
        self._tell("initial", metadata)

    def trailing(self, metadata: Metadata) -> None:
        """The last one."""
        self._tell("trailing", metadata)

    def _tell(self, what: str, metadata: Metadata) -> None:
        if not self._verbose:
            return
        output.progress(f"{what} metadata after {(time.monotonic() - self._began) * 1000:.1f} ms:")
        for key, value in metadata:
            shown = value if isinstance(value, str) else f"{len(value)} bytes: {value.hex()}"
            output.progress(output.one_line(f"  {key}: {shown}"))
