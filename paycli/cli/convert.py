"""`paycli convert`: a message in another form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from paycli.cli import completion, inputs, options, output, schemas
from paycli.cli.service import Service, calls_service
from paycli.errors import InputError
from paycli.shipped import shipped

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from paycli.client.schema import Schema

_FORMS = ("json", "text", "binary")
_NAMED = 10  # of the fields that the schema does not know


def _form(value: str | None) -> str | None:
    if value is not None and value not in _FORMS:
        raise typer.BadParameter(f"'{value}' is no form; write {', '.join(_FORMS)}.")
    return value


@calls_service
def convert(
    service: Service,
    message: Annotated[
        str,
        typer.Argument(
            metavar="MESSAGE", help="package.Message.", autocompletion=completion.messages
        ),
    ],
    file: Annotated[
        str, typer.Argument(metavar="[FILE]", help="What to convert; - is stdin, the default.")
    ] = inputs.STDIN,
    *,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FORM",
            callback=_form,
            help="json (or YAML), text, binary. Default: by FILE's name, else binary.",
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="FORM", callback=_form, help="Default: json, and binary from json."
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="Go by this server's reflection. Default: our contracts."
        ),
    ] = None,
    roots: schemas.Protos = None,
    descriptor_set: schemas.DescriptorSet = None,
    json: options.Json = False,
) -> None:
    """Convert a message between JSON (or YAML), protobuf's text format and binary."""
    from paycli.client.forms import Form, as_binary, as_json, as_text, form_of, parse

    given = Form(source) if source else form_of(file)
    wanted = Form(to or ("binary" if given is Form.JSON and not json else "json"))
    if json and wanted is not Form.JSON:
        raise InputError("--json is --to json on one line; leave out --to.")
    if wanted is Form.BINARY:
        output.refuse_binary_on_terminal()
    content, name = inputs.read_input(file), inputs.name_of(file)
    if not (target or roots or descriptor_set):
        roots = [shipped("proto")]
    with schemas.schema_of(service, roots, descriptor_set) as schema:
        read = parse(schema.message(message), content, given, schema.pool, name)
        if wanted is Form.BINARY:
            output.binary(as_binary(read))
        elif wanted is Form.TEXT:
            output.written(as_text(read, schema.pool))
        else:
            output.written(as_json(read, schema.pool, indent=None if json else 2))
    if wanted is not Form.BINARY:
        _tell_of_unknown(read, schema, "left out" if wanted is Form.JSON else "shown by number")


def _tell_of_unknown(message: Message, schema: Schema, became: str) -> None:
    from paycli.client.forms import unknown_fields

    unknown = list(dict.fromkeys(unknown_fields(message, schema.pool)))
    if unknown:
        more = f" and {len(unknown) - _NAMED:,} more" if len(unknown) > _NAMED else ""
        listed = ", ".join(unknown[:_NAMED]) + more
        output.progress(f"Warning: the schema does not know these fields, {became}: {listed}.")
