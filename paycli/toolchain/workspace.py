"""The proto tree: which files there are, what they are called, and where their imports are found.

A file's name is its path below its root (`acme/pay/v1/pay.proto`): the name that other files
import it by, that descriptors carry, and that decides where its code goes.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from paycli.errors import InputError


@dataclass(frozen=True, slots=True)
class Workspace:
    """Roots to import from, and the names of the files to compile."""

    roots: tuple[Path, ...]
    names: tuple[str, ...]

    @property
    def includes(self) -> tuple[Path, ...]:
        """Every folder that imports are looked up in, own roots first."""
        return (*self.roots, *_installed_includes())

    def path_of(self, name: str) -> Path | None:
        """Where a file of this tree lies."""
        paths = (root / name for root in self.roots)
        return next((path for path in paths if path.is_file()), None)

    def is_installed(self, name: str) -> bool:
        """Whether a file comes with an installed package, as the well-known types do."""
        return any((include / name).is_file() for include in _installed_includes())


def find_workspace(roots: Sequence[Path], protos: Sequence[Path]) -> Workspace:
    """The tree below `roots`, or only the given files of it. Raises InputError."""
    for root in roots:
        if not root.is_dir():
            raise InputError(f"{root} is not a folder; name the root of the protos with -I DIR.")
    if protos:
        names = [_name_of(path, roots) for path in protos]
    else:
        names = [
            path.relative_to(root).as_posix() for root in roots for path in root.rglob("*.proto")
        ]
    if not names:
        searched = ", ".join(map(str, roots))
        raise InputError(f"There is no .proto file in {searched}; name the root with -I DIR.")
    return Workspace(tuple(roots), tuple(sorted(set(names))))


def _name_of(path: Path, roots: Sequence[Path]) -> str:
    if not path.is_file():
        raise InputError(f"{path} is not a file; name a .proto file.")
    for root in roots:
        if path.resolve().is_relative_to(root.resolve()):
            return path.resolve().relative_to(root.resolve()).as_posix()
    searched = ", ".join(map(str, roots))
    raise InputError(f"{path} lies outside of {searched}; name its root with -I DIR.")


def _installed_includes() -> tuple[Path, ...]:
    """The well-known types of grpcio-tools, and google/rpc, google/type of googleapis."""
    tools = importlib.util.find_spec("grpc_tools")
    assert tools is not None
    assert tools.origin is not None
    includes = [Path(tools.origin).parent / "_proto"]
    googleapis = importlib.util.find_spec("google.rpc")
    if googleapis is not None and googleapis.submodule_search_locations:
        includes.append(Path(next(iter(googleapis.submodule_search_locations))).parents[1])
    return tuple(includes)
