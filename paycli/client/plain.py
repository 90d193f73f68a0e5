"""Messages as plain data, as protobuf's JSON has them: what stands in them, beside its descriptors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from paycli.errors import InputError


def class_of(kind: Descriptor) -> type[Message]:
    """The class of a message. Raises InputError."""
    try:
        return GetMessageClass(kind)
    except RecursionError as problem:  # it makes those of all messages inside, one within the other
        raise InputError(
            f"{kind.full_name} has messages inside that have others, hundreds of times over; "
            "that is more than can be read here."
        ) from problem


def nodes(
    kind: Descriptor, document: Any, pool: DescriptorPool, path: str = ""
) -> Iterator[tuple[str, Descriptor, Any]]:
    """A message as plain data and all inside it: the path, the kind and the data of each."""
    yield path, kind, document
    if kind.full_name == "google.protobuf.Any" and document:
        packed = pool.FindMessageTypeByName(document["@type"].rpartition("/")[2])
        own = packed.file.package == "google.protobuf"
        yield from nodes(packed, document.get("value") if own else document, pool, path)
    for name, field, value in fields_of(kind, document, pool):
        one, values = values_of(field, value)
        inner: Any = one.message_type
        for each in values if inner is not None else ():
            yield from nodes(inner, each, pool, f"{path}.{name}".lstrip("."))


def fields_of(
    kind: Descriptor, document: Any, pool: DescriptorPool
) -> Iterator[tuple[str, FieldDescriptor, Any]]:
    """What a message as plain data has, each by its name in JSON, in the proto, or of an extension."""
    # JSON of google.protobuf's own messages is not that of their fields.
    if not document or kind.file.package == "google.protobuf":
        return
    for name, value in document.items():
        field = field_named(kind, name, pool)
        if field is not None:
            yield name, field, value


def field_named(kind: Descriptor, name: str, pool: DescriptorPool) -> FieldDescriptor | None:
    """The field of this name in JSON or in the proto, or the extension `[package.name]`."""
    field = kind.fields_by_name.get(name) or kind.fields_by_camelcase_name.get(name)
    if field is None or name not in (field.name, field.json_name):
        field = next((each for each in kind.fields if each.json_name == name), None)
    if field is None and name.startswith("[") and name.endswith("]"):
        with suppress(KeyError):
            extension = pool.FindExtensionByName(name[1:-1])
            return extension if extension.containing_type == kind else None
    return field


def values_of(field: FieldDescriptor, value: Any) -> tuple[FieldDescriptor, list[Any]]:
    """The values of a field, and what describes one of them."""
    if (entry := map_entry(field)) is not None:
        return entry.fields_by_name["value"], [*(value or {}).values()]
    return field, (value or []) if field.is_repeated else [value]


def map_entry(field: FieldDescriptor) -> Descriptor | None:
    """What a map is made of, if the field is one."""
    kind = field.message_type
    return kind if kind is not None and kind.GetOptions().map_entry else None
