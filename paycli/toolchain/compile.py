"""protoc, run in this process through grpcio-tools."""

from __future__ import annotations

import os
import re
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, NamedTuple

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

from paycli.errors import InputError
from paycli.toolchain.excerpt import display_column, excerpt, source_lines
from paycli.toolchain.workspace import Workspace

_STDERR: Final = 2
_POSITION: Final = re.compile(r"(?P<name>[^:\n]+\.proto):(?:(?P<line>\d+):(?P<column>\d+):)? ")

_UNUSED: Final = re.compile(
    r"^(?P<path>.+?):(?:\d+:\d+:)? warning: Import (?P<imported>.+) is unused\.$", re.MULTILINE
)


def compile_python(workspace: Workspace) -> dict[str, str]:
    """Messages, gRPC stubs and .pyi of the workspace as protoc makes them: name → content.

    Raises InputError with protoc's complaints, each as file:line:column and its line of source.
    """
    with tempfile.TemporaryDirectory(prefix="paycli-gen-") as folder:
        # One archive per kind: far fewer files to make and read again than one per module.
        archives = {kind: f"{folder}/{kind}.zip" for kind in ("python", "grpc_python", "pyi")}
        _protoc(workspace, [f"--{kind}_out={archive}" for kind, archive in archives.items()])
        return {
            name: content
            for archive in archives.values()
            for name, content in _unpack(archive).items()
        }


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
        file = Path(folder, "set.binpb")
        wanted = [f"--descriptor_set_out={file}", "--include_imports", "--include_source_info"]
        said = _protoc(workspace, wanted)
        files = FileDescriptorSet.FromString(file.read_bytes())
    return Description(files, _unused_imports(said, workspace))


def _protoc(workspace: Workspace, wanted: list[str]) -> str:
    """Run protoc and return its warnings."""
    includes = [f"-I{path}" for path in workspace.includes]
    with tempfile.TemporaryFile() as stderr:
        with _stderr_into(stderr):
            failed = protoc.main(["protoc", *includes, *wanted, *workspace.names])
        stderr.seek(0)
        said = stderr.read().decode(errors="replace")
    if failed:
        raise InputError(_explain(said, workspace))
    return said


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


def _unpack(archive: str) -> dict[str, str]:
    with zipfile.ZipFile(archive) as opened:
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


def _explain(said: str, workspace: Workspace) -> str:
    complaints = [line for line in said.splitlines() if "warning:" not in line]
    explained = [_locate(complaint, workspace) for complaint in complaints if complaint.strip()]
    return "\n".join(explained) or "protoc failed without a word."


def _locate(complaint: str, workspace: Workspace) -> str:
    """The complaint with the file's real path, and below it the line and a caret.

    protoc says the path for what it parsed, and the name for what it then linked.
    """
    found = _POSITION.match(complaint)
    if found is None:
        return complaint
    path = workspace.path_of(found["name"]) or Path(found["name"])
    if not path.is_file():
        return complaint
    message = complaint[found.end() :]
    if found["line"] is None:
        return f"{path}: {message}"
    line, column = int(found["line"]), int(found["column"])
    lines = source_lines(path)
    if 0 < line <= len(lines):
        column = display_column(lines[line - 1], column)
    return f"{path}:{line}:{column}: {message}\n{excerpt(path, line, column)}".rstrip("\n")
