"""The Python code of protos: what protoc makes of them, mended to import and to parse."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from keyword import iskeyword
from typing import Final, NamedTuple

from google.protobuf.descriptor_pb2 import (
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

from paycli.toolchain.gen.collisions import refuse_collisions
from paycli.toolchain.gen.relative_imports import RelativeImports, mend_keywords
from paycli.toolchain.protos.protoc import Compilation
from paycli.toolchain.protos.python_names import module_of
from paycli.toolchain.stubs.comments import METHODS, SERVICES, Comments, comments, docstring
from paycli.toolchain.stubs.emit import emit_stubs

_NO_COMMENT: Final = '"""Missing associated documentation comment in .proto file."""'
_OWN_MODULE: Final = ".BuildTopDescriptorsAndMessages(DESCRIPTOR, {}, _globals)"
_REAL_MODULE: Final = _OWN_MODULE.format("__name__")


class Code(NamedTuple):
    """Files by name, the imports of each proto concerned, and all descriptors, serialized."""

    names: frozenset[str]
    contents: dict[str, bytes]
    imports: dict[str, tuple[str, ...]]
    descriptors: bytes


def make_code(
    made: Compilation, names: AbstractSet[str], generated: AbstractSet[str], descriptors: bytes
) -> Code:
    """Code of the protos `names`; imports of all that are `generated` become relative.

    Raises InputError.
    """
    files = FileDescriptorSet.FromString(descriptors)
    ours = [file for file in files.file if file.name in names]
    refuse_collisions(descriptors, ours, made.workspace)
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
        grpc = mend_keywords(grpc) if _has_keywords(file) else grpc
        mended[f"{stem}_grpc.py"] = _with_comments(grpc, file, comments(file))
    return mended


def _with_comments(code: str, file: FileDescriptorProto, said: Comments) -> str:
    """gRPC code with the comments of its proto, where protoc says that there are none."""
    parts = code.split(_NO_COMMENT)
    paths = [path for index, service in enumerate(file.service) for path in _places(service, index)]
    assert len(parts) == len(paths) + 1, f"protoc writes gRPC code of {file.name} in another way"
    written = [parts[0]]
    for path, part in zip(paths, parts[1:], strict=True):
        indent = written[-1].rpartition("\n")[2]
        text = docstring(said.get(path, "")) or _NO_COMMENT
        first, *others = text.split("\n")
        lines = (f"{indent}{line}" if line else "" for line in others)
        written += ["\n".join((first, *lines)), part]
    return "".join(written)


def _has_keywords(file: FileDescriptorProto) -> bool:
    """Whether protoc writes gRPC code that does not parse."""
    return any(
        iskeyword(part)
        for service in file.service
        for method in service.method
        for name in (service.name, method.name, method.input_type, method.output_type)
        for part in name.split(".")
    )


def _places(service: ServiceDescriptorProto, index: int) -> Iterator[tuple[int, ...]]:
    """Where protoc writes a comment: the stub, the servicer, its methods, the experimental class."""
    at = (SERVICES, index)
    yield from (at, at)
    yield from ((*at, METHODS, number) for number in range(len(service.method)))
    yield at
