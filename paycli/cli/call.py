"""`paycli call`: any method of any server."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from paycli.cli import options, output, schemas
from paycli.cli.interrupts import termination_as_interrupt
from paycli.cli.service import Service, calls_service
from paycli.errors import InputError, OutcomeUnknown, PaycliError

if TYPE_CHECKING:
    import grpc

    from paycli.client.invoke import Metadata
    from paycli.client.schema import Schema

_STDIN = "-"


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
            _call(channel, schema, method, text, service, verbose=verbose, as_json=json)
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
    *,
    verbose: bool,
    as_json: bool,
) -> None:
    from google.protobuf import json_format

    from paycli.client.invoke import Heard, invoke, requests_of
    from paycli.documents import read_text

    method = schema.method(name)
    documents = [each.typed() for each in read_text(text, "DATA")]
    requests = requests_of(method, documents, schema.pool)
    tell = _Telling(verbose=verbose)
    is_stream = method.client_streaming or method.server_streaming
    indent = 2 if sys.stdout.isatty() and not as_json else None
    try:
        for response in invoke(
            channel,
            method,
            requests,
            None if is_stream else service.timeout_s,  # a stream ends by itself, or by Ctrl-C
            Heard(tell.initial, tell.trailing),
        ):
            output.result(
                json_format.MessageToJson(
                    response,
                    indent=indent,
                    preserving_proto_field_name=True,
                    always_print_fields_with_no_presence=True,
                    ensure_ascii=False,
                    descriptor_pool=schema.pool,
                )
            )
    except KeyboardInterrupt as ended:
        if method.server_streaming:
            raise
        raise OutcomeUnknown(
            "Interrupted before an answer came; it may have been carried out."
        ) from ended
    except ValueError as problem:  # a timestamp of the year 200000, say
        raise InputError(f"The response cannot be shown as JSON: {problem}.") from problem


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
