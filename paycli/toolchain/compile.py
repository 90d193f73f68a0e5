"""protoc, run in this process through grpcio-tools."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from grpc_tools import protoc

from paycli.errors import InputError
from paycli.toolchain.workspace import Workspace

_STDERR: Final = 2
_POSITION: Final = re.compile(r"(?P<name>[^:\n]+\.proto):(?:(?P<line>\d+):(?P<column>\d+):)? ")


def compile_python(workspace: Workspace, out: Path) -> None:
    """Write messages, gRPC stubs and .pyi of the workspace into `out`, as protoc makes them.

    Raises InputError with protoc's complaints, each as file:line:column and its line of source.
    """
    outputs = [f"--{kind}_out={out}" for kind in ("python", "grpc_python", "pyi")]
    includes = [f"-I{path}" for path in workspace.includes]
    with tempfile.TemporaryFile() as stderr:
        with _stderr_into(stderr):
            failed = protoc.main(["protoc", *includes, *outputs, *workspace.names])
        stderr.seek(0)
        said = stderr.read().decode(errors="replace")
    if failed:
        raise InputError(_explain(said, workspace))


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
    """The complaint with the file's real path, and below it the line and a caret."""
    found = _POSITION.match(complaint)
    path = workspace.path_of(found["name"]) if found else None
    if found is None or path is None:
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
