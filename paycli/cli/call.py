"""`paycli call`: any method of any server."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from paycli.cli import completion, inputs, options, output, schemas
from paycli.cli.interrupts import termination_as_interrupt
from paycli.cli.service import Service, calls_service
from paycli.errors import CheckFailed, InputError, OutcomeUnknown, PaycliError

if TYPE_CHECKING:
    import grpc
    from google.protobuf.descriptor import MethodDescriptor
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message import Message

    from paycli.client.invoke import Metadata


@calls_service
def call(
    service: Service,
    method: Annotated[
        str,
        typer.Argument(
            metavar="SERVICE/METHOD",
            help="Or just METHOD, where there is one.",
            autocompletion=completion.methods,
        ),
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
    from paycli.client.forms import decoded, documents_of
    from paycli.client.invoke import requests_of
    from paycli.client.schema import schema_of_server

    name = inputs.name_of(data) if data == inputs.STDIN else "DATA"
    text = decoded(inputs.read_input(data), name) if data == inputs.STDIN else data
    documents = documents_of(text, name)
    local = schemas.local_schema(roots, descriptor_set)
    with termination_as_interrupt(), service.connect() as channel:
        schema = local or schema_of_server(channel, service.timeout_s)
        found = schema.method(method)
        if data == inputs.STDIN and not documents and not found.client_streaming:
            raise InputError("stdin is empty; a request without any field is written {}.")
        requests = requests_of(found, documents, schema.pool, name, text)
        # Without --max-time a stream ends by itself, or by Ctrl-C.
        is_stream = found.client_streaming or found.server_streaming
        bound_s = max_time or (None if is_stream else service.timeout_s)
        show = _Showing(schema.pool, verbose=verbose, one_line=json)
        try:
            _call(channel, found, requests, bound_s, show)
        except PaycliError as problem:
            if not json:  # where they have a place of their own
                details = (
                    each for name, each in problem.metadata.items() if name.startswith("detail")
                )
                problem.message += "".join(f"\n  {each}" for each in details)
            raise


def _call(
    channel: grpc.Channel,
    method: MethodDescriptor,
    requests: Sequence[Message],
    bound_s: float | None,
    show: _Showing,
) -> None:
    from paycli.client.invoke import Heard, invoke

    heard = Heard(show.initial, show.trailing)
    try:
        for response in invoke(channel, method, requests, show.pool, bound_s, heard):
            show.response(response)
    except (KeyboardInterrupt, BrokenPipeError) as ended:
        if method.server_streaming:
            raise
        said = (
            "Interrupted before an answer came"
            if isinstance(ended, KeyboardInterrupt)
            else "Nobody reads the answer any more"
        )
        raise OutcomeUnknown(f"{said}; it may have been carried out.") from ended


class _Showing:
    """Shows what a call brings: responses, and the rest to a person who asked."""

    def __init__(self, pool: DescriptorPool, *, verbose: bool, one_line: bool) -> None:
        self.pool = pool
        self._verbose = verbose
        self._indent = 2 if sys.stdout.isatty() and not one_line else None
        self._began = time.monotonic()

    def response(self, response: Message) -> None:
        """As JSON. Raises CheckFailed for one that JSON does not have; it is told as text then."""
        from paycli.client.forms import as_json, as_text

        try:
            text = as_json(
                response, self.pool, indent=self._indent, always_print_fields_with_no_presence=True
            )
        except InputError as problem:
            try:
                output.progress(as_text(response, self.pool))
            except InputError as odd:  # no mistake in what was asked
                raise CheckFailed(f"{problem} {odd}") from odd
            raise CheckFailed(f"{problem} It is above in protobuf's text format.") from problem
        output.written(text)

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
