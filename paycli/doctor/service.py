"""What a server needs: a free port and a store that it can open."""

from __future__ import annotations

import errno
import socket
from typing import Final

from paycli.doctor.checks import Finding, Verdict, ok
from paycli.errors import Unreachable
from paycli.storage.stores import inspect_store

_LOOPBACK: Final = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
_ANSWER_WITHIN_S: Final = 2.0


def check_port(port: int) -> Finding:
    """Whether a server could listen, or does already."""
    try:
        for family, host in _LOOPBACK:
            _try(family, host, port)
    except PermissionError:
        return Finding(Verdict.FAIL, f"Port {port} is kept for root.", "paycli serve --port 50051")
    except OSError:
        silence = _why_silent(port)
        if silence is None:
            return ok(f"A gRPC server answers on port {port}.")
        return Finding(
            Verdict.FAIL,
            f"Port {port} is taken: {silence}",
            f"paycli serve --port {_free_port()}",
        )
    return ok(f"Port {port} is free.")


def check_store(url: str) -> Finding:
    """Whether a server could open the store, or has it open already. Raises InputError."""
    usable, sentence, command, repair = inspect_store(url)
    return Finding(Verdict.OK if usable else Verdict.FAIL, sentence, command, repair)


def _try(family: int, host: str, port: int) -> None:
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as problem:
        if problem.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):  # no IPv6 here
            raise


def _why_silent(port: int) -> str | None:
    """Why no gRPC server answers at the port; None when one does."""
    from paycli.client.channel import connect  # loads grpc, which may be what is broken

    try:
        with connect(f"localhost:{port}", _ANSWER_WITHIN_S):
            return None
    except Unreachable as problem:
        return str(problem).partition(". ")[0] + "."  # what to do about it is another for a server


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
