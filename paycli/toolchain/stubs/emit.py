"""Type stubs (.pyi) for generated code, written for strict checkers and from the descriptors.

What the code takes at run time passes: a dict for a message, a name for an enum value, a datetime
for a timestamp, a channel of either kind. What it would refuse is an error: an unknown field, a
misspelt oneof, an int that is no value of the enum, a forgotten await. Checkers need types-protobuf
and types-grpcio. Modules that are installed without types (`google.type`) are Any to mypy until it
is told to look into them: `follow_untyped_imports = true` for `google.type.*` and the like.
"""

from __future__ import annotations

from collections.abc import Collection

from paycli.toolchain.protos.python_names import module_of
from paycli.toolchain.protos.schema import Schema
from paycli.toolchain.stubs.messages import message_stub
from paycli.toolchain.stubs.names import index_types
from paycli.toolchain.stubs.services import service_stub


def emit_stubs(schema: Schema, generated: Collection[str]) -> dict[str, str]:
    """The .pyi of messages and services for each of the schema's own files: relative path → content.

    It holds them and all they import, with source positions; what of that is `generated` is imported
    relatively.
    """
    types = index_types(schema.everything.values())
    stubs: dict[str, str] = {}
    for name, file in sorted(schema.files.items()):
        path = module_of(name).replace(".", "/")
        stubs[f"{path}.pyi"] = message_stub(file, types, generated)
        stubs[f"{path}_grpc.pyi"] = service_stub(file, types, generated)
    return stubs
