"""`paycli serve --transport`: what a transport cannot do is refused before anything is started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import StartServer, run_paycli
from tests.transports import NOT_ON
from tests.wire import client_of

NATIVE = ("serve", "--transport", "native", "--port", "0")
MISSING = (
    "Error: --transport native needs pygrpc-native, which is there for Linux and macOS on x86-64 and "
    "arm64; run pip install 'paycli[native]'.\n"
)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (("--tls-cert", "cert.pem"), "it has no TLS"),
        (("--tls-key", "key.pem"), "it has no TLS"),
        (("--client-ca", "ca.pem"), "it has no TLS"),
        (("--max-connections", "10000"), "it counts no connections"),
        (("--max-connection-idle", "60"), "it ends no connection that works"),
        (("--max-connection-age", "60"), "it ends no connection that works"),
        (("--channelz",), "it keeps no account of its connections"),
    ],
)
def test_what_native_cannot_do_is_refused(given: tuple[str, ...], why: str, tmp_path: Path) -> None:
    said = run_paycli(*NATIVE, *given, cwd=tmp_path)
    assert said.returncode == 2
    assert said.stderr == f"Error: --transport native and {given[0]} do not go together: {why}.\n"
    assert not list(tmp_path.iterdir())


def test_what_a_variable_asks_of_native_is_refused_too(tmp_path: Path) -> None:
    said = run_paycli(*NATIVE, cwd=tmp_path, env={"PAYCLI_MAX_CONNECTIONS": "5"})
    assert said.returncode == 2
    assert "--max-connections" in said.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "::", "192.0.2.1"])
@pytest.mark.parametrize("more", [(), ("--tokens", "tokens")])
def test_native_is_not_for_strangers(host: str, more: tuple[str, ...], tmp_path: Path) -> None:
    said = run_paycli(*NATIVE, "--host", host, *more, cwd=tmp_path)
    assert said.returncode == 2
    assert said.stderr == (
        f"Error: --transport native does not hold out against strangers, and {host.strip('[]')} lets them "
        "in. Leave out one of them, or give --allow-unprotected if a proxy or a closed network protects "
        "the server.\n"
    )
    assert not list(tmp_path.iterdir())


def test_behind_a_proxy_native_is_for_all(start_server: StartServer) -> None:
    server = start_server("--transport", "native", "--host", "0.0.0.0", "--allow-unprotected")
    with client_of(f"127.0.0.1:{server.port}") as client:
        assert client.pay("o1").status == "SUCCESS"
    assert server.stop() == 0


def test_without_the_wheel_there_is_one_sentence(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['pygrpc_native'] = None; from paycli.cli.app import main; "
        f"sys.argv[1:] = {list(NATIVE)}; main()"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (said.returncode, said.stderr) == (2, MISSING)
    assert not list(tmp_path.iterdir())


def test_a_transport_that_is_none_is_named_with_those_there_are(tmp_path: Path) -> None:
    said = run_paycli("serve", "--transport", "carrier-pigeon", cwd=tmp_path)
    assert said.returncode == 2
    assert "aio" in said.stderr
    assert "native" in said.stderr


def test_what_is_left_out_is_there() -> None:
    tests = "".join(
        each.read_text(encoding="utf-8") for each in Path(__file__).parents[1].rglob("test_*.py")
    )
    for left_out in NOT_ON.values():
        for name in left_out:
            assert f"def {name}(" in tests, name
