"""YAML values as the fields of messages, by protobuf's own JSON mapping.

Requests and expectations are read by the same rules, so that what can be sent can be expected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from google.protobuf import duration_pb2, json_format, message_factory, timestamp_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from paycli.client.forms import build
from paycli.client.json_values import WRAPPERS, Misfit, one, type_of
from paycli.client.plain import map_entry
from paycli.documents import Node

# Messages whose JSON is a single value (a text, a number), not a mapping of their fields ...
_SINGLE: Final = WRAPPERS | {
    f"google.protobuf.{name}" for name in ("Timestamp", "Duration", "FieldMask")
}
# ... and those whose JSON can be anything.
_FREE: Final = frozenset(
    f"google.protobuf.{name}" for name in ("Any", "Struct", "Value", "ListValue")
)
_NOT_FIELDS: Final = _SINGLE | _FREE
_NUMBERS: Final = (
    *(FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT),
    *(FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64),
    *(FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64),
)
_NUMBER_WRAPPERS: Final = frozenset(
    f"google.protobuf.{kind}Value"
    for kind in ("Double", "Float", "Int32", "Int64", "UInt32", "UInt64")
)


def message_of(field: FieldDescriptor) -> Descriptor | None:
    """The message type of a field whose values are mappings of fields with names of their own."""
    kind = field.message_type
    return None if kind is None or kind.full_name in _NOT_FIELDS else kind


def is_free(field: FieldDescriptor) -> bool:
    """Whether a value of the field is JSON of any form: google.protobuf.Struct and its like."""
    return field.message_type is not None and field.message_type.full_name in _FREE


def is_map(field: FieldDescriptor) -> bool:
    """Whether the field is a map<key, value>."""
    return map_entry(field) is not None


def map_value(field: FieldDescriptor) -> FieldDescriptor:
    """The field that stands for each value of a map."""
    assert field.message_type is not None
    return field.message_type.fields_by_name["value"]


def fields_of(node: Node, kind: Descriptor) -> list[tuple[FieldDescriptor, Node]]:
    """The fields that a mapping names, in proto's or JSON's spelling. Raises DocumentError."""
    spelled = {field.json_name: field for field in kind.fields} | dict(kind.fields_by_name)
    entries = node.fields(
        kind.full_name, kind.fields_by_name, also=spelled, unknown="{what} has no field '{key}'"
    )
    return [(spelled[name], value) for name, value in entries.items()]


def unset_fields(kind: Descriptor) -> Mapping[str, object]:
    """What each field shows while it is not set; None where nothing shows."""
    empty = json_format.MessageToDict(
        message_factory.GetMessageClass(kind)(),
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
    return {name: empty.get(name) for name in kind.fields_by_name}


def read_value(node: Node, field: FieldDescriptor, text: str | None) -> object:
    """A single value as JSON spells it; `text` is what its placeholders made of it, if any.

    Raises DocumentError.
    """
    if not node.is_scalar or node.is_null:
        raise node.must_be(field.name, type_of(field))
    value = text if text is not None else _written(node, field)
    try:
        return json_value(field, value)
    except ValueError as problem:
        raise node.error(str(problem)) from problem


def json_value(field: FieldDescriptor, value: object) -> object:
    """The one spelling that JSON has for a value: 9.90 as 9.9, an enum's number as its name.

    Raises ValueError.
    """
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL and value in ("true", "false"):
        value = value == "true"  # as a placeholder leaves it
    assert field.containing_type is not None
    pool: Any = field.containing_type.file.pool
    try:
        ready = one(field, value, pool)
        message = build(
            field.containing_type, {field.name: [ready] if field.is_repeated else ready}, pool
        )
    except Misfit as wrong:
        end = "" if wrong.why.endswith((".", "?")) else "."
        raise ValueError(f"{field.name}{wrong.path} {wrong.why}{end}") from wrong
    shown = json_format.MessageToDict(message, preserving_proto_field_name=True)
    if field.name not in shown:  # a default, which is printed on request only
        shown = json_format.MessageToDict(
            message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
    spelled: object = shown[field.name]
    return spelled[0] if field.is_repeated and isinstance(spelled, list) else spelled


def order_of(field: FieldDescriptor | None) -> Callable[[object], Decimal] | None:
    """What values of the field are compared by; None for those that have no order.

    It raises ValueError for what is no such value. Without a field, numbers are compared.
    """
    if field is None or field.cpp_type in _NUMBERS:
        return _number
    kind = field.message_type.full_name if field.message_type is not None else ""
    if kind in _NUMBER_WRAPPERS:
        return _number
    return {"google.protobuf.Timestamp": _time, "google.protobuf.Duration": _span}.get(kind)


def _number(value: object) -> Decimal:
    try:
        found = Decimal(str(value))
    except InvalidOperation as problem:
        raise ValueError(f"'{value}' is no number.") from problem
    if found.is_nan():
        raise ValueError("NaN is neither more nor less than anything.")
    return found


def _time(value: object) -> Decimal:
    time = timestamp_pb2.Timestamp()
    time.FromJsonString(str(value))
    return Decimal(time.ToNanoseconds())


def _span(value: object) -> Decimal:
    span = duration_pb2.Duration()
    span.FromJsonString(str(value))
    return Decimal(span.ToNanoseconds())


def _written(node: Node, field: FieldDescriptor) -> object:
    """Text fields take a scalar as it stands there: an order id 0012 is not the number ten."""
    return node.text(field.name) if field.type == FieldDescriptor.TYPE_STRING else node.typed()
