"""An image built of the Containerfile, and containers of it: buildah's, and ones made with unshare.

buildah runs a container with what the image says of it, in a changed root. What it has no option for
(process 1, a root that is read only, a health check beside it) unshare, mount and nsenter do, and the
image's own configuration is held to.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
# Debian calls packages otherwise than their programs.
TOOLS: Final = {"mmdebstrap": "mmdebstrap", "buildah": "buildah", "unshare": "util-linux"}
STORE: Final = "/var/lib/paycli"
CERTIFICATES: Final = "/run/secrets"
_START_TIMEOUT_S: Final = 60.0
_SUITE: Final = "bookworm"
_SOURCES: Final = Path("/etc/apt/sources.list.d/debian.sources")
_CONTEXT: Final = ("configs", "docs", "paycli", "proto")
_CONTEXT_FILES: Final = (
    ".dockerignore",
    "Containerfile",
    "constraints.txt",
    "LICENSE",
    "pyproject.toml",
    "README.md",
)
# In a mount namespace of its own: what docker run --read-only --volume … does.
_ENTER: Final = """
root=$1 volume=$2 secrets=$3 user=$4 folder=$5; shift 5
mount --bind "$root" "$root"
mkdir -p "$root/run/secrets"
mount --bind "$volume" "$root/var/lib/paycli"
mount --bind "$secrets" "$root/run/secrets"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
exec chroot --userspec="$user" "$root" /usr/bin/env -i -C "$folder" "$@"
"""


def missing() -> str:
    """What a machine lacks for these tests, and the line that brings it; "" if nothing."""
    packages = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if packages:
        return f"needs {', '.join(packages)}: apt-get install {' '.join(packages)}"
    return "" if os.geteuid() == 0 else "needs root, to change roots and owners"


class Image:
    """An image in a storage of its own."""

    def __init__(self, folder: Path) -> None:
        self._storage = ["--root", str(folder / "storage"), "--runroot", str(folder / "run")]
        self._folder = folder
        self._free: list[str] = []

    def buildah(self, *arguments: str | Path) -> str:
        """Run buildah, and return its stdout."""
        ran = subprocess.run(self._line(*arguments), capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-4000:]
        return ran.stdout.strip()

    def build(self) -> None:
        """A bare Debian with Python, and the image upon it, of wheels that are here: no network."""
        base, context = self._folder / "base", self._folder / "context"
        base.mkdir()
        (base / "Containerfile").write_text("FROM scratch\nADD root.tar /\n", encoding="ascii")
        what = ["--variant=minbase", "--include=python3-venv", _SUITE, str(base / "root.tar")]
        what += [str(_SOURCES)] if _SOURCES.exists() else []
        _run("mmdebstrap", "--quiet", *what)
        self._bud("base", base)
        (base / "root.tar").unlink()
        for name in _CONTEXT:
            shutil.copytree(ROOT / name, context / name)
        for name in _CONTEXT_FILES:
            shutil.copy(ROOT / name, context / name)
        (context / "tokens").write_text("nobody's business", encoding="ascii")
        version = self.buildah("run", "--isolation", "chroot", self._container("base"), *_PYTHON)
        self._fetch_wheels(context, version)
        arguments = {"BASE": "localhost/base", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "wheels"}
        options = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        self._bud("paycli", context, "--format=docker", *options)

    def root(self) -> Path:
        """The files of a container that nothing else runs in."""
        return Path(self.buildah("mount", self._container()))

    def config(self) -> dict[str, Any]:
        """What the image says of its containers, as docker reads it."""
        found = json.loads(self.buildah("inspect", "--type", "image", "localhost/paycli"))
        config: dict[str, Any] = found["Docker"]["config"]
        return config

    @contextmanager
    def running(
        self, *command: str, env: Mapping[str, str], volumes: Mapping[Path, str]
    ) -> Iterator[subprocess.Popen[str]]:
        """Run the entry point with this command in a container, as the image's user."""
        line = ["run", "--isolation", "chroot"]
        for name, value in env.items():
            line += ["--env", f"{name}={value}"]
        for path, inside in volumes.items():
            line += ["--volume", f"{path}:{inside}"]
        container = self._free.pop() if self._free else self._container()
        process = started(
            self._line(*line, container, "--", *self.config()["Entrypoint"], *command)
        )
        try:
            yield process
        finally:
            end(process)
            self._free.append(container)  # a new one takes seconds, and the command changed nothing

    def _container(self, image: str = "paycli") -> str:
        name = self.buildah("from", "--pull-never", f"localhost/{image}")
        # buildah mounts what the image calls a volume and what --volume names in any order; so the
        # first would lie over the second now and then.
        self.buildah("config", "--volume", f"{STORE}-", name)
        return name

    def _line(self, *arguments: str | Path) -> list[str]:
        return ["buildah", *self._storage, "--storage-driver", "vfs", *map(str, arguments)]

    def _bud(self, tag: str, context: Path, *options: str) -> None:
        line = ["bud", "--quiet", "--isolation", "chroot", "--pull-never", "--tag", tag]
        self.buildah(*line, *options, "--file", context / "Containerfile", context)

    @staticmethod
    def _fetch_wheels(context: Path, version: str) -> None:
        """As docs/container.md says it."""
        line = ["download", "--quiet", "--dest", "wheels", "--constraint", "constraints.txt"]
        line += ["--only-binary", ":all:", "--python-version", version]
        _run(sys.executable, "-m", "pip", *line, ".[metrics,postgres]", "hatchling", cwd=context)


_PYTHON: Final = ("python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])")


class Process1:
    """A container whose process 1 is paycli, with a root that is read only."""

    def __init__(self, image: Image, volume: Path, secrets: Path, env: Mapping[str, str]) -> None:
        config = image.config()
        self._user = config["User"]
        self._entry: list[str] = config["Entrypoint"] + config["Cmd"]
        self._check: list[str] = config["Healthcheck"]["Test"][1:]
        self._env = [*config["Env"], *(f"{name}={value}" for name, value in env.items())]
        place = [image.root(), volume, secrets, self._user]
        enter = ["sh", "-ec", _ENTER, "enter", *map(str, place), config["WorkingDir"]]
        unshare = ["unshare", "--mount", "--pid", "--fork"]
        self._line = [*unshare, *enter, *self._env]

    @contextmanager
    def started(self, *, streams: str = "") -> Iterator[subprocess.Popen[str]]:
        """Run it as the image says; `streams` is a shell's words for its own."""
        line = self._line + self._entry
        if streams:
            line = [*self._line, "/bin/sh", "-c", f'exec "$@" {streams}', "sh", *self._entry]
        process = started(line)
        try:
            yield process
        finally:
            end(process)

    def health(self, pid: int) -> subprocess.CompletedProcess[str]:
        """Run the image's health check beside process 1."""
        return self.beside(pid, *self._check)

    def beside(self, pid: int, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the container, as docker exec does."""
        user, _, group = self._user.partition(":")
        inside = ["nsenter", "-t", str(pid), "-m", "-p", "-r", "-w", "-S", user, "-G", group]
        line = [*inside, "/usr/bin/env", "-i", *self._env, *command]
        return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)


def started(line: Sequence[str]) -> subprocess.Popen[str]:
    """A process whose stdout and stderr are read by us."""
    return subprocess.Popen(
        line,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def paycli_in(process: subprocess.Popen[str]) -> int:
    """The process of paycli itself, below what runs the container."""
    until = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < until:
        for pid in _below(process.pid):
            if _is_paycli(pid):
                return pid
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    raise AssertionError("no paycli runs in the container")


def say_ready(process: subprocess.Popen[str]) -> None:
    """Wait for the line of a server that is ready."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line == "Payment Processing Service ready!\n", process.communicate()


def end(process: subprocess.Popen[str]) -> None:
    """Leave nothing of a container, however the test ended."""
    for pid in list(_below(process.pid)):
        if _is_paycli(pid):
            os.kill(pid, signal.SIGKILL)
    process.terminate()
    process.communicate()


def _below(pid: int) -> Iterator[int]:
    """All that it started, from whichever thread."""
    found: list[str] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for each in Path(f"/proc/{pid}/task").glob("*/children"):
            found += each.read_text(encoding="ascii").split()
    for child in map(int, found):
        yield child
        yield from _below(child)


def _is_paycli(pid: int) -> bool:
    """Not what is about to become it: env and chroot have its name on their line, too."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return len(words) > 1 and words[0].endswith(b"python3") and words[1].endswith(b"bin/paycli")


def _run(*line: str | Path, cwd: Path | None = None) -> None:
    ran = subprocess.run([*map(str, line)], cwd=cwd, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-4000:]
