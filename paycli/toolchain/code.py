"""The Python code of protos: what protoc makes of them, mended to import and to parse."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from keyword import iskeyword
from pathlib import Path
from typing import Final, NamedTuple

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

from paycli.toolchain.compile import compile_python
from paycli.toolchain.imports import RelativeImports, mend_keywords, module_of
from paycli.toolchain.stubs import emit_stubs
from paycli.toolchain.workspace import Workspace

_DESCRIPTOR: Final = re.compile(r"AddSerializedFile\((b'.*')\)$", re.MULTILINE)
_OWN_MODULE: Final = ".BuildTopDescriptorsAndMessages(DESCRIPTOR, {}, _globals)"
_REAL_MODULE: Final = _OWN_MODULE.format("__name__")


class Code(NamedTuple):
    """Files by name, the imports of each proto concerned, and all descriptors, serialized."""

    names: frozenset[str]
    contents: dict[str, bytes]
    imports: dict[str, tuple[str, ...]]
    descriptors: bytes


def make_code(
    workspace: Workspace,
    names: AbstractSet[str],
    generated: AbstractSet[str],
    beside: Mapping[str, Path],
    former: Iterable[Path] = (),
) -> Code:
    """Code of the protos `names`; imports of all that are `generated` become relative.

    `beside` is the unchanged code of other protos, `former` the former code of these. protoc does
    not see the others, so a name that one of them defines already would go unnoticed; then
    everything is compiled, and protoc explains.
    """
    with compile_python(workspace, sorted(names)) as made:
        descriptors = made.descriptors()
        files = FileDescriptorSet.FromString(descriptors)
        compiled = (file for file in files.file if file.name in names)
        if beside and _clash(compiled, former, beside.values()):
            return make_code(workspace, names | beside.keys(), generated, {})
        stubs = emit_stubs(files, names, generated)
        modules = {module_of(name) for name in generated}
        contents = _modules(made.code(), files, names, modules) | stubs
    return Code(
        frozenset(names),
        {name: text.encode() for name, text in contents.items()},
        {file.name: (*file.dependency, *file.option_dependency) for file in files.file},
        descriptors,
    )


def _modules(
    code: Mapping[str, str],
    files: FileDescriptorSet,
    names: Collection[str],
    modules: Collection[str],
) -> dict[str, str]:
    """Messages and gRPC code."""
    by_depth: dict[int, RelativeImports] = {}
    mended: dict[str, str] = {}
    for file in files.file:
        if file.name not in names:
            continue
        module = module_of(file.name)
        stem, depth = module.replace(".", "/"), module.count(".")
        imports = by_depth.get(depth) or RelativeImports(modules, depth)
        by_depth[depth] = imports
        # The classes' module is where they are, so that pickle and friends find them.
        messages = code[f"{stem}.py"].replace(_OWN_MODULE.format(repr(module)), _REAL_MODULE)
        mended[f"{stem}.py"] = imports.mend(messages)
        grpc = imports.mend(code[f"{stem}_grpc.py"])
        mended[f"{stem}_grpc.py"] = mend_keywords(grpc) if _has_keywords(file) else grpc
    return mended


def _has_keywords(file: FileDescriptorProto) -> bool:
    """Whether protoc writes gRPC code that does not parse."""
    return any(
        iskeyword(part)
        for service in file.service
        for method in service.method
        for name in (service.name, method.name, method.input_type, method.output_type)
        for part in name.split(".")
    )


def _clash(
    compiled: Iterable[FileDescriptorProto], former: Iterable[Path], beside: Iterable[Path]
) -> bool:
    """Whether two files define the same thing, or one a package and the other a thing of a name.

    What was defined before did not clash, so only what is new is looked for.
    """
    ours: set[str] = set()
    packages: set[str] = set()
    for file in compiled:
        ours.update(_definitions(file))
        packages.update(_packages(file))
    for path in former:
        if old := _descriptor_in(path):
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


def _descriptor_in(path: Path) -> FileDescriptorProto | None:
    """The descriptor that stands in generated code."""
    found = _DESCRIPTOR.search(path.read_text(encoding="utf-8"))
    return FileDescriptorProto.FromString(ast.literal_eval(found[1])) if found else None


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
    for extension in (*file.extension, *_inner_extensions(file.message_type)):
        yield f"{extension.extendee} {extension.number}"


def _inner_extensions(messages: Iterable[DescriptorProto]) -> Iterator[FieldDescriptorProto]:
    for message in messages:
        yield from message.extension
        yield from _inner_extensions(message.nested_type)
