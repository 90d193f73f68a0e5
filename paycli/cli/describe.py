"""`paycli describe`: what a server offers, and what a request looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from paycli.cli import completion, options, output, schemas
from paycli.cli.service import Service, calls_service

if TYPE_CHECKING:
    from paycli.client.schema import Schema


@calls_service
def describe(
    service: Service,
    symbol: Annotated[
        str,
        typer.Argument(
            metavar="[SYMBOL]",
            help="A service, method, message or enum.",
            autocompletion=completion.symbols,
        ),
    ] = "",
    *,
    roots: schemas.Protos = None,
    descriptor_set: schemas.DescriptorSet = None,
    json: options.Json = False,
) -> None:
    """Show the services of a server, or a message with a template to fill in."""
    with schemas.schema_of(service, roots, descriptor_set) as schema:
        _show(schema, symbol, as_json=json)


def _show(schema: Schema, name: str, *, as_json: bool) -> None:
    import json

    from google.protobuf.descriptor import Descriptor, MethodDescriptor

    from paycli.client.outlines import outline, overview, template

    symbol = schema.symbol(name) if name else None
    lines = list(overview(schema) if symbol is None else outline(schema, symbol))
    message = symbol if isinstance(symbol, Descriptor) else None
    if isinstance(symbol, MethodDescriptor):
        message = symbol.input_type
    filled = template(message) if message is not None else None
    if as_json:
        output.document({"symbol": name or None, "outline": lines, "template": filled})
        return
    for line in lines:
        output.result(line)
    if not lines:
        output.progress(f"No service is told of. {schema.listed_messages()}")
    if message is not None:
        output.result(f"\n// {message.full_name} to fill in:\n{json.dumps(filled, indent=2)}")
