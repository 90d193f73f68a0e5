"""Rules that whatever a reader sees is explained."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from paycli.toolchain.lint.comment_ignores import MARK
from paycli.toolchain.lint.elements import Element, Proto, Tree
from paycli.toolchain.lint.rules import COMMENTS, Complaint, Complaints, rule

_GROUP: Final = FieldDescriptorProto.TYPE_GROUP


def _unexplained(what: str, elements: Iterable[Element[Proto]]) -> Complaints:
    for element in elements:
        location = element.file.locations.get(element.path)
        if location is not None and not _explains(location.leading_comments):
            yield Complaint(
                element.at(),
                f"{what} '{element.name}' has no comment; say above it what it is for.",
            )


def _explains(comment: str) -> bool:
    lines = map(str.strip, comment.split("\n"))
    return any(line and not line.startswith(MARK) for line in lines)


@rule("COMMENT_MESSAGE", COMMENTS)
def comment_message(tree: Tree) -> Complaints:
    """Messages have comments."""
    return _unexplained("Message", tree.messages)


@rule("COMMENT_FIELD", COMMENTS)
def comment_field(tree: Tree) -> Complaints:
    """Fields have comments; that of a group belongs to its message."""
    fields = (field for field in tree.fields if field.proto.type != _GROUP)
    return _unexplained("Field", fields)


@rule("COMMENT_ONEOF", COMMENTS)
def comment_oneof(tree: Tree) -> Complaints:
    """Oneofs have comments."""
    return _unexplained("Oneof", tree.oneofs)


@rule("COMMENT_ENUM", COMMENTS)
def comment_enum(tree: Tree) -> Complaints:
    """Enums have comments."""
    return _unexplained("Enum", tree.enums)


@rule("COMMENT_ENUM_VALUE", COMMENTS)
def comment_enum_value(tree: Tree) -> Complaints:
    """Enum values have comments."""
    return _unexplained("Enum value", tree.enum_values)


@rule("COMMENT_SERVICE", COMMENTS)
def comment_service(tree: Tree) -> Complaints:
    """Services have comments."""
    return _unexplained("Service", tree.services)


@rule("COMMENT_RPC", COMMENTS)
def comment_rpc(tree: Tree) -> Complaints:
    """RPCs have comments."""
    return _unexplained("RPC", tree.methods)
