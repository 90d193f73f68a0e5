"""Where `call`, `describe` and `convert` learn what services look like."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from paycli.cli import inputs
from paycli.errors import DocumentError, InputError

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import FileDescriptorSet

    from paycli.cli.service import Service
    from paycli.client.schema import Schema

DescriptorSet = Annotated[
    Path | None,
    typer.Option(
        "--descriptor-set",
        metavar="FILE",
        help="Descriptors to go by, as gen writes them; - is stdin.",
    ),
]
Protos = Annotated[
    list[Path] | None,
    typer.Option("-I", "--proto-path", help="Protos to go by, before all else."),
]


@contextmanager
def schema_of(
    service: Service, roots: list[Path] | None, descriptor_set: Path | None
) -> Iterator[Schema]:
    """From what is at hand, or else from the service's reflection, for as long as it is asked."""
    local = local_schema(roots, descriptor_set)
    if local is not None:
        yield local
        return
    from paycli.client.schema import schema_of_server

    with service.connect() as channel:
        yield schema_of_server(channel, service.timeout_s)


def local_schema(roots: list[Path] | None, descriptor_set: Path | None) -> Schema | None:
    """From protos or descriptors at hand; None if neither is named. Raises InputError."""
    from paycli.client.schema import schema_of_files

    if roots and descriptor_set:
        raise InputError(
            "Give either -I DIR or --descriptor-set FILE; both say what services look like."
        )
    if roots:
        from paycli.toolchain.protos.protoc import compile_descriptors
        from paycli.toolchain.protos.workspace import find_workspace

        return schema_of_files(compile_descriptors(find_workspace(tuple(roots), ())))
    if descriptor_set:
        return schema_of_files(_read(descriptor_set))
    return None


def _read(path: Path) -> FileDescriptorSet:
    from google.protobuf.descriptor_pb2 import FileDescriptorSet
    from google.protobuf.message import DecodeError

    name = inputs.name_of(path)
    try:
        found = FileDescriptorSet.FromString(inputs.read_input(path))
    except DecodeError as problem:
        raise DocumentError(
            name, "this is no descriptor set; 'paycli gen --descriptor-set' writes one."
        ) from problem
    if not found.file:
        raise DocumentError(
            name, "no descriptor is in it; 'paycli gen --descriptor-set' writes them."
        )
    return found
