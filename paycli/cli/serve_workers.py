"""`paycli serve --workers N`: the same command in several processes, on one port."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from paycli.cli.serve_started import Started
from paycli.host.processes.port_file import forget_port, port_file
from paycli.host.processes.systemd import notify
from paycli.host.processes.workers import STARTED, Plan, Supervisor
from paycli.host.transport.ports import reserved


def tell_supervisor(started: Started) -> None:
    """In a worker: instead of saying it."""
    notify(STARTED + json.dumps(started))


def serve_with_workers(
    plan: Plan,
    host: str,
    port: int,
    path: Path | None,
    say: Callable[[str], None],
    say_ready: Callable[[Started], None],
) -> int:
    """Serve until a signal; returns the exit code. Raises StartError when the port is taken."""
    with reserved(host, port) as addresses, ExitStack() as stack:
        forget_port(path)  # not before: who has the port may have the file
        own_port = addresses[0].rpartition(":")[2]
        command = [sys.executable, "-P", "-m", "paycli", "serve", "--worker", own_port]

        def on_ready(told: str) -> None:
            stack.enter_context(port_file(path, addresses))
            say_ready(Started(*json.loads(told)))

        async def run() -> int:
            return await Supervisor([*command, *sys.argv[2:]], plan, say).run(on_ready)

        return asyncio.run(run())
