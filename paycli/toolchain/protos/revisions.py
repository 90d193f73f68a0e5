"""Protos as git has them at some revision, read from its object store.

Nothing is checked out and neither the index nor the work tree is touched or looked at, so this
works beside half-finished work. Attributes that change an archive (`export-ignore`) do not apply.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from paycli.errors import InputError

# git sets these for its hooks; they would point every command at the hook's own place.
_HOOK_VARIABLES: Final = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"}
_SYMLINK: Final = b"120000"
_BLOB: Final = b"blob"


def resolve_commit(folder: Path, ref: str) -> str:
    """The id of the commit that `ref` names in the repository around `folder`.

    Raises InputError: no git, no repository, no such revision.
    """
    problem = f"--against {ref} is no path that exists, and"
    instead = "name a directory of protos or a descriptor set."
    if shutil.which("git") is None:
        raise InputError(
            f"{problem} git, which may know it as a revision, is not installed; install git, or "
            f"{instead}"
        )
    if b"not a git repository" in _run(folder, "rev-parse", "--git-dir").stderr:
        raise InputError(f"{problem} {folder} lies in no git repository; {instead}")
    shallow = _git(folder, "rev-parse", "--is-shallow-repository").strip() == b"true"
    named = ("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
    run = _run(folder, *named)
    if run.returncode == 0:
        return run.stdout.decode().strip()
    if "#" in ref:
        hint = "what buf calls '.git#branch=main' is 'main' here"
    elif shallow:
        hint = "the clone is shallow: fetch more of it with 'git fetch --unshallow'"
    else:
        hint = "'git fetch' gets what only the remote has"
    raise InputError(f"{problem} git knows no such commit around {folder}; {hint}.")


def prefix_of(folder: Path) -> str:
    """Where a folder lies below the top of its work tree: "" or "a/b/"."""
    return os.fsdecode(_git(folder, "rev-parse", "--show-prefix").rstrip(b"\n"))


def protos_at(folder: Path, commit: str) -> dict[str, bytes]:
    """The protos below `folder` at a commit: name relative to it → content."""
    ids: dict[str, bytes] = {}
    links: dict[str, bytes] = {}
    for mode, object_id, name in _entries(folder, commit):
        if name.endswith(".proto"):
            (links if mode == _SYMLINK else ids)[name] = object_id
    contents = _contents(folder, [*ids.values(), *links.values()])
    protos = {name: contents[object_id] for name, object_id in ids.items()}
    for name, object_id in links.items():
        target = posixpath.join(posixpath.dirname(name), os.fsdecode(contents[object_id]))
        if (found := ids.get(posixpath.normpath(target))) is not None:
            protos[name] = contents[found]
    return protos


def _entries(folder: Path, commit: str) -> Iterator[tuple[bytes, bytes, str]]:
    for line in _git(folder, "ls-tree", "-r", "-z", commit).split(b"\0"):
        if line:
            described, name = line.split(b"\t", 1)
            mode, kind, object_id = described.split(b" ")
            if b".." in name.split(b"/"):  # no git writes this, but a server may hand it out
                raise InputError(f"The tree {commit} holds the path {os.fsdecode(name)}.")
            if kind == _BLOB:  # else a submodule
                yield mode, object_id, os.fsdecode(name)


def _contents(folder: Path, ids: list[bytes]) -> dict[bytes, bytes]:
    answer = _git(folder, "cat-file", "--batch", stdin=b"".join(each + b"\n" for each in ids))
    contents: dict[bytes, bytes] = {}
    start = 0
    while start < len(answer):
        end = answer.index(b"\n", start)
        object_id, _, size = answer[start:end].split(b" ")
        start = end + 1
        contents[object_id] = answer[start : start + int(size)]
        start += int(size) + 1
    return contents


def _git(folder: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    run = _run(folder, *arguments, stdin=stdin)
    if run.returncode:  # unsafe ownership, a damaged repository: git says it best
        said = run.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise InputError(f"git {arguments[0]} failed in {folder}: {said.removeprefix('fatal: ')}")
    return run.stdout


def _run(folder: Path, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    outside = {key: value for key, value in os.environ.items() if key not in _HOOK_VARIABLES}
    return subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=outside | {"LC_ALL": "C"},
        input=stdin,
        capture_output=True,
        check=False,
    )
