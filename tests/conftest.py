"""Real parts for every test: server processes on free ports, SQLite files, the CLI itself."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import grpc
import pytest
from hypothesis import settings

from tests import transports

os.environ.setdefault("GRPC_VERBOSITY", "NONE")

# How long an example takes says what else the machine does; pytest ends what hangs.
settings.register_profile("paycli", deadline=None)
settings.load_profile("paycli")

START_TIMEOUT_S = 30.0

# A shell starts what runs in the background with these ignored, and every process that a test starts
# would inherit that. Caught here, they have their usual meaning there.
for _number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what the transport of this run cannot do."""
    not_on = transports.NOT_ON.get(transports.CHOSEN, {})
    for item in items:
        if (why := not_on.get(getattr(item, "originalname", ""))) is not None:
            item.add_marker(pytest.mark.skip(reason=f"{transports.CHOSEN}: {why}"))


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("PAYCLI_"):
            monkeypatch.delenv(name)
    if transports.CHOSEN != "aio":
        monkeypatch.setenv("PAYCLI_TRANSPORT", transports.CHOSEN)


def run_paycli(
    *arguments: str | Path,
    cwd: Path | None = None,
    timeout_s: float = 60,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the CLI as a user does, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "paycli", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@dataclass
class Server:
    """A `paycli serve` process and where it listens."""

    process: subprocess.Popen[str]
    port: int
    store: Path
    first_line: str

    @property
    def target(self) -> str:
        return f"localhost:{self.port}"

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send the signal, wait, and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(20)

    def payments_in_flight(self) -> int:
        """Those that the processor is asked about."""
        with closing(sqlite3.connect(self.store)) as connection:
            return int(connection.execute("SELECT count(*) FROM intent").fetchone()[0])

    def stderr(self) -> str:
        """What it said, once it has ended."""
        assert self.process.stderr is not None
        return self.process.stderr.read()


StartServer = Callable[..., Server]
InWriter = Callable[[str], None]


@contextmanager
def servers_in(folder: Path) -> Iterator[StartServer]:
    """Start servers that keep their files in a folder; all are gone at the end, however it comes."""
    started: list[subprocess.Popen[str]] = []

    def start(
        *arguments: str,
        store: Path | None = None,
        port: int = 0,
        command: Sequence[str] = (sys.executable, "-m", "paycli"),
        says_ready: bool = True,
    ) -> Server:
        store = store or folder / "store.db"
        port_file = folder / f"port-{len(started)}"
        line = [*command, "serve", "--port", str(port)]
        line += ["--port-file", str(port_file), "--store", f"sqlite:///{store}", *arguments]
        process = subprocess.Popen(
            line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder
        )
        started.append(process)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not port_file.exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "the server did not become ready"
            time.sleep(0.01)
        assert process.stdout is not None
        chosen = int(port_file.read_text(encoding="ascii"))
        first_line = process.stdout.readline() if says_ready else ""
        return Server(process, chosen, store, first_line)

    try:
        yield start
    finally:
        for process in started:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Start servers; all are gone after the test, however it ends."""
    with servers_in(tmp_path) as start:
        yield start


@pytest.fixture
def in_writer(monkeypatch: pytest.MonkeyPatch) -> InWriter:
    """Says what Python code runs first in the writer processes that start from now on."""
    root = Path(__file__).parents[1]
    folder = root / "tests/storage/in_writer"
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{root}")
    return partial(monkeypatch.setenv, "TEST_IN_WRITER")


@pytest.fixture
def server(start_server: StartServer) -> Server:
    """One server with an empty store."""
    return start_server()


@pytest.fixture
def channel(server: Server) -> Iterator[grpc.Channel]:
    """A channel to the server."""
    with grpc.insecure_channel(server.target) as opened:
        yield opened
