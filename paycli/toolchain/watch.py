"""Waiting for protos to be saved. Polling: it works on every file system, network shares too."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from paycli.errors import InputError
from paycli.toolchain.workspace import find_workspace

_POLL_S: Final = 0.25

_State = dict[str, tuple[int, int, int]]


def changes(roots: Sequence[Path], protos: Sequence[Path]) -> Iterator[list[str]]:
    """The names of the protos that were saved, added or removed since this call, and so on."""
    return _differences(roots, protos, _look(roots, protos))


def _differences(
    roots: Sequence[Path], protos: Sequence[Path], state: _State
) -> Iterator[list[str]]:
    while True:
        time.sleep(_POLL_S)
        now = _look(roots, protos)
        changed = sorted(name for name in {*state, *now} if state.get(name) != now.get(name))
        state = now
        if changed:
            yield changed


def _look(roots: Sequence[Path], protos: Sequence[Path]) -> _State:
    try:
        workspace = find_workspace(roots, protos)
    except (InputError, OSError):  # an editor is just replacing a file; or it will be said
        return {}
    state: _State = {}
    for name in workspace.names:
        path = workspace.path_of(name)
        if path is not None:
            try:
                found = path.stat()
            except OSError:
                continue
            state[name] = (found.st_mtime_ns, found.st_size, found.st_ino)
    return state
