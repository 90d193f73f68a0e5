"""What a proto offers to those that import it, and whether a new text of it offers something else.

Code and stubs of an importer are made of the names, kinds and places of what it mentions, and of the
rules that those bring along (closed enums, extension ranges, visibility). Fields of messages, members
of oneofs and methods are none of that, unless the importer may write custom options: their values are
messages, written by their fields. Who does not reach descriptor.proto has none.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final

from google.protobuf.descriptor_pb2 import (
    EDITION_2023,
    FileDescriptorProto,
    FileDescriptorSet,
)

from paycli.toolchain.protos.descriptors import ProtoFile

_DESCRIPTOR: Final = re.compile(r"AddSerializedFile\((b'.*')\)$", re.MULTILINE)


def _descriptor_in(path: Path) -> FileDescriptorProto | None:
    """The descriptor that stands in generated code."""
    found = _DESCRIPTOR.search(path.read_text(encoding="utf-8"))
    return FileDescriptorProto.FromString(ast.literal_eval(found[1])) if found else None


def differences(
    descriptors: bytes,
    names: AbstractSet[str],
    former: Mapping[str, Path],
    beside: Collection[Path],
) -> tuple[set[str], bool]:
    """Which of `names` export something else than before, and whether a name is now taken twice.

    `descriptors` is a serialized set that has the files, `former` their former code, and `beside`
    the code of the other files of the tree; without others, nothing is compared.
    """
    if not beside:
        return set(), False
    files = FileDescriptorSet.FromString(descriptors).file
    new = {file.name: file for file in files if file.name in names}
    old = {name: file for name, path in former.items() if (file := _descriptor_in(path))}
    altered = {name for name in new if name not in old or not _export_alike(new[name], old[name])}
    return altered, _clash(new.values(), old.values(), beside)


def _export_alike(new: FileDescriptorProto, old: FileDescriptorProto) -> bool:
    """Whether importers of the one can do with the other."""
    # Newer editions have rules for importers that generated code says nothing of.
    return new.edition <= EDITION_2023 and _exports(new) == _exports(old)


def _clash(
    compiled: Iterable[FileDescriptorProto],
    former: Iterable[FileDescriptorProto],
    beside: Iterable[Path],
) -> bool:
    """Whether two files define the same thing, or one a package and the other a thing of a name.

    What was defined before did not clash, so only what is new is looked for.
    """
    ours: set[str] = set()
    packages: set[str] = set()
    for file in compiled:
        ours.update(_definitions(file))
        packages.update(_packages(file))
    for old in former:
        ours.difference_update(_definitions(old))
        packages.difference_update(_packages(old))
    if not ours and not packages:
        return False
    for path in beside:
        other = _descriptor_in(path)
        if other is None:
            return True
        theirs = set(_definitions(other))
        if theirs & ours or theirs & packages or ours & set(_packages(other)):
            return True
    return False


def _exports(file: FileDescriptorProto) -> bytes:
    kept = FileDescriptorProto()
    kept.CopyFrom(file)
    parts = ProtoFile(kept)
    for service in parts.services:
        service.proto.ClearField("method")
    for message in parts.every_message:
        message.proto.ClearField("field")
        message.proto.ClearField("oneof_decl")
    for extension in parts.every_extension:
        extension.proto.ClearField("json_name")  # generated code leaves it out
    return kept.SerializeToString(deterministic=True)


def _packages(file: FileDescriptorProto) -> Iterator[str]:
    parts = file.package.split(".") if file.package else []
    return (".".join(parts[: end + 1]) for end in range(len(parts)))


def _definitions(file: FileDescriptorProto) -> Iterator[str]:
    """Every top-level name, and every number that an extension takes."""
    prefix = f"{file.package}." if file.package else ""
    for named in (file.message_type, file.enum_type, file.service, file.extension):
        yield from (prefix + str(each.name) for each in named)
    for enum in file.enum_type:
        yield from (prefix + value.name for value in enum.value)  # siblings of their enum
    for extension in ProtoFile(file).every_extension:
        yield f"{extension.proto.extendee} {extension.number}"
