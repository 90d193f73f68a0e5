"""Rules about files as a whole and about what a field may demand."""

from __future__ import annotations

from typing import Final

from google.protobuf.descriptor_pb2 import FeatureSet, FieldDescriptorProto, FileDescriptorProto

from paycli.toolchain.lint.elements import Tree
from paycli.toolchain.lint.rules import BASIC, NAME, Complaint, Complaints, rule

_SYNTAX: Final = (FileDescriptorProto.SYNTAX_FIELD_NUMBER,)


@rule("SYNTAX_SPECIFIED", BASIC)
def syntax_specified(tree: Tree) -> Complaints:
    """Every file says its syntax or edition."""
    for file in tree.files:
        # A descriptor leaves out proto2, but the place where it was written is kept.
        if file.proto.syntax in {"", "proto2"} and _SYNTAX not in file.locations:
            yield Complaint(
                file.at(),
                "The file has no syntax and is read as proto2; begin with 'syntax = \"proto2\";'.",
            )


@rule("FIELD_NOT_REQUIRED", BASIC)
def field_not_required(tree: Tree) -> Complaints:
    """No field is required, since none can ever stop to be."""
    for field in tree.fields:
        proto = field.proto
        if proto.label == FieldDescriptorProto.LABEL_REQUIRED or (
            proto.HasField("options")
            and proto.options.features.field_presence == FeatureSet.LEGACY_REQUIRED
        ):
            yield Complaint(
                field.at(NAME),
                f"Field '{field.name}' is required, which can never be taken back; "
                "check it in the service instead.",
            )
