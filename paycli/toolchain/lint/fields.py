"""Rules about what a field may demand."""

from __future__ import annotations

from paycli.toolchain.lint.elements import Elements
from paycli.toolchain.lint.rules import BASIC, MODULES
from paycli.toolchain.protos.places import NAME
from paycli.toolchain.rules.rule import Complaint, Complaints


@MODULES.rule("FIELD_NOT_REQUIRED", *BASIC)
def field_not_required(module: Elements) -> Complaints:
    """No field is required, since none can ever stop to be."""
    for field in module.fields:
        if field.is_required:
            yield Complaint(
                field.at(NAME),
                f"Field '{field.name}' is required, which can never be taken back; "
                "check it in the service instead.",
            )
