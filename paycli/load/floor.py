"""This machine's floor: a servicer that does nothing, and the disk's own fsync."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final

from paycli.errors import StartError
from paycli.load.result import Baseline, Slice, Spread

_FSYNC_BYTES: Final = 4096


@contextmanager
def echo_server(answer_bytes: int) -> Iterator[str]:
    """The target of a bare echo in a process of its own. Raises StartError."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "paycli.load.echo", str(answer_bytes)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        if not port:
            raise StartError("The echo of --baseline did not start.")
        yield f"127.0.0.1:{int(port)}"
    finally:
        process.kill()
        process.communicate()


def fsyncs_a_second(seconds: float) -> float:
    """How often a page can be written and be safe, one after another, where temporary files are."""
    with tempfile.NamedTemporaryFile(prefix="paycli-") as file:
        page, count = bytes(_FSYNC_BYTES), 0
        begin = time.monotonic()
        while (took := time.monotonic() - begin) < seconds or not count:
            file.write(page)
            file.flush()
            os.fsync(file.fileno())
            count += 1
            file.seek(0)
        return count / max(took, 1e-9)


def baseline_of(slices: Sequence[Slice]) -> Baseline | None:
    """The ratios of each slice to the floor right after it; None if no slice has one."""
    floors = [
        (each.rate, each.echo_rate, each.fsync_rate)
        for each in slices
        if each.echo_rate and each.fsync_rate
    ]
    if not floors:
        return None
    return Baseline(
        spread_of([echo for _, echo, _ in floors]),
        spread_of([fsync for _, _, fsync in floors]),
        spread_of([rate / echo for rate, echo, _ in floors]),
        spread_of([rate / fsync for rate, _, fsync in floors]),
    )


def spread_of(values: Sequence[float]) -> Spread:
    """Of at least one value."""
    return Spread(min(values), median(values), max(values))


class Processors:
    """How busy the processors of this machine are from now on, where the system tells."""

    def __init__(self, service_pid: int | None = None) -> None:
        """`service_pid` is the process of the service, if it is of our own."""
        self._before = _ticks()
        self._pid = service_pid
        self._began, self._used_before_s = time.monotonic(), _used_s(service_pid)

    def busy(self) -> float | None:
        """The share of their time that was used, by whomever."""
        before, now = self._before, _ticks()
        if before is None or now is None or now[1] <= before[1]:
            return None
        return 1 - (now[0] - before[0]) / (now[1] - before[1])

    def service(self) -> float | None:
        """How many of them the service used, with the processes that it started itself."""
        used_s = _used_s(self._pid)
        if used_s is None or self._used_before_s is None:
            return None
        return max(0.0, used_s - self._used_before_s) / (time.monotonic() - self._began)


def _used_s(pid: int | None) -> float | None:
    """Processor seconds of a process and its children (proc(5), /proc/PID/stat)."""
    if pid is None:
        return None
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        tasks = Path(f"/proc/{pid}/task").glob("*/children")
        children = [int(each) for task in tasks for each in task.read_text().split()]
    except OSError:
        return None
    user, system = stat.rpartition(")")[2].split()[11:13]
    own_s = (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return own_s + sum(_used_s(each) or 0.0 for each in children)


def _ticks() -> tuple[int, int] | None:
    """Idle and all, since the machine began (proc(5), /proc/stat)."""
    try:
        first, _, _ = Path("/proc/stat").read_text(encoding="ascii").partition("\n")
    except OSError:
        return None
    ticks = [int(each) for each in first.split()[1:9]]  # what follows are parts of these
    return ticks[3] + ticks[4], sum(ticks)


def machine(processors: Processors) -> dict[str, object]:
    """What it was measured on, and how busy that was."""
    return {
        "busy": processors.busy(),
        "service_processors": processors.service(),
        "system": platform.system(),
        "release": platform.release(),
        "architecture": platform.machine(),
        "cpus": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "python": platform.python_version(),
    }
