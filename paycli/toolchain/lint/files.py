"""Rules about files as a whole."""

from __future__ import annotations

from typing import Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto

from paycli.toolchain.lint.elements import Elements
from paycli.toolchain.lint.rules import BASIC, MODULES
from paycli.toolchain.rules.rule import Complaint, Complaints

_SYNTAX: Final = (FileDescriptorProto.SYNTAX_FIELD_NUMBER,)


@MODULES.rule("SYNTAX_SPECIFIED", *BASIC)
def syntax_specified(module: Elements) -> Complaints:
    """Every file says its syntax or edition."""
    for file in module.files:
        # A descriptor leaves out proto2, but the place where it was written is kept.
        if file.proto.syntax in {"", "proto2"} and file.location(_SYNTAX) is None:
            yield Complaint(
                file.at(),
                "The file has no syntax and is read as proto2; begin with 'syntax = \"proto2\";'.",
            )
