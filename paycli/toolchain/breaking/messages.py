"""Rules that compare two versions of a message."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FeatureSet,
    FieldDescriptorProto,
    MessageOptions,
)

from paycli.toolchain.breaking.ranges import lost_ranges
from paycli.toolchain.breaking.rules import (
    ALWAYS,
    IN_JSON,
    IN_SOURCE,
    MESSAGES,
    WIRE,
    WIRE_JSON,
    broken,
)
from paycli.toolchain.protos.descriptors import Field, Message
from paycli.toolchain.protos.editions import resolve
from paycli.toolchain.protos.places import SELF
from paycli.toolchain.rules.rule import Complaints

_OPTIONS: Final = DescriptorProto.OPTIONS_FIELD_NUMBER
_FEATURES: Final = (_OPTIONS, MessageOptions.FEATURES_FIELD_NUMBER)
_JSON_FORMAT: Final = (*_FEATURES, FeatureSet.JSON_FORMAT_FIELD_NUMBER)
_ACCESSOR: Final = (_OPTIONS, MessageOptions.NO_STANDARD_DESCRIPTOR_ACCESSOR_FIELD_NUMBER)


@MESSAGES.rule("FIELD_NO_DELETE", *IN_SOURCE)
def field_no_delete(old: Message, new: Message) -> Complaints:
    """Fields stay."""
    return _deleted_fields(old, new, _never, "")


@MESSAGES.rule("FIELD_NO_DELETE_UNLESS_NUMBER_RESERVED", WIRE_JSON, WIRE)
def field_no_delete_unless_number_reserved(old: Message, new: Message) -> Complaints:
    """A deleted field's number is never given to another field."""
    ranges = new.proto.reserved_range

    def reserved(field: Field) -> bool:
        return any(each.start <= field.number < each.end for each in ranges)

    return _deleted_fields(old, new, reserved, " without reserving its number")


@MESSAGES.rule("FIELD_NO_DELETE_UNLESS_NAME_RESERVED", WIRE_JSON)
def field_no_delete_unless_name_reserved(old: Message, new: Message) -> Complaints:
    """A deleted field's name, its key in JSON, is never given to another field."""
    names = set(new.proto.reserved_name)
    return _deleted_fields(
        old, new, lambda field: field.name in names, " without reserving its name"
    )


@MESSAGES.rule("ONEOF_NO_DELETE", *IN_SOURCE)
def oneof_no_delete(old: Message, new: Message) -> Complaints:
    """Oneofs stay; those that protoc makes for a proto3 `optional` are none."""
    kept = {each.name for each in new.proto.oneof_decl}
    for oneof in old.oneofs:
        if oneof.name not in kept:
            yield broken(
                new.at(),
                f'Oneof "{oneof.name}" of "{new.nested_name}" was deleted',
                "code of a client that asks which of its fields is set no longer builds",
            )


@MESSAGES.rule("MESSAGE_SAME_REQUIRED_FIELDS", *ALWAYS)
def message_same_required_fields(old: Message, new: Message) -> Complaints:
    """Whoever lacks a required field cannot read the message at all."""
    before, after = (_required(message) for message in (old, new))
    for number in before.keys() - after.keys():
        yield broken(
            new.at(),
            f'Required field {number} of "{new.nested_name}" was deleted',
            "a client refuses every answer in which it is missing",
        )
    for number in after.keys() - before.keys():
        yield broken(
            after[number].at(),
            f'Required field {number} of "{new.nested_name}" was added',
            "every request of a client that does not know it is refused",
        )


@MESSAGES.rule("MESSAGE_SAME_JSON_FORMAT", *IN_JSON)
def message_same_json_format(old: Message, new: Message) -> Complaints:
    """JSON that was supported stays supported."""
    before, after = (
        resolve("json_format", message.file.edition, message.features) for message in (old, new)
    )
    if before == FeatureSet.ALLOW != after:
        yield broken(
            new.at_first(_JSON_FORMAT, _FEATURES, SELF),
            f'JSON of "{new.nested_name}" is now best effort only',
            "a client that speaks JSON may be answered with other keys than it reads",
        )


@MESSAGES.rule("MESSAGE_NO_REMOVE_STANDARD_DESCRIPTOR_ACCESSOR", *IN_SOURCE)
def message_no_remove_standard_descriptor_accessor(old: Message, new: Message) -> Complaints:
    """The accessor `descriptor()` stays."""
    before, after = (
        message.proto.options.no_standard_descriptor_accessor for message in (old, new)
    )
    if after and not before:
        yield broken(
            new.at(*_ACCESSOR),
            f'"{new.nested_name}" lost its standard descriptor accessor',
            "C++ and Java code of a client that calls descriptor() no longer builds",
        )


@MESSAGES.rule("EXTENSION_MESSAGE_NO_DELETE", *IN_SOURCE)
def extension_message_no_delete(old: Message, new: Message) -> Complaints:
    """Numbers that others may extend stay theirs."""
    for lost in lost_ranges(
        _inclusive(old.proto.extension_range), _inclusive(new.proto.extension_range)
    ):
        what = f'Extension range {lost} of "{new.nested_name}" was deleted'
        yield broken(new.at(), what, "a client's own extensions of these numbers no longer build")


@MESSAGES.rule("RESERVED_MESSAGE_NO_DELETE", *ALWAYS)
def reserved_message_no_delete(old: Message, new: Message) -> Complaints:
    """What is reserved stays reserved: old clients may still send it."""
    effect = "a new field there would be filled with what old clients still send"
    for lost in lost_ranges(
        _inclusive(old.proto.reserved_range), _inclusive(new.proto.reserved_range)
    ):
        yield broken(new.at(), f'Reserved {lost} of "{new.nested_name}" was deleted', effect)
    for name in sorted(set(old.proto.reserved_name) - set(new.proto.reserved_name)):
        yield broken(new.at(), f'Reserved name "{name}" of "{new.nested_name}" was deleted', effect)


def _never(_: Field) -> bool:
    return False


def _deleted_fields(
    old: Message, new: Message, excused: Callable[[Field], bool], how: str
) -> Complaints:
    for number, field in old.fields_by_number.items():
        if number not in new.fields_by_number and not excused(field):
            effect = f"what a client still sends as field {number} is dropped unread"
            yield broken(new.at(), f"{field} was deleted{how}", effect)


def _required(message: Message) -> dict[int, Field]:
    required = FieldDescriptorProto.LABEL_REQUIRED
    fields = message.fields_by_number.items()
    return {number: field for number, field in fields if field.proto.label == required}


def _inclusive(
    ranges: Iterable[DescriptorProto.ReservedRange | DescriptorProto.ExtensionRange],
) -> list[tuple[int, int]]:
    return [(each.start, each.end - 1) for each in ranges]
