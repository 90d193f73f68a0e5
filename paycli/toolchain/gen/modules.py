"""The Python code of protos: what protoc makes of them, mended to import and to parse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from keyword import iskeyword
from typing import Final, NamedTuple

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from paycli.toolchain.gen.collisions import refuse_collisions
from paycli.toolchain.gen.relative_imports import RelativeImports, mend_keywords
from paycli.toolchain.protos.descriptors import Method, ProtoFile, Service
from paycli.toolchain.protos.protoc import Compilation
from paycli.toolchain.protos.python_names import module_of
from paycli.toolchain.protos.schema import Schema
from paycli.toolchain.stubs.comments import docstring_of
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
    schema = Schema(FileDescriptorSet.FromString(descriptors), names)
    refuse_collisions(descriptors, schema.files.values(), made.workspace)
    stubs = emit_stubs(schema, generated)
    contents = _modules(made.code(), schema.files.values(), generated) | stubs
    return Code(
        frozenset(names),
        {name: text.encode() for name, text in contents.items()},
        {name: _imports(file.proto) for name, file in schema.everything.items()},
        descriptors,
    )


def _imports(proto: FileDescriptorProto) -> tuple[str, ...]:
    return (*proto.dependency, *proto.option_dependency)


def _modules(
    code: Mapping[str, str], files: Iterable[ProtoFile], generated: Iterable[str]
) -> dict[str, str]:
    """Messages and gRPC code."""
    modules = {module_of(name) for name in generated}
    by_depth: dict[int, RelativeImports] = {}
    mended: dict[str, str] = {}
    for file in files:
        module = module_of(file.name)
        stem, depth = module.replace(".", "/"), module.count(".")
        imports = by_depth.get(depth) or RelativeImports(modules, depth)
        by_depth[depth] = imports
        # The classes' module is where they are, so that pickle and friends find them.
        messages = code[f"{stem}.py"].replace(_OWN_MODULE.format(repr(module)), _REAL_MODULE)
        mended[f"{stem}.py"] = imports.mend(messages)
        grpc = imports.mend(code[f"{stem}_grpc.py"])
        grpc = mend_keywords(grpc) if _has_keywords(file) else grpc
        mended[f"{stem}_grpc.py"] = _with_comments(grpc, file)
    return mended


def _with_comments(code: str, file: ProtoFile) -> str:
    """gRPC code with the comments of its proto, where protoc says that there are none."""
    parts = code.split(_NO_COMMENT)
    elements = [element for service in file.services for element in _commented(service)]
    assert len(parts) == len(elements) + 1, f"protoc writes gRPC code of {file.name} in another way"
    written = [parts[0]]
    for element, part in zip(elements, parts[1:], strict=True):
        indent = written[-1].rpartition("\n")[2]
        text = docstring_of(element) or _NO_COMMENT
        first, *others = text.split("\n")
        lines = (f"{indent}{line}" if line else "" for line in others)
        written += ["\n".join((first, *lines)), part]
    return "".join(written)


def _has_keywords(file: ProtoFile) -> bool:
    """Whether protoc writes gRPC code that does not parse."""
    return any(
        iskeyword(part)
        for service in file.services
        for method in service.methods.values()
        for name in (service.name, method.name, method.proto.input_type, method.proto.output_type)
        for part in name.split(".")
    )


def _commented(service: Service) -> Iterator[Service | Method]:
    """Where protoc writes a comment: the stub, the servicer, its methods, the experimental class."""
    yield from (service, service)
    yield from service.methods.values()
    yield service
