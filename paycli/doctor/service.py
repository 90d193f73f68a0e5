"""What a server needs: a free port and a store that it can open."""

from __future__ import annotations

import errno
import os
import shlex
import socket
from pathlib import Path
from typing import Final

from paycli.doctor.checks import Finding, Repair, Verdict, ok
from paycli.errors import InputError, StoreError, Unreachable
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
    try:
        found = inspect_store(url)
    except StoreError as problem:
        return Finding(Verdict.FAIL, str(problem), "paycli serve --store sqlite:///new.db")
    except PermissionError as problem:
        return _not_writable(Path(problem.filename).parent)
    if found.served:
        return ok(f"A server is using {found.path}.")
    folder = _nearest_folder(found.path)
    for needed in (folder, found.path) if found.exists else (folder,):
        if not os.access(needed, os.W_OK):
            return _not_writable(needed)
    if not found.exists:
        missing = folder != found.path.absolute().parent
        repair = Repair(f"Making {found.path.parent}.", lambda: _make(found.path.parent))
        message = f"There is no {found.path} yet; 'paycli serve' makes it."
        return Finding(Verdict.OK, message, repair=repair if missing else None)
    if found.needs_migration:
        return Finding(
            Verdict.FAIL,
            f"{found.path} was written by an older paycli; back it up and bring it up to date.",
            shlex.join(["paycli", "db", "migrate", "--store", url]),
        )
    return ok(f"{found.path} can be opened.")


def _not_writable(path: Path) -> Finding:
    own = path.stat().st_uid == os.geteuid()
    change = "chmod u+rwX" if own else 'sudo chown "$USER"'
    command = f"{change} {shlex.quote(str(path))}"
    return Finding(Verdict.FAIL, f"The store needs {path}, which you may not write to.", command)


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


def _nearest_folder(path: Path) -> Path:
    """The folder that exists and would hold the file, or the folders on the way to it."""
    return next(parent for parent in path.absolute().parents if parent.is_dir())


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise InputError(f"Cannot make {folder}: {problem.strerror}.") from problem
