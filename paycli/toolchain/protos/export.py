"""Our contracts as files, with all that they import: what a compiler of any language needs."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from paycli.errors import InputError
from paycli.shipped import shipped
from paycli.toolchain.protos.protoc import compile_descriptors
from paycli.toolchain.protos.workspace import find_workspace

# Every compiler brings its own; a copy of another release would not fit its code.
_OF_COMPILERS: Final = "google/protobuf/"


class Exported(NamedTuple):
    """Names below the folder: what was written, and what was there already, the same."""

    written: list[str]
    unchanged: list[str]


def export(folder: Path, *, force: bool = False) -> Exported:
    """Write the contracts below a folder. Raises InputError.

    A file that is there and differs is an error before anything is written, or replaced with `force`.
    """
    files = contracts()
    there = {name: _content(folder / name) for name in files}
    differing = [name for name, content in there.items() if content not in (None, files[name])]
    if differing and not force:
        listed = ", ".join(str(folder / name) for name in differing)
        raise InputError(
            f"Other files are there already: {listed}. Nothing was written; --force replaces them."
        )
    written = [name for name, content in there.items() if content != files[name]]
    for name in written:
        _write(folder / name, files[name])
    return Exported(written, [name for name in files if name not in written])


def contracts() -> dict[str, bytes]:
    """Our protos and what they import, by their names; without what comes with every compiler."""
    workspace = find_workspace((shipped("proto"),), ())
    paths = {
        file.name: workspace.imported_path(file.name)
        for file in compile_descriptors(workspace).file
        if not file.name.startswith(_OF_COMPILERS)
    }
    return {name: path.read_bytes() for name, path in sorted(paths.items()) if path is not None}


def _content(path: Path) -> bytes | None:
    """None if nothing is there."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise InputError(f"{path} cannot be read: {problem.strerror}.") from problem


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(path)  # an interrupt leaves no half a proto
    except OSError as problem:
        raise InputError(f"{path} cannot be written: {problem.strerror}.") from problem
