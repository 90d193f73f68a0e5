"""protoc, run in this process through grpcio-tools."""

from __future__ import annotations

import os
import re
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

from paycli.errors import InputError
from paycli.toolchain.workspace import Workspace

_STDERR: Final = 2
_POSITION: Final = re.compile(r"(?P<name>[^:\n]+\.proto):(?:(?P<line>\d+):(?P<column>\d+):)? ")


def compile_python(workspace: Workspace) -> dict[str, str]:
    """Messages and gRPC stubs of the workspace as protoc makes them: name → content.

    Raises InputError with protoc's complaints, each as file:line:column and its line of source.
    """
    with tempfile.TemporaryDirectory(prefix="paycli-gen-") as folder:
        # One archive per kind: far fewer files to make and read again than one per module.
        archives = {kind: f"{folder}/{kind}.zip" for kind in ("python", "grpc_python")}
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
    with tempfile.TemporaryDirectory(prefix="paycli-gen-") as folder:
        file = Path(folder, "set.binpb")
        wanted = [f"--descriptor_set_out={file}", "--include_imports", "--include_source_info"]
        _protoc(workspace, wanted)
        return FileDescriptorSet.FromString(file.read_bytes())


def _protoc(workspace: Workspace, wanted: list[str]) -> None:
    includes = [f"-I{path}" for path in workspace.includes]
    with tempfile.TemporaryFile() as stderr:
        with _stderr_into(stderr):
            failed = protoc.main(["protoc", *includes, *wanted, *workspace.names])
        if failed:
            stderr.seek(0)
            raise InputError(_explain(stderr.read().decode(errors="replace"), workspace))


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
    where = f"{path}:{line}:{column}: {message}"
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    if not 0 < line <= len(lines):
        return where
    source = lines[line - 1].replace("\t", " ")
    return f"{where}\n    {source}\n    {' ' * (column - 1)}^"
