"""Names that differ in a proto and are one in Python, where the later takes the place of the former.

protobuf's runtime keeps the number of field `foo` as `FOO_FIELD_NUMBER`, beside the types and values
that the proto declares there; gRPC makes `OneStub`, `OneServicer`, `One` and a function of service
`One`. Such code would import, and be something else than its proto and its stubs say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    EnumValueDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    ServiceDescriptorProto,
)

from paycli.errors import InputError
from paycli.toolchain.protos.complaints import show
from paycli.toolchain.protos.python_names import alias_of, module_of, python_name
from paycli.toolchain.protos.workspace import Workspace

_File, _Message = FileDescriptorProto, DescriptorProto
_Path = tuple[int, ...]  # as in SourceCodeInfo

_NUMBER: Final = "_FIELD_NUMBER"
_USED_BY_GRPC_CODE: Final = {"grpc", "staticmethod", "NotImplementedError"}
_USED: Final = "what all gRPC code uses"


class _Name(NamedTuple):
    """A name in Python, what has it, and where that stands."""

    name: str
    what: str
    path: _Path


def refuse_collisions(
    descriptors: bytes, files: Iterable[FileDescriptorProto], workspace: Workspace
) -> None:
    """Raises InputError, at its line, for the first name that would take another's place.

    `descriptors` are the `files`, serialized.
    """
    # Hardly anybody has such a type, and to look at every field of a large tree takes time.
    has_numbers = _NUMBER.encode() in descriptors
    for file in files:
        for scope in (*_services(file), *(_types(file) if has_numbers else ())):
            first: dict[str, _Name] = {}
            for each in scope:
                other = first.setdefault(each.name, each)
                if other is not each:
                    problem = (
                        f"{each.what} would take the place of {other.what}: both are {each.name} "
                        "in Python. Rename one of them."
                    )
                    raise _at(each.path, problem, file, workspace)


def _at(path: _Path, problem: str, file: FileDescriptorProto, workspace: Workspace) -> InputError:
    spans = (each.span for each in file.source_code_info.location if tuple(each.path) == path)
    line, column = next(spans)[:2]
    place = workspace.imported_path(file.name)
    assert place is not None
    return InputError(show(place, line + 1, column + 1, problem))


def _services(file: FileDescriptorProto) -> Iterator[list[_Name]]:
    modules = {alias_of(module_of(name)) for name in (file.name, *file.dependency)}
    classes = [_Name(name, _USED, ()) for name in modules | _USED_BY_GRPC_CODE]
    for index, service in enumerate(file.service):
        path = (_File.SERVICE_FIELD_NUMBER, index)
        classes += (_Name(each, f'service "{service.name}"', path) for each in _classes(service))
        yield list(_methods(service, path))
    yield classes


def _classes(service: ServiceDescriptorProto) -> tuple[str, ...]:
    name = service.name
    return (python_name(name), f"{name}Stub", f"{name}Servicer", f"add_{name}Servicer_to_server")


def _methods(service: ServiceDescriptorProto, at: _Path) -> Iterator[_Name]:
    for index, method in enumerate(service.method):
        name = python_name(method.name)
        if name.startswith("__"):
            yield _Name(name, "what Python itself calls, or renames", ())
        path = (*at, ServiceDescriptorProto.METHOD_FIELD_NUMBER, index)
        yield _Name(name, f'rpc "{method.name}"', path)


def _types(file: FileDescriptorProto) -> Iterator[list[_Name]]:
    messages, enums = (_File.MESSAGE_TYPE_FIELD_NUMBER,), (_File.ENUM_TYPE_FIELD_NUMBER,)
    yield [
        *_numbers(file.extension),
        *_named(file.message_type, "message", messages),
        *_enums(file.enum_type, enums),
    ]
    yield from _inside(file.message_type, messages)


def _inside(protos: Sequence[DescriptorProto], at: _Path) -> Iterator[list[_Name]]:
    for index, proto in enumerate(protos):
        messages = (*at, index, _Message.NESTED_TYPE_FIELD_NUMBER)
        enums = (*at, index, _Message.ENUM_TYPE_FIELD_NUMBER)
        yield [
            *_numbers((*proto.field, *proto.extension)),
            *_named(proto.nested_type, "message", messages),
            *_enums(proto.enum_type, enums),
        ]
        yield from _inside(proto.nested_type, messages)


def _numbers(fields: Iterable[FieldDescriptorProto]) -> Iterator[_Name]:
    # Fields `foo` and `FOO` have one name for their numbers, and nobody's place is taken.
    numbers = {f"{field.name.upper()}{_NUMBER}": field.name for field in fields}
    for name, field in numbers.items():
        yield _Name(name, f'the number of field "{field}"', ())


def _named(
    protos: Sequence[DescriptorProto | EnumDescriptorProto | EnumValueDescriptorProto],
    what: str,
    at: _Path,
) -> Iterator[_Name]:
    for index, proto in enumerate(protos):
        yield _Name(proto.name, f'{what} "{proto.name}"', (*at, index))


def _enums(protos: Sequence[EnumDescriptorProto], at: _Path) -> Iterator[_Name]:
    yield from _named(protos, "enum", at)
    for index, proto in enumerate(protos):
        values = (*at, index, EnumDescriptorProto.VALUE_FIELD_NUMBER)
        yield from _named(proto.value, "enum value", values)
