"""The old side of `breaking`: from a directory, a descriptor set, or a git revision.

A path that exists is what it is, a directory or a file; everything else is a git revision. (A
revision that a path hides can be said in another way, such as `heads/proto`.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import DecodeError

from paycli.errors import InputError
from paycli.toolchain.protos.protoc import compile_descriptors
from paycli.toolchain.protos.revisions import prefix_of, protos_at, resolve_commit
from paycli.toolchain.protos.scratch import scratch_folder
from paycli.toolchain.protos.workspace import Workspace, find_workspace
from paycli.toolchain.rules.buf_config import BufConfig

_SET_HINT: Final = "make one with 'protoc --include_imports --descriptor_set_out=FILE'"


@dataclass(frozen=True, slots=True)
class Former:
    """What the protos were: descriptors, and where each own file (no import) would lie today."""

    descriptors: FileDescriptorSet
    paths: dict[str, Path]


def read_former(against: str, workspace: Workspace, config: BufConfig) -> Former:
    """The old side of a workspace, without what its modules leave out. Raises InputError."""
    if not against.strip():  # an unset variable in a script; as a path it would be the folder here
        raise InputError(
            "--against is empty; name a git revision, a directory or a descriptor set."
        )
    path = Path(against)
    try:
        exists = path.exists()
    except OSError as problem:  # too long for a name, or in a folder that is closed to us
        raise InputError(f"Cannot read --against {against}: {problem.strerror}.") from problem
    if path.is_dir():
        return _from_directory(path, workspace, config)
    if exists:
        return _from_descriptor_set(path, workspace, config)
    return _from_git(against, workspace, config)


def _from_directory(path: Path, workspace: Workspace, config: BufConfig) -> Former:
    """The directory is the one root of the old protos."""
    try:
        names = find_workspace([path], []).names
    except InputError as problem:
        raise InputError(f"There is no .proto file in {path}, the old side.") from problem
    paths = _paths(names, workspace, config)
    return Former(_compile(Workspace((path,), tuple(paths)), str(path)), paths)


def _from_descriptor_set(path: Path, workspace: Workspace, config: BufConfig) -> Former:
    if not path.is_file():
        raise InputError(f"{path} is neither a directory of protos nor a descriptor set.")
    if path.suffix == ".proto":
        raise InputError(f"{path} is a proto; name the directory of the old protos instead.")
    try:
        descriptors = FileDescriptorSet.FromString(path.read_bytes())
    except OSError as problem:
        raise InputError(f"Cannot read {path}: {problem.strerror}.") from problem
    except DecodeError as problem:
        raise InputError(f"{path} is no descriptor set; {_SET_HINT}.") from problem
    if not all(file.name.endswith(".proto") for file in descriptors.file):
        raise InputError(f"{path} is no descriptor set; {_SET_HINT}.")
    if not descriptors.file:
        raise InputError(f"{path} has no file in it; {_SET_HINT}.")
    names = [file.name for file in descriptors.file]
    own = [name for name in names if name in workspace.names or not workspace.is_installed(name)]
    return Former(descriptors, _paths(own, workspace, config))


def _from_git(ref: str, workspace: Workspace, config: BufConfig) -> Former:
    """The same roots, as they were; a root may lie in a repository of its own."""
    paths: dict[str, Path] = {}
    with scratch_folder() as folder:
        copies: dict[Path, str] = {}
        for number, root in enumerate(workspace.roots):
            protos = protos_at(root, resolve_commit(root, ref))
            copy = Path(folder, str(number))
            copies[copy] = f"{ref}:{prefix_of(root)}"
            for name, content in protos.items():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                (copy / name).write_bytes(content)
            names = (name for name in protos if config.covers(root / name))
            paths = {name: root / name for name in names} | paths
        if not paths:
            searched = ", ".join(map(str, workspace.roots))
            raise InputError(f"There was no .proto file in {searched} at {ref}.")
        former = Workspace(tuple(copies), tuple(sorted(paths)))
        return Former(_compile(former, ref, copies), paths)


def _compile(
    former: Workspace, label: str, copies: Mapping[Path, str] = MappingProxyType({})
) -> FileDescriptorSet:
    try:
        return compile_descriptors(former)
    except InputError as problem:
        said = problem.message
        for copy, revision in copies.items():
            said = said.replace(f"{copy}/", revision)  # as `git show` takes it
        raise InputError(f"The old side, {label}, does not compile:\n{said}") from problem


def _paths(names: Iterable[str], workspace: Workspace, config: BufConfig) -> dict[str, Path]:
    """Where files are today; one that is gone would be in the first root."""
    paths = {name: workspace.path_of(name) or workspace.roots[0] / name for name in names}
    return {name: path for name, path in paths.items() if config.covers(path)}
