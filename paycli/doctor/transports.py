"""Which transport serves with less of the processor here, and what that one lacks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from paycli.doctor.checks import Finding, Verdict
from paycli.errors import PaycliError, StartError
from paycli.toolchain.gen.runtime_skew import installed_version

_NATIVE: Final = "pygrpc-native"
_LACKS: Final = "no TLS, no limits on connections and no channelz"
_HEALTH_CHECK: Final = "/grpc.health.v1.Health/Check"
_CALLS: Final = 4000
_AT_ONCE: Final = 50
_LISTENING: Final = "Listening on "
_STAT: Final = "/proc/{}/stat"


def check_transport(*, measured: bool) -> Finding | None:
    """What is known of the second transport where it is installed. Nothing else is said."""
    version = installed_version(_NATIVE)
    if version is None:
        return None
    begin = f"{_NATIVE} {version} is installed: with 'serve --transport native' a call "
    if not (measured and Path(_STAT.format("self")).exists()):
        end = f"should cost less of the processor; it has {_LACKS}. '--transports' measures it (Linux)."
        return Finding(Verdict.INFO, begin + end)
    try:
        native_us, aio_us = (_cost_us(transport) for transport in ("native", "aio"))
    except PaycliError as problem:
        return Finding(Verdict.WARN, f"What a call costs cannot be measured: {problem}")
    end = f"costs {native_us:.0f} µs of the processor here, on grpc.aio {aio_us:.0f} µs; it has {_LACKS}."
    return Finding(Verdict.INFO, begin + end)


def _cost_us(transport: str) -> float:
    """Processor time of a server for a call that does no work, in microseconds."""
    from paycli.client.channel import connect  # loads grpc, which may be what is broken

    with _serving(transport) as (pid, target), connect(target, 10.0) as channel:
        check: Any = channel.unary_unary(_HEALTH_CHECK, bytes, bytes)
        _call(check, _CALLS // 10)
        before_s = _processor_s(pid)
        _call(check, _CALLS)
        return (_processor_s(pid) - before_s) / _CALLS * 1e6


def _call(check: Any, times: int) -> None:
    for _ in range(times // _AT_ONCE):
        for call in [check.future(b"") for _ in range(_AT_ONCE)]:
            call.result()


@contextmanager
def _serving(transport: str) -> Iterator[tuple[int, str]]:
    """A server of our own: its process and its address."""
    command = [sys.executable, "-P", "-m", "paycli", "serve", "--port", "0", "--config", os.devnull]
    command += ["--transport", transport, "--store", "sqlite:///:memory:"]
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PAYCLI_")}
    with subprocess.Popen(
        command, env=ours, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        try:
            said = ""
            for said in process.stderr:
                if said.startswith(_LISTENING):
                    break
            else:
                said = said.strip().removeprefix("Error: ")
                raise StartError(f"{said} (--transport {transport})")
            yield process.pid, said.removeprefix(_LISTENING).split()[0]
        finally:
            process.kill()


def _processor_s(pid: int) -> float:
    """What a process has used so far."""
    fields = Path(_STAT.format(pid)).read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
