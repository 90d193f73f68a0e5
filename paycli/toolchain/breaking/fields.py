"""Rules that compare two versions of a field, or of an extension, with the same number."""

from __future__ import annotations

from typing import Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from paycli.toolchain.breaking import wire
from paycli.toolchain.breaking.default_values import defaults_differ, has_default, show_default
from paycli.toolchain.breaking.rules import (
    ALWAYS,
    FIELDS,
    IN_JSON,
    IN_SOURCE,
    WIRE,
    WIRE_JSON,
    broken,
)
from paycli.toolchain.protos.descriptors import Field
from paycli.toolchain.protos.places import SELF, Path
from paycli.toolchain.rules.rule import Complaint, Complaints

_NAME: Final = (FieldDescriptorProto.NAME_FIELD_NUMBER,)
_TYPE: Final = (FieldDescriptorProto.TYPE_FIELD_NUMBER,)
_TYPE_NAME: Final = (FieldDescriptorProto.TYPE_NAME_FIELD_NUMBER,)
_DEFAULT: Final = (FieldDescriptorProto.DEFAULT_VALUE_FIELD_NUMBER,)
_JSON_NAME: Final = (FieldDescriptorProto.JSON_NAME_FIELD_NUMBER,)
_NAMED_KINDS: Final = frozenset(
    {
        FieldDescriptorProto.TYPE_MESSAGE,
        FieldDescriptorProto.TYPE_GROUP,
        FieldDescriptorProto.TYPE_ENUM,
    }
)


@FIELDS.rule("FIELD_SAME_NAME", *IN_JSON)
def field_same_name(old: Field, new: Field) -> Complaints:
    """The name is the key in JSON and the attribute in code."""
    before, after = (each.full_name if each.is_extension else each.name for each in (old, new))
    if before != after:
        what = f'{old} was renamed to "{after}"'
        yield broken(new.at(*_NAME), what, "code and JSON of a client still use the old name")


@FIELDS.rule("FIELD_SAME_JSON_NAME", *IN_JSON)
def field_same_json_name(old: Field, new: Field) -> Complaints:
    """The key in JSON stays."""
    before, after = _json_name(old), _json_name(new)
    if before != after and not old.is_extension:
        what = f'{new} changed its JSON name from "{before}" to "{after}"'
        effect = f'a client that reads "{before}" in JSON finds nothing there'
        yield broken(new.at_first(_JSON_NAME, SELF), what, effect)


@FIELDS.rule("FIELD_SAME_ONEOF", *ALWAYS)
def field_same_oneof(old: Field, new: Field) -> Complaints:
    """In a oneof the last field on the wire clears the others."""
    if old.oneof != new.oneof:
        before, after = (
            f'oneof "{each}"' if each is not None else "no oneof" for each in (old.oneof, new.oneof)
        )
        what = f"{new} moved from {before} to {after}"
        yield broken(new.at(), what, "of the fields that a client sets together, some are dropped")


@FIELDS.rule("FIELD_SAME_DEFAULT", *ALWAYS)
def field_same_default(old: Field, new: Field) -> Complaints:
    """A default is not sent: each side fills in its own."""
    if not (has_default(old) and has_default(new)):
        return
    if defaults_differ(old, new):
        what = f"{new} changed its default from {show_default(old)} to {show_default(new)}"
        effect = "a client that leaves it out means the old default"
        yield broken(new.at_first(_DEFAULT, SELF), what, effect)


@FIELDS.rule("FIELD_SAME_CARDINALITY", *IN_SOURCE)
def field_same_cardinality(old: Field, new: Field) -> Complaints:
    """Cardinality decides how code reads and sets a field."""
    return _cardinality(old, new, (), "code of a client that reads or sets it may no longer work")


@FIELDS.rule("FIELD_WIRE_JSON_COMPATIBLE_CARDINALITY", WIRE_JSON)
def field_wire_json_compatible_cardinality(old: Field, new: Field) -> Complaints:
    """One value, a list and an object are not read as one another."""
    groups = wire.WIRE_JSON_CARDINALITIES
    return _cardinality(old, new, groups, "a client that sends it is refused or misread")


@FIELDS.rule("FIELD_WIRE_COMPATIBLE_CARDINALITY", WIRE)
def field_wire_compatible_cardinality(old: Field, new: Field) -> Complaints:
    """Of many values sent, a reader of one keeps the last."""
    groups = wire.WIRE_CARDINALITIES
    return _cardinality(old, new, groups, "a client that sends it is refused or misread")


@FIELDS.rule("FIELD_SAME_TYPE", *IN_SOURCE)
def field_same_type(old: Field, new: Field) -> Complaints:
    """The type decides what code reads and sets."""
    if old.kind != new.kind or (new.kind in _NAMED_KINDS and old.type_name != new.type_name):
        yield _type_changed(old, new, "code of a client that reads or sets it may no longer work")


@FIELDS.rule("FIELD_WIRE_JSON_COMPATIBLE_TYPE", WIRE_JSON)
def field_wire_json_compatible_type(old: Field, new: Field) -> Complaints:
    """Bytes and JSON of the old type are read as the same value."""
    if wire.compatible(old.kind, new.kind, wire.WIRE_JSON_TYPES):
        return _renamed_type(old, new)
    return iter([_type_changed(old, new, "what a client sends in it is refused or misread")])


@FIELDS.rule("FIELD_WIRE_COMPATIBLE_TYPE", WIRE)
def field_wire_compatible_type(old: Field, new: Field) -> Complaints:
    """Bytes of the old type are read as the same value; every string is bytes too."""
    kinds = (old.kind, new.kind)
    if kinds == (FieldDescriptorProto.TYPE_STRING, FieldDescriptorProto.TYPE_BYTES):
        return iter(())
    if wire.compatible(*kinds, wire.WIRE_TYPES):
        return _renamed_type(old, new)
    return iter([_type_changed(old, new, "what a client sends in it is refused or misread")])


def _json_name(field: Field) -> str:
    """The key in JSON; sets that do not come from protoc may leave it to the name."""
    first, *others = field.name.split("_")
    camel = first + "".join(each[:1].upper() + each[1:] for each in others)
    return field.proto.json_name or camel


def _renamed_type(old: Field, new: Field) -> Complaints:
    """Another message, or an enum that does not have all that the old one had."""
    if new.kind not in _NAMED_KINDS or old.type_name == new.type_name:
        return
    if new.kind == FieldDescriptorProto.TYPE_ENUM and _enum_grew(old, new):
        return
    yield _type_changed(old, new, "what a client sends in it is read as something else")


def _enum_grew(old: Field, new: Field) -> bool:
    before = old.file.schema.all_enums.get(old.type_name)
    after = new.file.schema.all_enums.get(new.type_name)
    if before is None or after is None or before.name != after.name:
        return False
    numbers = {value.name: value.number for value in after.proto.value}
    return all(numbers.get(value.name) == value.number for value in before.proto.value)


def _type_changed(old: Field, new: Field, effect: str) -> Complaint:
    what = f"{new} changed its type from {wire.kind_name(old)} to {wire.kind_name(new)}"
    return broken(new.at(*_type_path(new)), what, effect)


def _type_path(field: Field) -> Path:
    """A group's name is the message's; what makes it a type is the word `group`."""
    named = field.kind in _NAMED_KINDS and field.proto.type != FieldDescriptorProto.TYPE_GROUP
    return _TYPE_NAME if named else _TYPE


def _cardinality(
    old: Field, new: Field, groups: tuple[frozenset[str], ...], effect: str
) -> Complaints:
    if old.in_map_entry and new.in_map_entry:  # nobody writes these: presence means nothing
        return
    before, after = wire.cardinality(old), wire.cardinality(new)
    if not wire.compatible(before, after, groups):
        what = f"{new} changed its cardinality from {before} to {after}"
        yield broken(new.at(), what, effect)
