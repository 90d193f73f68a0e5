"""Names that differ in a proto and are one in Python, where the later takes the place of the former.

protobuf's runtime keeps the number of field `foo` as `FOO_FIELD_NUMBER`, beside the types and values
that the proto declares there; gRPC makes `OneStub`, `OneServicer`, `One` and a function of service
`One`. Such code would import, and be something else than its proto and its stubs say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from paycli.errors import InputError
from paycli.toolchain.protos.complaints import show
from paycli.toolchain.protos.descriptors import Element, Field, Message, ProtoFile, Service
from paycli.toolchain.protos.python_names import alias_of, module_of, python_name
from paycli.toolchain.protos.workspace import Workspace

_NUMBER: Final = "_FIELD_NUMBER"
_USED_BY_GRPC_CODE: Final = {"grpc", "staticmethod", "NotImplementedError"}
_USED: Final = "what all gRPC code uses"


class _Name(NamedTuple):
    """A name in Python, what has it, and what that is in the proto, if anything."""

    name: str
    what: str
    element: Element[Any] | None = None


def refuse_collisions(descriptors: bytes, files: Iterable[ProtoFile], workspace: Workspace) -> None:
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
                    raise _at(each.element, problem, workspace)


def _at(element: Element[Any] | None, problem: str, workspace: Workspace) -> InputError:
    assert element is not None, "what no proto declares comes first in its scope"
    path = workspace.imported_path(element.file.name)
    assert path is not None
    return InputError(show(path, *element.at().position, problem))


def _services(file: ProtoFile) -> Iterator[list[_Name]]:
    modules = {alias_of(module_of(name)) for name in (file.name, *file.proto.dependency)}
    classes = [_Name(name, _USED) for name in modules | _USED_BY_GRPC_CODE]
    for service in file.services:
        classes += (_Name(each, f'service "{service.name}"', service) for each in _classes(service))
        yield list(_methods(service))
    yield classes


def _classes(service: Service) -> tuple[str, ...]:
    name = service.name
    return (python_name(name), f"{name}Stub", f"{name}Servicer", f"add_{name}Servicer_to_server")


def _methods(service: Service) -> Iterator[_Name]:
    for method in service.methods.values():
        name = python_name(method.name)
        if name.startswith("__"):
            yield _Name(name, "what Python itself calls, or renames")
        yield _Name(name, f'rpc "{method.name}"', method)


def _types(file: ProtoFile) -> Iterator[list[_Name]]:
    yield list(_declared(file, file.extensions))
    for message in file.every_message:
        yield list(_declared(message, (*message.fields, *message.extensions)))


def _declared(scope: ProtoFile | Message, fields: Iterable[Field]) -> Iterator[_Name]:
    # Fields `foo` and `FOO` have one name for their numbers, and nobody's place is taken.
    numbers = {f"{field.name.upper()}{_NUMBER}": field.name for field in fields}
    for name, field in numbers.items():
        yield _Name(name, f'the number of field "{field}"')
    for message in scope.messages:
        yield _Name(message.name, f'message "{message.name}"', message)
    for enum in scope.enums:
        yield _Name(enum.name, f'enum "{enum.name}"', enum)
    for value in (value for enum in scope.enums for value in enum.values):
        yield _Name(value.name, f'enum value "{value.name}"', value)
