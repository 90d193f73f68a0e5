"""Generated code as a tree on disk: what it should be, what it is, and the step between.

A manifest in the output folder lists what `gen` wrote, with hashes. It is how gen knows its own:
only files in it are ever removed, and an `__init__.py` of somebody else is left as it is.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from paycli.errors import InputError
from paycli.toolchain.compile import compile_descriptors, compile_python
from paycli.toolchain.imports import make_relative, module_of
from paycli.toolchain.stubs import emit_stubs
from paycli.toolchain.workspace import Workspace

MANIFEST: Final = ".paycli-gen.json"
_PROTOC_MARK: Final = "enerated by the "  # stands in the first lines of all that protoc writes
_WRITERS: Final = 4
_INIT: Final = "__init__.py"

Files = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Drift:
    """How a tree differs from what it should be; names relative to the output folder."""

    stale: tuple[str, ...]
    missing: tuple[str, ...]
    left_over: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Whether the tree is as it should be."""
        return not (self.stale or self.missing or self.left_over)


def generate(workspace: Workspace) -> dict[str, str]:
    """The generated files of a workspace: relative name → content, the same bytes every time."""
    modules = {module_of(name) for name in workspace.names}
    files: dict[str, str] = {}
    for name, code in sorted(compile_python(workspace).items()):
        module = name.partition(".")[0].removesuffix("_grpc").replace("/", ".")
        files[name] = make_relative(code, module, modules)
    files |= emit_stubs(compile_descriptors(workspace), workspace.names)
    return files | dict.fromkeys(_package_markers(files), "")


def find_drift(files: Files, out: Path, *, whole_tree: bool) -> Drift:
    """Compare the tree in `out` with what it should be.

    `whole_tree` False looks at these files only and says nothing of the ones beside them.
    """
    written = _read_manifest(out)
    wanted = _without_foreign_inits(files, out, written)
    missing = tuple(name for name in wanted if not (out / name).exists())
    stale = tuple(
        name
        for name, content in wanted.items()
        if name not in missing and _read(out / name) != content
    )
    gone = sorted(written.keys() - files.keys()) if whole_tree else []
    return Drift(stale, missing, tuple(name for name in gone if (out / name).exists()))


def write(files: Files, out: Path, *, whole_tree: bool) -> Drift:
    """Bring `out` in line with `files` and say what was different. Raises InputError."""
    written = _read_manifest(out)
    wanted = _without_foreign_inits(files, out, written)
    drift = find_drift(files, out, whole_tree=whole_tree)
    for name in drift.stale:
        if name not in written and _PROTOC_MARK not in _read(out / name):
            raise InputError(
                f"{out / name} was not written by gen. Move it, or choose another --out."
            )
    hashes = {name: _hash(content) for name, content in wanted.items()}
    try:
        with ThreadPoolExecutor(_WRITERS) as pool:  # making files is the system's work, not ours
            changed = (*drift.stale, *drift.missing)
            list(pool.map(lambda name: _replace(out / name, wanted[name]), changed))
        for name in drift.left_over:
            (out / name).unlink()
            _remove_empty_folders((out / name).parent, out)
        _write_manifest(out, hashes if whole_tree else written | hashes)
    except OSError as problem:
        raise InputError(f"Cannot write into {out}: {problem.strerror}.") from problem
    return drift


def _package_markers(files: Files) -> list[str]:
    """An `__init__.py` for each folder, but none that would hide the installed `google`."""
    folders = {parent for name in files for parent in PurePosixPath(name).parents}
    return sorted(str(folder / _INIT) for folder in folders if folder.parts[:1] != ("google",))


def _without_foreign_inits(files: Files, out: Path, written: Mapping[str, str]) -> dict[str, str]:
    return {
        name: content
        for name, content in files.items()
        if PurePosixPath(name).name != _INIT or name in written or not (out / name).exists()
    }


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _replace(path: Path, content: str) -> None:
    """Write a file whole or not at all, even when interrupted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(content, encoding="utf-8", newline="\n")
    partial.replace(path)


def _remove_empty_folders(folder: Path, out: Path) -> None:
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)
    while folder != out and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def _hash(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def _read_manifest(out: Path) -> dict[str, str]:
    path = out / MANIFEST
    if not path.exists():
        return {}
    try:
        files = json.loads(_read(path))["files"]
        assert isinstance(files, dict)
    except (ValueError, KeyError, AssertionError) as problem:
        raise InputError(f"{path} is damaged. Delete it and run 'paycli gen'.") from problem
    return {name: hashed for name, hashed in files.items() if _stays_inside(name)}


def _stays_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def _write_manifest(out: Path, hashes: Mapping[str, str]) -> None:
    body = {"by": "paycli gen; do not edit", "files": dict(sorted(hashes.items()))}
    _replace(out / MANIFEST, json.dumps(body, indent=2) + "\n")
