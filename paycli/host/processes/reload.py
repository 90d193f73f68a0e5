"""A server that is started anew whenever the code or the protos below a folder are saved.

Polling works on every file system, network shares too.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from paycli.host.processes.parent import end_with_parent

_SUFFIXES: Final = (".py", ".proto")
_POLL_S: Final = 0.25
_REST: Final = 40  # times as long as a look took: at most some 2 % of a core
_NOT_OURS: Final = {"node_modules", "__pycache__", "site-packages"}

_Mark = tuple[int, int, int]


class Sources:
    """The files below a folder that a server is made of."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen = self._look()

    def changes(self, is_over: Callable[[], bool]) -> list[str]:
        """What was saved, added or removed since the last call; waits until saving, or all, is over."""
        before, self._seen = self._seen, self._look()
        if before == self._seen:
            return []
        last: dict[str, _Mark] = {}
        while last != self._seen and not is_over():
            time.sleep(_POLL_S)
            last, self._seen = self._seen, self._look()
        names = before.keys() | self._seen.keys()
        return sorted(name for name in names if before.get(name) != self._seen.get(name))

    def know(self, names: Sequence[str]) -> None:
        """Take files as they are now: who made them is no news. What else was saved stays news."""
        now = self._look()
        for name in names:
            self._seen.pop(name, None)
        self._seen |= {name: now[name] for name in names if name in now}

    def _look(self) -> dict[str, _Mark]:
        return dict(_marks(os.fspath(self._folder), ""))


def _marks(folder: str, prefix: str) -> Iterator[tuple[str, _Mark]]:
    try:
        entries = list(os.scandir(folder))
    except OSError:  # it is just being replaced
        return
    for entry in entries:
        name = f"{prefix}{entry.name}"
        try:
            if entry.is_dir(follow_symlinks=False):
                if _is_watched(entry):
                    yield from _marks(entry.path, f"{name}/")
            elif name.endswith(_SUFFIXES) and entry.is_file():
                found = entry.stat()
                yield name, (found.st_mtime_ns, found.st_size, found.st_ino)
        except OSError:
            continue


def _is_watched(folder: os.DirEntry[str]) -> bool:
    if folder.name.startswith(".") or folder.name in _NOT_OURS:
        return False
    return not os.path.exists(f"{folder.path}/pyvenv.cfg")  # noqa: PTH110 - hundreds a look


class Reloader:
    """Runs one server after the other, until it is told to stop."""

    def __init__(
        self,
        command: Sequence[str],
        prepare: Callable[[Sequence[str]], Sequence[str] | None],
        say: Callable[[str], None],
        patience_s: float,
    ) -> None:
        """`prepare` gets what changed, and returns the files that it made of it.

        With None no new server is worth starting.

        A server that has not stopped after `patience_s` is killed.
        """
        self._patience_s = patience_s
        self._command = command
        self._prepare = prepare
        self._say = say
        self._stop: int | None = None
        self._signals = 0
        self._server: subprocess.Popen[bytes] | None = None

    def run(self, folder: Path) -> int:
        """Serve until SIGTERM, SIGINT or SIGHUP; returns the exit code of the last server."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._note)
        sources = Sources(folder)
        self._start()
        while self._stop is None:
            started = time.process_time()
            changed = sources.changes(self._is_over)
            if changed:
                self._say(_listed(changed))
                made = self._prepare(changed)
                if made is not None:
                    sources.know(made)
                    self._restart()
            self._tell_of_an_end()
            self._rest(max(_POLL_S, _REST * (time.process_time() - started)))
        return self._end(self._stop)

    def _rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self._stop is None and time.monotonic() < until:
            time.sleep(_POLL_S / 5)

    def _note(self, number: int, _: object) -> None:
        self._stop = number
        self._signals += 1

    def _is_over(self) -> bool:
        return self._stop is not None

    def _restart(self) -> None:
        self._end(signal.SIGTERM)
        if self._stop is None:
            self._start()

    def _start(self) -> None:
        # A group of its own: what is typed on the terminal reaches it through us, and once.
        self._server = subprocess.Popen(self._command, process_group=0, preexec_fn=end_with_parent)

    def _tell_of_an_end(self) -> None:
        if self._server is not None and self._server.poll() is not None and self._stop is None:
            code = self._server.returncode
            self._say(f"The server ended with {code}; it is started again at the next change.")
            self._server = None

    def _end(self, number: int) -> int:
        """Stop the server as it would be without us; another signal hurries it."""
        if self._server is None:
            return 0
        sent, until = 0, time.monotonic() + self._patience_s
        while (code := self._server.poll()) is None:
            if sent < max(1, self._signals):
                sent += 1
                self._server.send_signal(self._stop or number)
            if time.monotonic() > until:
                self._say("The server hangs, and is killed.")
                self._server.kill()
                until += self._patience_s
            time.sleep(_POLL_S / 5)
        return code


def _listed(changed: Sequence[str]) -> str:
    more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
    return f"{changed[0]}{more} changed."
