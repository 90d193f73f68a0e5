"""The proto tree: which files there are, what they are called, and where their imports are found.

A file's name is its path below its root (`acme/pay/v1/pay.proto`): the name that other files
import it by, that descriptors carry, and that decides where its code goes.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from paycli.errors import InputError

_SUFFIX: Final = ".proto"
_WELL_KNOWN: Final = "google/protobuf/"
_NOT_OURS: Final = {"node_modules", "__pycache__"}  # nor hidden folders and virtual environments
_SITE_FOLDERS: Final = {"site-packages", "dist-packages"}


class Workspace(NamedTuple):
    """Roots to import from, and the names of the files to compile."""

    roots: tuple[Path, ...]
    names: tuple[str, ...]

    @property
    def includes(self) -> tuple[Path, ...]:
        """Every folder that imports are looked up in, own roots first."""
        return (*self.roots, *installed_includes())

    def path_of(self, name: str) -> Path | None:
        """Where a file of this tree lies."""
        return _first_with(self.roots, name)

    def imported_path(self, name: str) -> Path | None:
        """Where an import of this name is found, in the tree or among what is installed."""
        return _first_with(self.includes, name)

    def is_installed(self, name: str) -> bool:
        """Whether a file comes with an installed package, as the well-known types do."""
        return any((include / name).is_file() for include in installed_includes())


def find_workspace(roots: Sequence[Path], protos: Sequence[Path]) -> Workspace:
    """The tree below `roots`, or only the given files of it. Raises InputError."""
    for root in roots:
        if not root.is_dir():
            raise InputError(f"{root} is not a folder; name the root of the protos with -I DIR.")
        if os.pathsep in str(root):
            raise InputError(f"{root}: protoc takes '{os.pathsep}' for two paths; rename the root.")
    names = {_name_of(path, roots) for path in protos} if protos else _names_below(roots)
    if not names:
        searched = ", ".join(map(str, roots))
        raise InputError(f"There is no .proto file in {searched}; name the root with -I DIR.")
    return Workspace(tuple(roots), tuple(sorted(names)))


def comes_with_protobuf(name: str) -> bool:
    """Whether the runtime has the code. A copy of another release would not load beside it."""
    if not name.startswith(_WELL_KNOWN):
        return False
    runtime = importlib.util.find_spec("google.protobuf")
    assert runtime is not None
    assert runtime.origin is not None
    code = name.removeprefix(_WELL_KNOWN).removesuffix(_SUFFIX) + "_pb2.py"
    return Path(runtime.origin).parent.joinpath(code).is_file()


@cache
def installed_includes() -> tuple[Path, ...]:
    """The well-known types of grpcio-tools, and whatever installed packages ship beside their code.

    googleapis-common-protos is one of these: google/api, google/rpc, google/type.
    """
    tools = importlib.util.find_spec("grpc_tools")
    assert tools is not None
    assert tools.origin is not None
    well_known = Path(tools.origin).parent / "_proto"
    sites = (Path(folder) for folder in sys.path if Path(folder).name in _SITE_FOLDERS)
    return (well_known, *dict.fromkeys(site for site in sites if site.is_dir()))


def count_shared(one: Sequence[str], other: Sequence[str]) -> int:
    """How many items two paths begin with in common."""
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return sum(1 for _ in same)


def _first_with(folders: Sequence[Path], name: str) -> Path | None:
    places = (os.path.join(folder, name) for folder in folders)  # noqa: PTH118 - hundreds a run
    return next((Path(place) for place in places if os.path.isfile(place)), None)  # noqa: PTH113


def _names_below(roots: Sequence[Path]) -> set[str]:
    """All names; one that two roots have is taken from the first, if the files are the same."""
    found: dict[str, Path] = {}
    for root in roots:
        for path in _walk(root, roots):
            name = path.relative_to(root).as_posix()
            first = found.setdefault(name, path)
            if first != path and first.read_bytes() != path.read_bytes():
                raise InputError(
                    f"{path}: {first} has the same name below its root but other content; "
                    "rename one, or leave out a root."
                )
    return set(found)


def folders_below(roots: Sequence[Path]) -> Iterator[str]:
    """Every folder that is searched for protos."""
    for root in roots:
        for folder, folders, _ in os.walk(root):
            folders[:] = [name for name in folders if _is_searched(Path(folder, name))]
            yield folder


def _walk(root: Path, roots: Sequence[Path]) -> Iterator[Path]:
    """The protos of a root, without those of other roots inside it."""
    inner = {other.resolve() for other in roots} - {root.resolve()}
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        for link in (here / name for name in folders if (here / name).is_symlink()):
            if _is_searched(link) and any(_target(link).rglob(f"*{_SUFFIX}")):
                _refuse_way_out(link, roots)
        folders[:] = [
            name
            for name in folders
            if _is_searched(here / name) and not (inner and (here / name).resolve() in inner)
        ]
        for path in (here / name for name in files if name.endswith(_SUFFIX)):
            if path.is_symlink():
                _refuse_way_out(path, roots)
            yield path


def _is_searched(folder: Path) -> bool:
    if folder.name.startswith(".") or folder.name in _NOT_OURS:
        return False
    return not (folder / "pyvenv.cfg").exists()


def _refuse_way_out(link: Path, roots: Sequence[Path]) -> None:
    target = _target(link)
    if not target.exists():
        raise InputError(f"{link} is a link to {target}, which does not exist.")
    if not any(target.is_relative_to(root.resolve()) for root in roots):
        raise InputError(
            f"{link} is a link out of the tree, to {target}. Copy it into the tree, or name the "
            "root of its target with -I DIR."
        )


def _target(link: Path) -> Path:
    return Path(os.path.realpath(link))  # unlike resolve(), no error for a circle of links


def _name_of(path: Path, roots: Sequence[Path]) -> str:
    if path.is_dir():
        raise InputError(f"{path} is a folder; name .proto files, or the root with -I {path}.")
    if not path.is_file():
        raise InputError(f"{path} is not a file; name a .proto file.")
    if path.suffix != _SUFFIX:
        raise InputError(f"{path} does not end in .proto; name a .proto file.")
    if path.is_symlink():
        _refuse_way_out(path, roots)
    # Not resolved as a whole: a link keeps the name that it has in the tree.
    place = path.parent.resolve() / path.name
    around = [root for root in roots if place.is_relative_to(root.resolve())]
    if not around:
        searched = ", ".join(map(str, roots))
        raise InputError(f"{path} lies outside of {searched}; name its root with -I DIR.")
    innermost = max(around, key=lambda root: len(root.resolve().parts))
    return place.relative_to(innermost.resolve()).as_posix()
