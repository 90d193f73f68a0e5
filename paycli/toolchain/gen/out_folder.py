"""The output folder: how it differs from what it should be, and the step between.

Nothing is touched before everything is ready: the new files wait in a folder beside the old ones,
the manifest notes what is about to be written, and only then they are moved into place. Whenever a
run is killed, the next one can tell what is its own and what is still to do.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from paycli.errors import InputError
from paycli.toolchain.gen.manifest import MANIFEST, Manifest, digest, read_manifest, render

INIT: Final = "__init__.py"
_STAGING: Final = ".paycli-gen.partial"
_PROTOC_MARK: Final = b"enerated by the "  # stands in the first lines of all that protoc writes
_MARK_WITHIN: Final = 200


class Drift(NamedTuple):
    """How a tree differs from what it should be; names relative to the output folder.

    `line_ends` are right but for these. `edited` and `kept` were changed by hand; `kept` are no
    longer generated.
    """

    stale: tuple[str, ...] = ()
    line_ends: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    left_over: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    interrupted: bool = False

    @property
    def empty(self) -> bool:
        """Whether the tree is as it should be."""
        return not (self.interrupted or any(names for _, names in self.named()))

    def named(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """What people call each kind, and the files."""
        yield "stale", self.stale
        yield "the same but for its line ends", self.line_ends
        yield "edited by hand", self.edited
        yield "missing", self.missing
        yield "left over", self.left_over
        yield "left over, but edited by hand", self.kept
        yield "in the way, not written by gen", self.foreign


class Present:
    """The digests of what is in the output folder; each file is read once."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self._listed: dict[str, frozenset[str]] = {}
        self._known: dict[str, str | None] = {}

    def names_in(self, folder: str) -> frozenset[str]:
        """What lies in a folder."""
        if folder not in self._listed:
            self._listed[folder] = _list(self.out / folder)
        return self._listed[folder]

    def digest(self, name: str) -> str | None:
        """The digest of a file, None if it does not exist."""
        if name not in self._known:
            folder, _, file = name.rpartition("/")
            # One look at a folder is cheaper than one at each file.
            exists = file in self.names_in(folder)
            self._known[name] = digest_of(f"{self.out}/{name}") if exists else None
        return self._known[name]


def default_out() -> Path:
    """Where the code goes in the working directory: paycli has a package for it, others one at the top."""
    own = Path("paycli/generated")
    return own if own.is_dir() or Path("paycli/__init__.py").is_file() else Path("generated")


def find_drift(wanted: Mapping[str, str], manifest: Manifest, present: Present) -> Drift:
    """Compare what is present with the wanted digests and with what an earlier run left there."""
    kinds: dict[str, list[str]] = {}
    for name in sorted({*wanted, *manifest.files, *manifest.unfinished}):
        if present.digest(name) != wanted.get(name):
            kind = _kind(name, wanted.get(name), manifest, present)
            kinds.setdefault(kind, []).append(name)

    def of(kind: str) -> tuple[str, ...]:
        return tuple(kinds.get(kind, ()))

    return Drift(
        stale=of("stale"),
        line_ends=of("line_ends"),
        edited=of("edited"),
        missing=of("missing"),
        left_over=of("left_over"),
        kept=of("kept"),
        foreign=of("foreign"),
        interrupted=bool(manifest.unfinished) or (present.out / _STAGING).exists(),
    )


def write(
    contents: Mapping[str, bytes], drift: Drift, before: Manifest, after: Manifest, out: Path
) -> bool:
    """Bring `out` in line; False if another run has been here since `before` was read.

    Raises InputError, with nothing changed, if something is in the way.
    """
    changed = (*drift.stale, *drift.line_ends, *drift.edited, *drift.missing)
    _refuse_what_is_in_the_way(drift, changed, out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with _locked(out):
            if read_manifest(out) != before:
                return False
            moved = bool(changed or drift.left_over)
            if moved:
                _replace_all({name: contents[name] for name in changed}, drift, before, out)
            if moved or drift.interrupted or before != after or not (out / MANIFEST).exists():
                _replace(out / MANIFEST, render(after).encode())
            shutil.rmtree(out / _STAGING, ignore_errors=True)
    except OSError as problem:
        where = problem.filename or out
        raise InputError(f"Cannot write into {out}: {where}: {problem.strerror}.") from problem
    return True


def digest_of(path: Path | str) -> str | None:
    """The digest of a file, None if there is none. Raises InputError if it cannot be read."""
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - hundreds a run
            return digest(file.read())
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as problem:
        raise InputError(f"{path} cannot be read: {problem.strerror}.") from problem


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is whole at every moment. Raises InputError."""
    try:
        _replace(path, content)
    except OSError as problem:
        raise InputError(f"Cannot write {path}: {problem.strerror}.") from problem


def _list(folder: Path) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))  # noqa: PTH208 - names, not paths
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()
    except OSError as problem:
        raise InputError(f"{folder} cannot be read: {problem.strerror}.") from problem


def _kind(name: str, wanted: str | None, manifest: Manifest, present: Present) -> str:
    found = present.digest(name)
    if wanted is None:
        assert found is not None
        if manifest.is_own(name, found):
            return "left_over"
        return "" if PurePosixPath(name).name == INIT else "kept"  # a filled __init__.py is theirs
    if found is None:
        return "missing"
    if manifest.is_own(name, found):
        return "stale"
    content = (present.out / name).read_bytes()
    if digest(content.replace(b"\r\n", b"\n")) == wanted:
        return "line_ends"
    if name in manifest.files:
        return "edited"
    return "stale" if _PROTOC_MARK in content[:_MARK_WITHIN] else "foreign"


def _refuse_what_is_in_the_way(drift: Drift, changed: tuple[str, ...], out: Path) -> None:
    if drift.foreign:
        raise InputError(
            f"{out / drift.foreign[0]} was not written by gen. Move it, or choose another --out."
        )
    blocked = next((path for path in (out, *out.parents) if path.exists()), out)
    if blocked.exists() and not blocked.is_dir():
        raise InputError(f"{blocked} is a file, where a folder is to go. Choose another --out.")
    folders = {""}
    for name in (*changed, *drift.left_over, MANIFEST):
        if os.path.isdir(f"{out}/{name}"):  # noqa: PTH112 - hundreds a run
            raise InputError(f"{out / name} is a folder, where a file is to go. Move it.")
        folders |= _folders_of(name)
    inside = out.resolve()
    for folder in (out / name for name in sorted(folders)):
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is a file, where a folder is to go. Move it.")
        if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
            raise InputError(f"Cannot write into {folder}: no permission.")
        if folder != out and not folder.resolve().is_relative_to(inside):
            raise InputError(f"{folder} is a link out of {out}, to {folder.resolve()}. Remove it.")


def _replace_all(contents: Mapping[str, bytes], drift: Drift, before: Manifest, out: Path) -> None:
    staging = out / _STAGING
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    try:
        for number, content in enumerate(contents.values()):
            with open(f"{staging}/{number}", "xb") as file:  # noqa: PTH123 - hundreds a run
                file.write(content)
        for folder in {name.rpartition("/")[0] for name in contents}:
            (out / folder).mkdir(parents=True, exist_ok=True)
    except OSError:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    arrived = {n: hashed for n, hashed in before.unfinished.items() if digest_of(out / n) == hashed}
    planned = {name: digest(content) for name, content in contents.items()}
    unfinished = {**before.unfinished, **planned, **dict.fromkeys(drift.left_over, "")}
    noted = before._replace(files={**before.files, **arrived}, unfinished=unfinished)
    _replace(out / MANIFEST, render(noted).encode())
    for number, name in enumerate(contents):
        os.replace(f"{staging}/{number}", f"{out}/{name}")  # noqa: PTH105 - hundreds a run
    for name in drift.left_over:
        (out / name).unlink(missing_ok=True)
        _remove_empty_folders((out / name).parent, out)


def _folders_of(name: str) -> set[str]:
    folders: set[str] = set()
    while name := name.rpartition("/")[0]:
        folders.add(name)
    return folders


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, even when interrupted."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)


def _remove_empty_folders(folder: Path, out: Path) -> None:
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)
    while folder != out and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Runs take turns; the lock is on the folder itself, so that no lock file is left behind."""
    handle = os.open(out, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
