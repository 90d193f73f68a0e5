"""The file in which a server says its port, for whoever started it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from paycli.errors import StartError

_log = logging.getLogger(__name__)


def forget_port(path: Path | None) -> None:
    """Remove the port of a server that is gone, so that whoever waits for ours does not find it."""
    if path is not None:
        try:
            path.unlink(missing_ok=True)
        except OSError as problem:
            raise _no_port_file(path, problem) from problem


@contextlib.contextmanager
def port_file(path: Path | None, addresses: Sequence[str]) -> Iterator[None]:
    """The port in a file while the server takes calls, for whoever started it."""
    if path is None:
        yield
        return
    port = addresses[0].rpartition(":")[2] + "\n"
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_text(port, encoding="ascii")
        partial.replace(path)  # a reader never sees half a number
    except OSError as problem:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise _no_port_file(path, problem) from problem
    try:
        yield
    finally:
        try:
            if path.read_text(encoding="ascii") == port:  # not that of a later server
                path.unlink()
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as problem:
            _log.warning("the port file %s could not be removed: %s", path, problem)


def _no_port_file(path: Path, problem: OSError) -> StartError:
    return StartError(f"Cannot write the port file {path}: {problem.strerror}.")
