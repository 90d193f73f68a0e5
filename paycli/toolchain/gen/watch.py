"""Waiting for protos to be saved. Polling: it works on every file system, network shares too.

A look is one at each file and folder that is known; the tree is searched again only when one of these
is not what it was. However large the tree, looking takes little of a core, and the pauses are longer.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from paycli.errors import InputError
from paycli.toolchain.protos.workspace import find_workspace, folders_below

_POLL_S: Final = 0.25
_REST: Final = 80  # times as long as a look took: little more than 1 % of a core
_SETTLED_NS: Final = 2_000_000_000  # clocks of file systems are coarse, and not always ours

_Mark = tuple[int, int, int]


class _Sight(NamedTuple):
    """The protos by name, and the folders; an empty mark for one that may change unnoticed."""

    protos: dict[str, tuple[str, _Mark]]
    folders: dict[str, _Mark | None]

    def is_current(self) -> bool:
        """Whether all is as it was; never for a tree in which there was nothing to see."""
        return bool(self.protos) and all(
            mark == _mark(place) for place, mark in (*self.protos.values(), *self.folders.items())
        )


def changes(roots: Sequence[Path], protos: Sequence[Path]) -> Iterator[list[str]]:
    """The names of the protos that were saved, added or removed since this call, and so on."""
    return _differences(roots, protos, _look(roots, protos))


def _differences(
    roots: Sequence[Path], protos: Sequence[Path], seen: _Sight
) -> Iterator[list[str]]:
    pause = _POLL_S
    while True:
        time.sleep(pause)
        started = time.process_time()
        before, quiet = seen.protos, seen.is_current()
        if not quiet:
            seen = _look(roots, protos)
        rest = _REST * (time.process_time() - started)
        pause = max(_POLL_S, rest) if quiet or not seen.protos else _POLL_S
        names = before.keys() | seen.protos.keys()
        if changed := sorted(n for n in names if before.get(n) != seen.protos.get(n)):
            yield changed


def _look(roots: Sequence[Path], protos: Sequence[Path]) -> _Sight:
    try:
        # First: what comes into a folder while it is searched changes the mark of the folder.
        folders = _marks_of_settled(() if protos else folders_below(roots))
        workspace = find_workspace(roots, protos)
    except (InputError, OSError):  # an editor is just replacing a file; or it will be said
        return _Sight({}, {})
    places = {name: str(workspace.path_of(name)) for name in workspace.names}
    marks = {name: (place, _mark(place)) for name, place in places.items()}
    return _Sight({n: (place, mark) for n, (place, mark) in marks.items() if mark}, folders)


def _marks_of_settled(folders: Iterable[str]) -> dict[str, _Mark | None]:
    marks = {folder: _mark(folder) for folder in folders}
    late = time.time_ns() - _SETTLED_NS
    return {folder: mark if mark and mark[0] < late else None for folder, mark in marks.items()}


def _mark(place: str) -> _Mark | None:
    try:
        found = os.stat(place)  # noqa: PTH116 - thousands a look
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
