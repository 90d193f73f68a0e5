"""protoc, as it comes with grpcio-tools.

Descriptors are made in this process. Code takes protoc three times as long and is made in another
one meanwhile, which loads nothing but protoc and starts before this one has loaded protobuf.
"""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, NamedTuple

from paycli.errors import InputError
from paycli.toolchain.protos.scratch import no_room, scratch_folder
from paycli.toolchain.protos.workspace import Workspace, installed_includes

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import FileDescriptorSet

_STDERR: Final = 2
_KINDS: Final = ("python", "grpc_python")
_UNUSED: Final = re.compile(
    r"^(?P<path>.+?):(?:\d+:\d+:)? warning: Import (?P<imported>.+) is unused\.$", re.MULTILINE
)


# The extension module itself: grpc_tools.protoc, around it, takes three times as long to load.
_PROTOC: Final = (
    "import os, sys; sys.path.append(sys.argv[1]); "
    "from grpc_tools._protoc_compiler import run_main; "
    "sys.exit(any(run_main([b'protoc', os.fsencode(each)]) for each in sys.argv[2:]))"
)


class Compilation:
    """protoc at work on the code, which is to come."""

    def __init__(
        self, workspace: Workspace, names: Sequence[str], folder: str, said: IO[bytes]
    ) -> None:
        # One archive per kind: far fewer files to make and read again than one per module.
        self._archives = {kind: Path(folder, f"{kind}.zip") for kind in _KINDS}
        messages, services = (f"--{kind}_out={path}" for kind, path in self._archives.items())
        # The plugin for gRPC copies comments as if they were code: it gets descriptors without. Not
        # so the messages: theirs would then have a json_name that code of other compilers lacks,
        # and two descriptors of a file have to be the same in one process.
        bare = f"{folder}/bare.binpb"
        steps = (
            [*_includes(workspace), "--include_imports", f"--descriptor_set_out={bare}", messages],
            [f"--descriptor_set_in={bare}", services],
        )
        packages = str(installed_includes()[0].parents[1])
        command = [sys.executable, "-I", "-S", "-c", _PROTOC, packages]
        for number, arguments in enumerate(steps):
            file = Path(folder, f"step{number}")  # there may be more than a command line takes
            file.write_text("\n".join((*arguments, *names)), encoding="utf-8")
            command.append(f"@{file}")
        self.workspace = workspace
        self._names = names
        self._folder = folder
        self._said = said
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said
        )

    def descriptors(self) -> bytes:
        """A serialized FileDescriptorSet, made here and now. Raises InputError."""
        return _protoc(self.workspace, self._names, self._folder)[0]

    def code(self) -> dict[str, str]:
        """Python files by name, without comments, once they are there. Raises InputError."""
        if self._process.wait():
            self._said.seek(0)
            raise _complaints(self._said.read(), self.workspace, self._folder)
        return {
            name: content
            for archive in self._archives.values()
            for name, content in _unpack(archive.read_bytes())
        }

    def end(self) -> None:
        """Leave nothing running."""
        self._process.kill()
        self._process.wait()


@contextmanager
def compile_python(workspace: Workspace, names: Sequence[str]) -> Iterator[Compilation]:
    """Messages and gRPC stubs of these files of the workspace, as protoc makes them.

    Raises InputError with protoc's complaints, each as file:line:column and its line of source.
    """
    _refuse_other_encodings(workspace, names)
    with scratch_folder() as folder, _memory() as said:
        compilation = Compilation(workspace, names, folder, said)
        try:
            yield compilation
        finally:
            compilation.end()


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
    with scratch_folder() as folder:
        descriptors, said = _protoc(workspace, workspace.names, folder)
    from google.protobuf.descriptor_pb2 import FileDescriptorSet

    files = FileDescriptorSet.FromString(descriptors)
    return Description(files, _unused_imports(said, workspace))


def _memory() -> IO[bytes]:
    """Where protoc says why it failed, which may be that the disk is full."""
    if sys.platform == "linux":
        return open(os.memfd_create("protoc"), "w+b")  # noqa: PTH123 - no path
    return tempfile.TemporaryFile()


def _protoc(workspace: Workspace, names: Sequence[str], folder: str) -> tuple[bytes, str]:
    """Run protoc and return the serialized descriptors, and its warnings."""
    from grpc_tools._protoc_compiler import run_main

    descriptors = Path(folder, "set.binpb")
    arguments = ["protoc", *_includes(workspace), f"--descriptor_set_out={descriptors}"]
    arguments += ["--include_imports", "--include_source_info", *names]
    with _memory() as stderr:
        with _stderr_into(stderr):
            failed = run_main([os.fsencode(argument) for argument in arguments])
        stderr.seek(0)
        said = stderr.read()
    if failed:
        raise _complaints(said, workspace, folder)
    return descriptors.read_bytes(), said.decode(errors="replace")


def _includes(workspace: Workspace) -> Iterator[str]:
    # protoc would take 'a=b' for folder b under the name a.
    return (f"-I={path}" for path in workspace.includes)


def _complaints(said: bytes, workspace: Workspace, folder: str) -> InputError:
    from paycli.toolchain.protos.complaints import explain  # nearly never needed, and slow to load

    text = said.decode(errors="replace")
    if unwritten := re.search(rf"^{re.escape(folder)}\S*: (?P<why>.+)$", text, re.MULTILINE):
        return no_room(unwritten["why"])
    return InputError(explain(text, workspace))


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
            from paycli.toolchain.protos.complaints import show

            before = content[: problem.start]
            line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
            said = f"byte 0x{content[problem.start]:02x} is not UTF-8; save the file as UTF-8."
            raise InputError(show(path, line, column, said)) from problem


def _unpack(archive: bytes) -> Iterator[tuple[str, str]]:
    """The files of a zip archive as protoc writes it, uncompressed: a header before each."""
    at = 0
    while archive.startswith(b"PK\3\4", at):
        size, name_size, extra_size = struct.unpack_from("<IHH", archive, at + 22)
        name_at = at + 30
        content_at = name_at + name_size + extra_size
        name = archive[name_at : name_at + name_size]
        at = content_at + size
        yield name.decode(), archive[content_at:at].decode()


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
