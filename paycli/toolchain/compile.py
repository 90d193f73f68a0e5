"""protoc, run in this process through grpcio-tools."""

from __future__ import annotations

import os
import re
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, NamedTuple

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

from paycli.errors import InputError
from paycli.toolchain.complaints import explain, show
from paycli.toolchain.workspace import Workspace

_STDERR: Final = 2
_KINDS: Final = ("python", "grpc_python", "pyi")
_UNUSED: Final = re.compile(
    r"^(?P<path>.+?):(?:\d+:\d+:)? warning: Import (?P<imported>.+) is unused\.$", re.MULTILINE
)


class Compiled(NamedTuple):
    """What one run of protoc made: Python files by name, and the serialized descriptors."""

    files: dict[str, str]
    descriptors: bytes


def compile_python(workspace: Workspace, names: Sequence[str]) -> Compiled:
    """Messages, gRPC stubs and .pyi of these files of the workspace, as protoc makes them.

    Raises InputError with protoc's complaints, each as file:line:column and its line of source.
    """
    _refuse_other_encodings(workspace, names)
    with tempfile.TemporaryDirectory(prefix="paycli-gen-") as folder:
        # One archive per kind: far fewer files to make and read again than one per module.
        archives = {kind: f"{folder}/{kind}.zip" for kind in _KINDS}
        wanted = [f"--{kind}_out={archive}" for kind, archive in archives.items()]
        descriptors, _ = _protoc(workspace, names, folder, wanted)
        files = {
            name: content
            for archive in archives.values()
            for name, content in _unpack(archive).items()
        }
        return Compiled(files, descriptors)


def compile_descriptors(workspace: Workspace) -> FileDescriptorSet:
    """The workspace and all it imports, with source positions, each file after its imports.

    Raises InputError as `compile_python` does.
    """
    return describe(workspace).files


class Description(NamedTuple):
    """A descriptor set, and what protoc noticed beside: file name → imports that it does not use."""

    files: FileDescriptorSet
    unused_imports: Mapping[str, frozenset[str]]


def describe(workspace: Workspace) -> Description:
    """`compile_descriptors`, with the imports that are of no use."""
    with tempfile.TemporaryDirectory(prefix="paycli-gen-") as folder:
        descriptors, said = _protoc(workspace, workspace.names, folder, [])
    files = FileDescriptorSet.FromString(descriptors)
    return Description(files, _unused_imports(said, workspace))


def _protoc(
    workspace: Workspace, names: Sequence[str], folder: str, wanted: Sequence[str]
) -> tuple[bytes, str]:
    """Run protoc and return the serialized descriptors, and its warnings."""
    # protoc would take 'a=b' for folder b under the name a.
    arguments = ["protoc", *(f"-I={path}" for path in workspace.includes)]
    descriptors = Path(folder, "set.binpb")
    arguments += [f"--descriptor_set_out={descriptors}", "--include_imports"]
    arguments += ["--include_source_info", *wanted, *names]
    with tempfile.TemporaryFile() as stderr:
        with _stderr_into(stderr):
            failed = protoc.main(arguments)
        stderr.seek(0)
        said = stderr.read().decode(errors="replace")
    if failed:
        raise InputError(explain(said, workspace))
    return descriptors.read_bytes(), said


def _unused_imports(said: str, workspace: Workspace) -> dict[str, frozenset[str]]:
    complaints = list(_UNUSED.finditer(said))
    if not complaints:
        return {}
    names = {str(workspace.path_of(name)): name for name in workspace.names}
    unused: dict[str, frozenset[str]] = {}
    for complaint in complaints:
        name = names.get(str(Path(complaint["path"])), complaint["path"])
        unused[name] = unused.get(name, frozenset()) | {complaint["imported"]}
    return unused


def _refuse_other_encodings(workspace: Workspace, names: Sequence[str]) -> None:
    """protoc copies what is not UTF-8 from comments and strings into code that Python refuses."""
    for name in names:
        path = workspace.path_of(name)
        if path is None:
            continue
        try:
            content = path.read_bytes()
            content.decode()
        except OSError as problem:
            raise InputError(f"{path} cannot be read: {problem.strerror}.") from problem
        except UnicodeDecodeError as problem:
            before = content[: problem.start]
            line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
            said = f"byte 0x{content[problem.start]:02x} is not UTF-8; save the file as UTF-8."
            raise InputError(show(path, line, column, said)) from problem


def _unpack(archive: str) -> dict[str, str]:
    with zipfile.ZipFile(archive, metadata_encoding="utf-8") as opened:
        return {name: opened.read(name).decode() for name in opened.namelist()}


@contextmanager
def _stderr_into(stream: IO[bytes]) -> Iterator[None]:
    """protoc is C++ and writes to the descriptor, which sys.stderr knows nothing of."""
    saved = os.dup(_STDERR)
    os.dup2(stream.fileno(), _STDERR)
    try:
        yield
    finally:
        os.dup2(saved, _STDERR)
        os.close(saved)
