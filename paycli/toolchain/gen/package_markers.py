"""The empty `__init__.py` files that make packages of the folders with generated code."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from paycli.toolchain.gen.manifest import Manifest, digest
from paycli.toolchain.gen.out_folder import INIT, Present

EMPTY: Final = digest(b"")
# Folders that installed packages share or own (grpc/health/v1 is one): an __init__.py of ours in
# them would hide the installed ones wherever the output folder is on sys.path.
_SHARED: Final = {"google", "grpc", "opentelemetry", "buf"}


def own_markers(files: Iterable[str], before: Manifest, present: Present) -> set[str]:
    """The markers of the folders of `files`, but for those that somebody else wrote, or wrote into."""
    listed = list(files)
    return {name for name in _markers(listed) if _is_ours(name, listed, before, present)}


def _markers(files: Iterable[str]) -> set[str]:
    folders = {name.rpartition("/")[0] for name in files}
    for folder in list(folders):
        while folder:
            folder = folder.rpartition("/")[0]
            folders.add(folder)
    return {
        f"{folder}/{INIT}" if folder else INIT
        for folder in folders
        if folder.partition("/")[0] not in _SHARED
    }


def _is_ours(marker: str, files: Iterable[str], before: Manifest, present: Present) -> bool:
    """Without a manifest (it is deleted to end a merge conflict) an empty one in a folder with
    nothing but generated code is ours again.
    """
    found = present.digest(marker)
    if found is None:
        return True
    if found != EMPTY or before.files:
        return found == EMPTY and before.is_own(marker, EMPTY)
    folder = marker.rpartition("/")[0]
    inside = f"{folder}/" if folder else ""
    ours = {
        name.removeprefix(inside).partition("/")[0] for name in files if name.startswith(inside)
    }
    return present.names_in(folder) <= ours | {INIT, "__pycache__"}
