"""Plain data as the fields of a message take it, by protobuf's JSON mapping.

protobuf's own reader takes some data wrongly without a word: "1_0" is ten for it, and an enum's 2**32 its
first value. Of other data it says what Python says. So all is checked before it reads.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable, Container, Mapping
from decimal import Decimal
from typing import Any, Final

from google.protobuf import duration_pb2, field_mask_pb2, timestamp_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

from paycli.client.json_text import Place
from paycli.client.plain import field_named, map_entry

WRAPPERS: Final = frozenset(
    f"google.protobuf.{kind}Value"
    for kind in ("Bool", "Bytes", "Double", "Float", "Int32", "Int64", "String", "UInt32", "UInt64")
)
SCALARS: Final = {
    number: name.removeprefix("TYPE_").lower()
    for name, number in vars(FieldDescriptor).items()
    if name.startswith("TYPE_")
}
_EXAMPLES: Final = {
    "google.protobuf.Timestamp": ", such as 2026-01-31T12:00:00Z",
    "google.protobuf.Duration": ", such as 1.5s, to the nanosecond",
    "google.protobuf.FieldMask": ", such as orderId,card.number",
}
_TIME: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)", re.ASCII
)
_SPAN: Final = re.compile(r"[+-]?\d{1,12}(\.\d{1,9}0*)?s", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d{1,9})?", re.ASCII)
_BASE64: Final = re.compile(r"([\w+/-]{4})*([\w+/-]{2,3}={0,2})?", re.ASCII)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_WHOLE: Final = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64),
}
_NULL: Final = "google.protobuf.NullValue"
_VALUE: Final = "google.protobuf.Value"
_BOOLS: Final = ("true", "false")
_SHOWN_MAX: Final = 60


class Misfit(ValueError):
    """Data that a message does not take: where in it, and why."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
        self.place: Place = ()
        self.path = ""

    def inside(self, key: str | int, step: str) -> Misfit:
        """The same, of what has this data under a key; `step` is what that adds to the path."""
        self.place = (key, *self.place)
        self.path = f"{step}{self.path}"
        return self

    def __str__(self) -> str:
        said = ": ".join(filter(None, (self.path.lstrip("."), self.why)))
        return said.replace("\n", "\\n")  # of a key that has it


def readied(kind: Descriptor, data: Any, pool: DescriptorPool) -> Any:
    """The data of a message as protobuf's reader takes it rightly. Raises Misfit."""
    if (read := _READ.get(kind.full_name)) is not None:
        return read(data, pool)
    if kind.full_name in WRAPPERS:
        return scalar(kind.fields_by_name["value"], data)
    if not isinstance(data, dict):
        raise Misfit(f"a message is written as {{field: value}}, not {_shown(data)}")
    return _fields(kind, data, pool)


def one(field: FieldDescriptor, data: Any, pool: DescriptorPool) -> Any:
    """A single value of a field, as `readied`. Raises Misfit."""
    kind = field.message_type
    if data is None and (kind is None or kind.full_name != _VALUE):
        if field.enum_type is not None and field.enum_type.full_name == _NULL:
            return "NULL_VALUE"
        raise Misfit(misfit(field, data))
    return readied(kind, data, pool) if kind is not None else scalar(field, data)


def scalar(field: FieldDescriptor, data: Any) -> Any:
    """A value of a field that is no message, as `readied`. Raises Misfit."""
    ready: Any = None
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_BOOL:
            ready = data if isinstance(data, bool) else None
        case FieldDescriptor.CPPTYPE_STRING:
            pattern = _BASE64.fullmatch if field.type == field.TYPE_BYTES else _is_text
            ready = data if isinstance(data, str) and pattern(data) else None
        case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
            ready = _real(data, "<f" if field.type == field.TYPE_FLOAT else "<d")
        case FieldDescriptor.CPPTYPE_ENUM:
            assert field.enum_type is not None
            ready = _enum(field.enum_type, data)
        case _:
            ready = _whole(data, *_WHOLE[field.cpp_type])
    if ready is None:
        raise Misfit(misfit(field, data))
    return ready


def misfit(field: FieldDescriptor, data: object) -> str:
    """What to say of data that the field does not take."""
    said = f"must be {type_of(field)}, not {_shown(data)}"
    if field.enum_type is not None and isinstance(data, str):
        from paycli.documents import nearest  # start-up time

        return f"{said}; {nearest(data, field.enum_type.values_by_name)}"
    if isinstance(data, float) and not math.isfinite(data):
        return f"{said}; what is not finite is written in quotes"
    # YAML has a number or `no` in mind.
    is_name = field.type == field.TYPE_STRING or isinstance(data, bool)
    return f"{said}; write it in quotes" if is_name and isinstance(data, int | float) else said


def type_of(field: FieldDescriptor) -> str:
    """What a person has to write for the field."""
    if field.enum_type is not None:
        return f"a value of {field.enum_type.full_name}"
    if field.message_type is not None:
        return _a(field.message_type.full_name)
    name = SCALARS[field.type]
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_BOOL:
            return "true or false"
        case FieldDescriptor.CPPTYPE_STRING:
            return "text" if name == "string" else "bytes in base64"
        case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
            return f"a number ({name})"
        case _:
            return f"a whole number ({name})"


def _a(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}{_EXAMPLES.get(name, '')}"


def _shown(data: object) -> str:
    text = json.dumps(data, ensure_ascii=False).encode(errors="backslashreplace").decode()
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…"


def _fields(kind: Descriptor, data: Mapping[str, Any], pool: DescriptorPool) -> dict[str, Any]:
    ready: dict[str, Any] = {}
    names: dict[int, str] = {}
    choices: dict[str, str] = {}
    for name, value in data.items():
        field = field_named(kind, name, pool)
        if field is None:
            raise Misfit(unknown(kind, name)).inside(name, "")
        if field.number in names:
            raise Misfit(f"a duplicate of {names[field.number]}").inside(name, f".{name}")
        names[field.number] = name
        choice = field.containing_oneof.name if field.containing_oneof is not None else name
        other = choices.setdefault(choice, name) if value is not None else name
        if other != name:
            said = f"{other} and {name} are both given; {choice} takes one of them"
            raise Misfit(said).inside(name, "")
        try:
            ready[name] = _field(field, value, pool)
        except Misfit as wrong:
            raise wrong.inside(name, f".{name}") from None
    return ready


def unknown(kind: Descriptor, name: str) -> str:
    """What to say of a field that the message has not."""
    from paycli.documents import nearest  # start-up time

    known = [each.name for each in kind.fields]
    hint = nearest(name, known) if known else "it has none"
    return f"no field is called '{name}'; {hint}"


def _field(field: FieldDescriptor, data: Any, pool: DescriptorPool) -> Any:
    if (entry := map_entry(field)) is not None:
        return data if data is None else _map(entry, data, pool)
    if field.is_repeated:
        if data is None:
            return data
        if not isinstance(data, list):
            raise Misfit(f"must be a list, not {_shown(data)}")
        return _items(data, lambda each: one(field, each, pool))
    is_null = field.enum_type is not None and field.enum_type.full_name == _NULL
    return data if data is None and not is_null else one(field, data, pool)


def _items(data: list[Any], read: Callable[[Any], Any]) -> list[Any]:
    ready = []
    for number, each in enumerate(data):
        try:
            ready.append(read(each))
        except Misfit as wrong:
            raise wrong.inside(number, f"[{number}]") from None
    return ready


def _map(entry: Descriptor, data: Any, pool: DescriptorPool) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise Misfit(f"must be a map, {{key: value}}, not {_shown(data)}")
    ready: dict[str, Any] = {}
    for name, value in data.items():
        try:
            key = _key(entry.fields_by_name["key"], name, ready)
            ready[key] = one(entry.fields_by_name["value"], value, pool)
        except Misfit as wrong:
            raise wrong.inside(name, f"[{name}]") from None
    return ready


def _key(field: FieldDescriptor, name: str, taken: Container[str]) -> str:
    is_bool = field.cpp_type == FieldDescriptor.CPPTYPE_BOOL
    try:
        key = str(scalar(field, name)) if not is_bool or name not in _BOOLS else name
    except Misfit:
        raise Misfit(f"the key must be {type_of(field)}") from None
    if key in taken:
        raise Misfit("the same key stands above already, written in another way")
    return key


def _is_text(data: str) -> bool:
    return _SURROGATE.search(data) is None


def _whole(data: Any, low: int, end: int) -> int | None:
    if isinstance(data, str) and _NUMBER.fullmatch(data):
        data = Decimal(data)
    elif isinstance(data, bool) or not isinstance(data, int | float):
        return None
    # In this order: 1e999999999 is not to be written out.
    return int(data) if low <= data < end and data == int(data) else None


def _real(data: Any, form: str) -> float | str | None:
    if data in ("NaN", "Infinity", "-Infinity"):
        return str(data)
    is_number = isinstance(data, int | float) and not isinstance(data, bool)
    if not is_number and not (isinstance(data, str) and _NUMBER.fullmatch(data)):
        return None
    try:
        # The largest float is written as a number that is larger.
        (ready,) = struct.unpack(form, struct.pack(form, float(data)))
    except OverflowError:
        return None
    return float(ready) if math.isfinite(ready) else None


def _enum(kind: EnumDescriptor, data: Any) -> str | int | None:
    if isinstance(data, str) and _is_text(data) and data in kind.values_by_name:
        return data
    number = _whole(data, *_WHOLE[FieldDescriptor.CPPTYPE_INT32])
    return None if kind.is_closed and number not in kind.values_by_number else number


def _any(data: Any, pool: DescriptorPool) -> Any:
    if data == {}:
        return data
    url = data.get("@type") if isinstance(data, dict) else None
    if not isinstance(url, str):
        raise Misfit('an Any is written as {"@type": "…/package.Message", field: value}')
    name = url.rpartition("/")[2]
    try:
        kind = pool.FindMessageTypeByName(name)
    except (KeyError, TypeError):  # TypeError: of a descriptor that does not fit the others
        raise Misfit(f"nobody tells what the message '{name}' is").inside("@type", "") from None
    rest = {key: value for key, value in data.items() if key != "@type"}
    if name not in _READ and name not in WRAPPERS:
        return {"@type": url, **_fields(kind, rest, pool)}
    if rest.keys() != {"value"}:
        raise Misfit(f"an Any with a {name} has '@type' and 'value', and nothing else")
    try:
        return {"@type": url, "value": readied(kind, rest["value"], pool)}
    except Misfit as wrong:
        raise wrong.inside("value", ".value") from None


def _value(data: Any, pool: DescriptorPool) -> Any:
    if isinstance(data, dict):
        return _struct(data, pool)
    if isinstance(data, list):
        return _list(data, pool)
    if isinstance(data, str) and not _is_text(data):
        raise Misfit("must be text, without half of a character")
    if isinstance(data, int | float) and _real(float(data) if data is True else data, "<d") is None:
        raise Misfit(f"must be a number that JSON has, not {_shown(data)}")
    return data


def _struct(data: Any, pool: DescriptorPool) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise Misfit(f"a google.protobuf.Struct is written as {{key: value}}, not {_shown(data)}")
    ready: dict[str, Any] = {}
    for name, value in data.items():
        try:
            ready[name] = _value(value, pool)
        except Misfit as wrong:
            raise wrong.inside(name, f".{name}") from None
    return ready


def _list(data: Any, pool: DescriptorPool) -> list[Any]:
    if not isinstance(data, list):
        raise Misfit(f"must be a list, not {_shown(data)}")
    return _items(data, lambda each: _value(each, pool))


def _written_as(message: Any, pattern: re.Pattern[str]) -> Callable[[Any, DescriptorPool], str]:
    """The reader of a message whose JSON is a text, of which protobuf takes too much."""

    def read(data: Any, _: DescriptorPool) -> str:
        try:
            if isinstance(data, str) and pattern.fullmatch(data):
                type(message)().FromJsonString(data)
                return data
        except ValueError:
            pass
        raise Misfit(f"must be {_a(message.DESCRIPTOR.full_name)}, not {_shown(data)}")

    return read


_READ: Final[Mapping[str, Callable[[Any, DescriptorPool], Any]]] = {
    "google.protobuf.Any": _any,
    "google.protobuf.Timestamp": _written_as(timestamp_pb2.Timestamp(), _TIME),
    "google.protobuf.Duration": _written_as(duration_pb2.Duration(), _SPAN),
    "google.protobuf.FieldMask": _written_as(
        field_mask_pb2.FieldMask(), re.compile(".*", re.DOTALL)
    ),
    "google.protobuf.Struct": _struct,
    "google.protobuf.ListValue": _list,
    _VALUE: _value,
}
