"""The command that starts somebody's server: run, killed, and run again."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from paycli.client.health import wait_until_serving
from paycli.errors import CheckFailed, InputError, StartError, Unreachable
from paycli.scenarios.own_process import Log, endings_wait, kill, said, start
from paycli.scenarios.own_server import PAYCLI, own_environment

_START_TIMEOUT_S: Final = 30.0
_ONE_LOOK_S: Final = 1.0
PORT: Final = "{port}"


class Command:
    """A server that is started by a command line, with {port} where it is to listen."""

    def __init__(self, written: str | None, port: int, folder: Path) -> None:
        """Without one, the payment engine, with a store in the folder. Raises InputError."""
        self.target = f"localhost:{port}"
        self._log = folder / "log"
        environment = own_environment() if written is None else dict(os.environ)
        self._environment = {**environment, "PORT": str(port)}
        if written is None:
            store = f"sqlite:///{folder / 'store.db'}"
            self.words = [*PAYCLI, "serve", "--port", str(port), "--store", store]
        else:
            self.words = _words(written, port)
        self._process: subprocess.Popen[bytes] | None = None
        self._life = ExitStack()

    def start(self) -> None:
        """Until it takes calls. Raises StartError."""
        self._log.unlink(missing_ok=True)  # what it says at this start
        with endings_wait():
            process = start(self.words, self._log, self._life, self._environment)
            self._process = process
        until = time.monotonic() + _START_TIMEOUT_S
        problem: Exception | None = None
        while time.monotonic() < until:
            if (code := process.poll()) is not None:
                raise StartError(f"The command ended with exit code {code}{self._said()}")
            try:
                wait_until_serving(self.target, "", _ONE_LOOK_S)
            except (Unreachable, CheckFailed) as not_yet:
                problem = not_yet
            else:
                return
        raise StartError(
            f"The command took no calls at {self.target} within {_START_TIMEOUT_S:g} s: "
            f"{problem}{self._said()}"
        )

    def kill(self) -> None:
        """With -9, and all that it has started."""
        assert self._process is not None
        kill(self._process)
        self._life.close()

    def stop(self) -> None:
        """As somebody would who means it well."""
        self._life.close()

    def last_lines(self) -> list[str]:
        """What it said last."""
        with suppress(OSError):
            return Log(self._log).tail()
        return []

    def _said(self) -> str:
        lines = said(self._log).splitlines()
        return f"; it said last: {lines[-1]}" if lines else "; it said nothing."


def _words(written: str, port: int) -> list[str]:
    try:
        words = shlex.split(written)
    except ValueError as problem:
        raise InputError(f"--command cannot be read: {problem}.") from problem
    if not words:
        raise InputError("--command is empty; write the command line that starts the server.")
    return [each.replace(PORT, str(port)) for each in words]
