"""A payment through the container, its stop, its health: as docs/container.md promises."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.certificates import Authority
from tests.host.test_metrics import free_port
from tests.image.containers import (
    CERTIFICATES,
    STORE,
    Image,
    Process1,
    missing,
    paycli_in,
    say_ready,
)
from tests.processes import children_of

USER: Final = 10001
PATIENCE_S: Final = 60.0

# A tool that is missing skips all of it by its name; without nox, which takes its time for it, it is
# left out, since it builds two images.
_WHY: Final = missing() or ("" if os.environ.get("IMAGE") else "nox -s image builds and runs it")
pytestmark = [
    pytest.mark.skipif(bool(_WHY), reason=f"the container: {_WHY}"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The image, of a bare Debian."""
    made = Image(tmp_path_factory.mktemp("image"))
    try:
        made.build()
        yield made
    finally:
        made.buildah("rm", "--all")
        made.buildah("rmi", "--all", "--force")


def folder(path: Path) -> Path:
    """A folder of the container's user."""
    path.mkdir(mode=0o700)
    os.chown(path, USER, USER)
    return path


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    return folder(tmp_path / "volume")


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    return folder(tmp_path / "secrets")


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """The exit code, stdout and stderr, without what buildah says of the exit code."""
    stdout, stderr = process.communicate(timeout=PATIENCE_S)
    said = [line for line in stderr.splitlines() if not line.startswith("subprocess exited")]
    return process.returncode, stdout, "\n".join(said)


def test_it_starts_open_to_all_only_if_told_so(image: Image, volume: Path) -> None:
    with image.running("serve", env={}, volumes={volume: STORE}) as process:
        code, stdout, stderr = ended(process)
    assert (code, stdout) == (2, "")
    assert "0.0.0.0 lets other machines in without TLS or tokens." in stderr
    assert "PAYCLI_TOKENS" in stderr
    assert not list(volume.iterdir())


def test_a_second_container_pays_the_first_whose_stop_waits_for_it(
    image: Image, volume: Path, secrets: Path
) -> None:
    token = new_token(image, secrets)
    target = {"PAYCLI_PORT": str(free_port()), "PAYCLI_TOKENS": f"{CERTIFICATES}/tokens"}
    target["PAYCLI_DRAIN_TIMEOUT"] = str(PATIENCE_S)
    client = {"PAYCLI_TARGET": f"localhost:{target['PAYCLI_PORT']}", "PAYCLI_TOKEN": token}
    client["PAYCLI_TIMEOUT"] = str(PATIENCE_S)
    volumes = {volume: STORE, secrets: CERTIFICATES}
    slowly = ("pay", "--amount", "5", "--order-id", "o-1", "--user-id", "sim_slow_8000")
    with image.running("serve", env=target, volumes=volumes) as serving:
        say_ready(serving)
        with image.running("wait", "--timeout", "0", env=client, volumes={}) as waiting:
            assert ended(waiting)[0] == 0
        with image.running(*slowly, env=client, volumes={}) as paying:
            server = paycli_in(serving)
            until_asked(image, volumes)
            assert Path(f"/proc/{server}").stat().st_uid == USER
            os.kill(server, signal.SIGTERM)
            code, receipt, stderr = ended(paying)
            assert (code, stderr) == (0, "")
        code, _, stderr = ended(serving)
        assert (code, stderr.count("draining")) == (0, 1), stderr
    with image.running("serve", env=target, volumes=volumes) as serving:
        say_ready(serving)
        with image.running(*slowly, env=client, volumes={}) as again:
            code, second, stderr = ended(again)
        assert (code, second) == (0, receipt)
        assert "was paid before" in stderr
    with image.running("db", "verify", env={}, volumes=volumes) as verifying:
        assert "All is right: 1 payment" in ended(verifying)[1]


def new_token(image: Image, secrets: Path) -> str:
    """Made in a container, too."""
    make = ("serve", "token", "till", "--tokens", f"{CERTIFICATES}/tokens")
    with image.running(*make, env={}, volumes={secrets: CERTIFICATES}) as making:
        code, token, stderr = ended(making)
    assert code == 0, stderr
    return token.strip()


def until_asked(image: Image, volumes: dict[Path, str]) -> None:
    """Wait until the server has put a question to the processor, and has no answer yet."""
    until = time.monotonic() + PATIENCE_S
    stdout = ""
    while '"open_intents": 1' not in stdout:
        assert time.monotonic() < until, stdout
        with image.running("db", "status", "--json", env={}, volumes=volumes) as looking:
            stdout = ended(looking)[1]


def test_it_proves_itself(image: Image) -> None:
    with image.running("smoke", env={}, volumes={}) as process:
        code, stdout, stderr = ended(process)
    assert code == 0, stdout
    assert "0 failed, 0 skipped" in stderr


def test_process_1_with_a_root_that_is_read_only(
    image: Image, volume: Path, secrets: Path, tmp_path: Path
) -> None:
    container = Process1(image, volume, secrets, with_tls(secrets, tmp_path))
    with container.started() as running:
        say_ready(running)
        one = paycli_in(running)
        inside = container.beside(
            one, "sh", "-c", "id -u; touch /tmp/x || touch /opt/paycli/x || echo no"
        )
        assert inside.stdout.split() == [str(USER), "no"], inside.stderr
        assert namespaced(one) == 1
        health = container.health(one)
        assert health.returncode == 0, health.stderr
        (writer,) = children_of(one)
        os.kill(writer, signal.SIGSTOP)
        until_health_is(container, one, 1)
        os.kill(writer, signal.SIGCONT)
        until_health_is(container, one, 0)
        os.kill(writer, signal.SIGKILL)
        until_health_is(container, one, 0)
        until_children_are(one, "S", but=writer)  # nobody is left as a zombie
        os.kill(one, signal.SIGTERM)
        assert running.wait(PATIENCE_S) == 0
    with (
        container.started() as running
    ):  # on the same volume, after a stop that left no lock behind
        say_ready(running)


def with_tls(secrets: Path, tmp_path: Path) -> dict[str, str]:
    """What a server says of its certificate, and its health check of whom to trust."""
    authority = Authority(tmp_path / "authority")
    pair = authority.sign("pay.example")
    files = {"ca.pem": authority.certificate, "tls.pem": pair.certificate, "tls.key": pair.key}
    for name, path in files.items():
        copy = secrets / name
        copy.write_bytes(path.read_bytes())
        os.chown(copy, USER, USER)
    return {
        "PAYCLI_TLS_CERT": f"{CERTIFICATES}/tls.pem",
        "PAYCLI_TLS_KEY": f"{CERTIFICATES}/tls.key",
        "PAYCLI_CA": f"{CERTIFICATES}/ca.pem",
        "PAYCLI_SERVER_NAME": "pay.example",
        **at_free_port(),
    }


def at_free_port() -> dict[str, str]:
    port = free_port()
    return {"PAYCLI_PORT": str(port), "PAYCLI_TARGET": f"localhost:{port}"}


def namespaced(pid: int) -> int:
    """The process's number inside its container."""
    (line,) = (each for each in status(pid) if each.startswith("NSpid:"))
    return int(line.split()[-1])


def status(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()


def until_health_is(container: Process1, pid: int, code: int) -> None:
    until = time.monotonic() + PATIENCE_S
    while (said := container.health(pid)).returncode != code:
        assert time.monotonic() < until, said


def until_children_are(pid: int, state: str, *, but: int) -> None:
    """Wait until all children are new and in this state."""
    until = time.monotonic() + PATIENCE_S
    while True:
        states = {
            child: next(x for x in status(child) if x.startswith("State:"))
            for child in children_of(pid)
        }
        if states and but not in states and all(x.split()[1] == state for x in states.values()):
            return
        assert time.monotonic() < until, states
        time.sleep(0.05)


@pytest.mark.parametrize("streams", ["<&-", "<&- >&-", "<&- >&- 2>&-"])
def test_nobody_need_read_what_it_says(
    image: Image, volume: Path, secrets: Path, streams: str
) -> None:
    container = Process1(image, volume, secrets, {"PAYCLI_HOST": "127.0.0.1", **at_free_port()})
    with container.started(streams=streams) as running:
        one = paycli_in(running)
        until_health_is(container, one, 0)
        os.kill(one, signal.SIGTERM)
        assert running.wait(PATIENCE_S) == 0


def test_a_stop_is_heard_from_early_in_the_start(image: Image, volume: Path, secrets: Path) -> None:
    container = Process1(image, volume, secrets, {"PAYCLI_HOST": "127.0.0.1", **at_free_port()})
    for _ in range(20):  # whoever looks late sees a server that has started
        with container.started() as running:
            one = paycli_in(running)
            while not catches(one, signal.SIGTERM):
                time.sleep(0.001)
            early = "cygrpc" not in Path(f"/proc/{one}/maps").read_text(encoding="utf-8")
            os.kill(one, signal.SIGTERM)
            assert running.wait(PATIENCE_S) in (0, 128 + signal.SIGTERM)
        if early:
            return
    raise AssertionError("the signal would be lost until gRPC is loaded")


def catches(pid: int, number: int) -> bool:
    """Whether the process handles the signal; of process 1, the kernel keeps any other."""
    (line,) = (each for each in status(pid) if each.startswith("SigCgt:"))
    return bool(int(line.split()[1], 16) >> (number - 1) & 1)


def test_what_is_in_the_image(image: Image) -> None:
    config = image.config()
    assert config["User"] == f"{USER}:{USER}"
    assert config["StopSignal"] == "SIGTERM"
    assert list(config["Volumes"]) == [STORE]
    root = image.root()
    assert (root / "opt/paycli/configs/paycli.yaml").exists()
    assert not (root / "src").exists()
    assert not list(root.glob("opt/paycli/lib/python3*/site-packages/pip"))
    mine = [path for path in root.glob("opt/paycli/**/*") if path.lstat().st_uid == USER]
    assert not mine  # who breaks in cannot change what runs
