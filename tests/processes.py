"""Servers as processes, and what the system says of a process and of those that it started."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def ready(
    folder: Path, line: str, *arguments: str, env: Mapping[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A `paycli` command that serves, once it says this line, and where; killed at the end."""
    port_file = folder / "port"
    port_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "paycli", *arguments]
    with subprocess.Popen(
        [*command, "--port", "0", "--port-file", str(port_file)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == f"{line}\n"
            yield process, f"localhost:{port_file.read_text(encoding='utf-8').strip()}"
        finally:
            process.kill()


def children_of(pid: int, word: str = "") -> list[int]:
    """The processes that a process started from its main thread, with this word in their command."""
    children = map(int, _text(pid, f"task/{pid}/children").split())
    return [each for each in children if not word or word in _text(each, "cmdline")]


def cpu_s(pid: int) -> float:
    """Processor time of a process and its children so far."""
    fields = _text(pid, "stat").rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(map(cpu_s, children_of(pid)))


def rss_mb(pid: int) -> float:
    """Resident memory of a process and its children."""
    (line,) = (each for each in _text(pid, "status").splitlines() if each.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024 + sum(map(rss_mb, children_of(pid)))


def _text(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text(encoding="ascii")
