"""Rules that whatever a reader sees is explained."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from paycli.toolchain.lint.comment_ignores import MARK
from paycli.toolchain.lint.elements import Elements
from paycli.toolchain.lint.rules import COMMENTS, MODULES
from paycli.toolchain.protos.descriptors import Element, Proto
from paycli.toolchain.rules.rule import Complaint, Complaints

_GROUP: Final = FieldDescriptorProto.TYPE_GROUP


def _unexplained(what: str, elements: Iterable[Element[Proto]]) -> Complaints:
    for element in elements:
        location = element.location
        if location is not None and not _explains(location.leading_comments):
            yield Complaint(
                element.at(),
                f"{what} '{element.name}' has no comment; say above it what it is for.",
            )


def _explains(comment: str) -> bool:
    lines = map(str.strip, comment.split("\n"))
    return any(line and not line.startswith(MARK) for line in lines)


@MODULES.rule("COMMENT_MESSAGE", *COMMENTS)
def comment_message(module: Elements) -> Complaints:
    """Messages have comments."""
    return _unexplained("Message", module.messages)


@MODULES.rule("COMMENT_FIELD", *COMMENTS)
def comment_field(module: Elements) -> Complaints:
    """Fields have comments; that of a group belongs to its message."""
    fields = (field for field in module.fields if field.proto.type != _GROUP)
    return _unexplained("Field", fields)


@MODULES.rule("COMMENT_ONEOF", *COMMENTS)
def comment_oneof(module: Elements) -> Complaints:
    """Oneofs have comments."""
    return _unexplained("Oneof", module.oneofs)


@MODULES.rule("COMMENT_ENUM", *COMMENTS)
def comment_enum(module: Elements) -> Complaints:
    """Enums have comments."""
    return _unexplained("Enum", module.enums)


@MODULES.rule("COMMENT_ENUM_VALUE", *COMMENTS)
def comment_enum_value(module: Elements) -> Complaints:
    """Enum values have comments."""
    return _unexplained("Enum value", module.enum_values)


@MODULES.rule("COMMENT_SERVICE", *COMMENTS)
def comment_service(module: Elements) -> Complaints:
    """Services have comments."""
    return _unexplained("Service", module.services)


@MODULES.rule("COMMENT_RPC", *COMMENTS)
def comment_rpc(module: Elements) -> Complaints:
    """RPCs have comments."""
    return _unexplained("RPC", module.methods)
