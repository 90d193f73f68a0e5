"""Type stubs (.pyi) for generated code, written for strict checkers and from the descriptors.

What the code takes at run time passes: a dict for a message, a name for an enum value, a datetime
for a timestamp, a channel of either kind. What it would refuse is an error: an unknown field, a
misspelt oneof, an int that is no value of the enum, a forgotten await. Checkers need types-protobuf
and types-grpcio. Modules that are installed without types (`google.type`) are Any to mypy until it
is told to look into them: `follow_untyped_imports = true` for `google.type.*` and the like.
"""

from __future__ import annotations

from collections.abc import Collection

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from paycli.toolchain.protos.python_names import module_of
from paycli.toolchain.stubs.comments import comments
from paycli.toolchain.stubs.messages import message_stub
from paycli.toolchain.stubs.names import index_types
from paycli.toolchain.stubs.services import service_stub


def emit_stubs(
    files: FileDescriptorSet, names: Collection[str], generated: Collection[str]
) -> dict[str, str]:
    """The .pyi of messages and services for each of `names`: relative path → content.

    `files` holds them and all they import, with source positions; what of that is `generated` is
    imported relatively.
    """
    types = index_types(files)
    by_name = {file.name: file for file in files.file}
    stubs: dict[str, str] = {}
    for name in sorted(names):
        path = module_of(name).replace(".", "/")
        said = comments(by_name[name])
        stubs[f"{path}.pyi"] = message_stub(by_name[name], by_name, types, generated, said)
        stubs[f"{path}_grpc.pyi"] = service_stub(by_name[name], types, generated, said)
    return stubs
