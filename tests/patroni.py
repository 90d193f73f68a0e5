"""A PostgreSQL cluster of three nodes on loopback: Patroni with a raft store of its own, no etcd.

Replication is synchronous and strict: nothing is acknowledged that is on one node alone.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

import asyncpg
import yaml

from tests import postgres
from tests.processes import children_of

NODES: Final = 3
_START_S: Final = 60.0
# A python that others may run: ours can be in a home that only its owner may read.
_PYTHONS: Final = (sys.executable, "/usr/bin/python3")


@cache
def missing() -> str:
    """Why there can be no cluster here, or nothing."""
    return "" if _python() else "no python here can run patroni as another user than root"


@cache
def _python() -> str:
    for python in _PYTHONS:
        with suppress(OSError):
            tried = subprocess.run(
                [python, "-c", "import patroni, psycopg, pysyncobj"],
                user=postgres.USER,
                env=_environment(),
                cwd="/",
                capture_output=True,
                check=False,
            )
            if tried.returncode == 0:
                return python
    return ""


def _environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": sysconfig.get_path("purelib")}


class Node:
    """One of the cluster: Patroni, and the PostgreSQL that it runs."""

    def __init__(self, folder: Path, number: int) -> None:
        self.folder = folder / f"node{number}"
        self.name = f"node{number}"
        self.port, self.rest, self.raft = (postgres.free_port() for _ in range(3))
        self._patroni: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Of its database alone."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Patroni, which starts the rest."""
        command = [_python(), "-m", "patroni", str(self.folder / "patroni.yaml")]
        log = self.folder / "log"
        self._patroni = postgres.begin(command, log, "TERM", env=_environment(), cwd=self.folder)

    def kill_postgres(self) -> None:
        """The postmaster and all its children; Patroni goes on."""
        postgres.kill_all(self._postmaster())

    def kill(self) -> None:
        """All of the node at once, as when its power goes."""
        if self._patroni is not None:
            self._patroni.kill()
        with suppress(FileNotFoundError, ProcessLookupError, ValueError):
            self.kill_postgres()
        if self._patroni is not None:
            self._patroni.wait(10)

    def freeze(self) -> None:
        """As when its cable is cut: connections are neither refused nor answered."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on where it was, and takes itself for what it was."""
        self._signal_all(signal.SIGCONT)

    def wait_until_it_follows(self) -> None:
        """Until Patroni has seen that there is another primary."""
        until = time.monotonic() + _START_S
        while time.monotonic() < until:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                if postgres.sql(self.url, "SELECT pg_is_in_recovery()") == [(True,)]:
                    return
            time.sleep(0.2)
        raise AssertionError((self.folder / "log").read_text())

    def _signal_all(self, number: signal.Signals) -> None:
        assert self._patroni is not None
        for each in (self._patroni.pid, self._postmaster()):
            for pid in (each, *children_of(each)):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)

    def _postmaster(self) -> int:
        lines = (self.folder / "data" / "postmaster.pid").read_text(encoding="ascii").splitlines()
        return int(lines[0])


class Cluster:
    """Three nodes; `url` names them all."""

    def __init__(self, folder: Path) -> None:
        self.nodes = [Node(folder, number) for number in range(NODES)]
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        self.url = f"postgresql://postgres@{hosts}/postgres"
        for node in self.nodes:
            self._prepare(node)

    def primary(self) -> Node | None:
        """The node that takes writes at the moment."""
        for node in self.nodes:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                if postgres.sql(node.url, "SELECT NOT pg_is_in_recovery()") == [(True,)]:
                    return node
        return None

    def wait_until_whole(self) -> Node:
        """Until there is a primary, a synchronous standby and another one; returns the primary."""
        until = time.monotonic() + _START_S
        while time.monotonic() < until:
            node = self.primary()
            if node is not None and self._roles() == ["leader", "replica", "sync_standby"]:
                return node
            time.sleep(0.2)
        raise AssertionError("\n".join((node.folder / "log").read_text() for node in self.nodes))

    def _roles(self) -> list[str]:
        """What the nodes that run are, as the first of them that answers says."""
        for node in self.nodes:
            with suppress(OSError), urlopen(f"http://127.0.0.1:{node.rest}/cluster") as answer:
                members = json.load(answer)["members"]
                return sorted(
                    each["role"] for each in members if each["state"] in ("running", "streaming")
                )
        return []

    def _prepare(self, node: Node) -> None:
        node.folder.mkdir()
        configuration = node.folder / "patroni.yaml"
        configuration.write_text(yaml.safe_dump(self._configuration(node)), encoding="utf-8")
        if postgres.USER is not None:
            for path in (node.folder, configuration):
                shutil.chown(path, postgres.USER)

    def _configuration(self, node: Node) -> Mapping[str, Any]:
        here = "127.0.0.1"
        return {
            "scope": "paycli",
            "name": node.name,
            "restapi": {"listen": f"{here}:{node.rest}", "connect_address": f"{here}:{node.rest}"},
            "raft": {
                "data_dir": str(node.folder / "raft"),
                "self_addr": f"{here}:{node.raft}",
                "partner_addrs": [f"{here}:{each.raft}" for each in self.nodes if each is not node],
            },
            "bootstrap": {
                "dcs": {
                    "ttl": 20,
                    "loop_wait": 2,
                    "retry_timeout": 5,
                    "primary_start_timeout": 0,
                    "synchronous_mode": True,
                    "synchronous_mode_strict": True,
                    "postgresql": {"use_pg_rewind": True},
                },
                "initdb": [{"encoding": "UTF8"}, {"auth": "trust"}],
            },
            "postgresql": {
                "listen": f"{here}:{node.port}",
                "connect_address": f"{here}:{node.port}",
                "data_dir": str(node.folder / "data"),
                "bin_dir": str(postgres.binaries()),
                "pgpass": str(node.folder / "pgpass"),
                "authentication": {
                    "superuser": {"username": "postgres"},
                    "replication": {"username": "postgres"},
                },
                "pg_hba": [
                    "host all all 127.0.0.1/32 trust",
                    "host replication all 127.0.0.1/32 trust",
                ],
                "parameters": {"unix_socket_directories": "", "shared_buffers": "64MB"},
            },
        }


@contextmanager
def new_cluster() -> Iterator[Cluster]:
    """A cluster that is whole; it ends with the block."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="paycli-ha-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        cluster = Cluster(folder)
        for node in cluster.nodes:
            stack.callback(node.kill)
            node.start()
        cluster.wait_until_whole()
        yield cluster
