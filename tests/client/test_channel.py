"""How a target is reached, and why it was not: real listeners of every kind."""

from __future__ import annotations

import http.server
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest

from paycli.client.channel import connect
from paycli.errors import Unreachable
from tests.conftest import run_paycli

Certificates = Callable[[str], tuple[Path, Path]]


@contextmanager
def listener(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port whose connections are served so, each in its own thread."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            while True:
                try:
                    stream, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=one, args=(stream,), daemon=True).start()

        def one(stream: socket.socket) -> None:
            with stream, suppress(OSError):
                serve(stream)

        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def silent(stream: socket.socket) -> None:
    while stream.recv(1024):
        pass


def ssh(stream: socket.socket) -> None:
    stream.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
    stream.recv(64)


def nginx(stream: socket.socket) -> None:
    stream.recv(1024)
    stream.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")


@contextmanager
def web_server(context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Python's own, which knows HTTP/1 alone."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Quiet)
    if context is not None:
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def handle(self) -> None:
        with suppress(OSError):
            super().handle()


class _Slow(grpc.GenericRpcHandler):
    def service(self, details: object) -> Any:
        return grpc.unary_unary_rpc_method_handler(self._answer)

    def _answer(self, *_: object) -> bytes:
        time.sleep(3)
        return b""


@contextmanager
def grpc_server(
    certificate: tuple[Path, Path] | None = None, *, slow: bool = False
) -> Iterator[int]:
    server = grpc.server(ThreadPoolExecutor(4))
    if slow:
        server.add_generic_rpc_handlers((_Slow(),))
    if certificate is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        key, chain = (each.read_bytes() for each in certificate)
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, chain)]))
    server.start()
    yield port
    server.stop(None)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Makes a key and a certificate for a host, signed by itself."""
    folder = tmp_path_factory.mktemp("certificates")

    def make(host: str) -> tuple[Path, Path]:
        key, chain = folder / f"{host}.key", folder / f"{host}.pem"
        if not chain.exists():
            line = ["openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"]
            line += ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", f"/CN={host}"]
            line += ["-addext", f"subjectAltName=DNS:{host}"]
            subprocess.run([*line, "-keyout", key, "-out", chain], check=True, capture_output=True)
        return key, chain

    return make


def why(target: str, *options: str, env: dict[str, str] | None = None) -> str:
    refused = run_paycli(
        "pay", "--amount", "5", "--target", target, "--timeout", "1", *options, env=env
    )
    assert (refused.returncode, refused.stdout) == (3, ""), refused.stderr
    assert refused.stderr.count("\n") == 1
    return refused.stderr


def test_where_nothing_listens_one_starts_a_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert "nothing listens there. Start one with 'paycli serve', or" in why(f"localhost:{port}")


def test_a_name_that_nobody_knows_is_named() -> None:
    for options in ((), ("--plaintext",)):
        said = why("no-such-host.invalid:50051", *options)
        assert "the name 'no-such-host.invalid' is not known" in said
        assert "paycli serve" not in said


@pytest.mark.parametrize("options", [(), ("--tls",)])
@pytest.mark.parametrize("kind", ["python", "nginx", "python over TLS"])
def test_a_web_server_is_called_one(
    kind: str, options: tuple[str, ...], certificates: Certificates
) -> None:
    with ExitStack() as stack:
        env = {}
        if kind == "nginx":
            port = stack.enter_context(listener(nginx))
        elif kind == "python":
            port = stack.enter_context(web_server())
        else:
            key, chain = certificates("localhost")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(chain, key)
            port = stack.enter_context(web_server(context))
            env = {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(chain)}
        said = why(f"localhost:{port}", *options, env=env)
    assert "speaks HTTP/1, not gRPC. Name the port of its gRPC service, or" in said


def test_tls_and_plaintext_are_told_apart(certificates: Certificates) -> None:
    with grpc_server(certificates("localhost")) as secure, grpc_server() as plain:
        assert "speaks TLS, and plaintext was sent. Add --tls." in why(f"localhost:{secure}")
        said = why(f"localhost:{plain}", "--tls")
    assert "speaks plaintext, and TLS was asked for. Add --plaintext" in said


def test_a_certificate_says_what_is_wrong_with_it(certificates: Certificates) -> None:
    ours, others = certificates("localhost"), certificates("other.example")
    roots = {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(others[1])}
    with grpc_server(ours) as mine, grpc_server(others) as theirs:
        said = why(f"localhost:{mine}", "--tls")
        assert "is not trusted (self" in said
        assert "Name the authority that signed it with --ca FILE." in said
        said = why(f"localhost:{theirs}", "--tls", env=roots)
        assert (
            "is for another host. Name the host as its certificate does, with --server-name" in said
        )


def test_a_service_that_is_slow_needs_more_time() -> None:
    with grpc_server(slow=True) as port:
        said = why(f"localhost:{port}")
    assert f"localhost:{port} did not answer within 1 s (Deadline Exceeded). Wait longer" in said


@pytest.mark.parametrize("options", [(), ("--tls",)])
@pytest.mark.parametrize(
    ("serve", "sentence"),
    [
        (silent, "takes connections but says nothing. Look whether it hangs or is no gRPC"),
        (ssh, "speaks another protocol than gRPC. Name the port"),
    ],
)
def test_what_is_no_grpc_is_said_to_be_none(
    serve: Callable[[socket.socket], None], sentence: str, options: tuple[str, ...]
) -> None:
    with listener(serve) as port:
        assert sentence in why(f"localhost:{port}", *options)


def test_a_web_server_of_http2_is_told_from_a_service() -> None:
    def http2(stream: socket.socket) -> None:
        """Settings, and to the first request 404 with a page, as a web server would."""
        stream.sendall(bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)))
        heard = b""
        while b":path" not in heard and len(heard) < 200:
            heard += stream.recv(4096)
        stream.sendall(bytes((0, 0, 1, 1, 5, 0, 0, 0, 1)) + b"\x8d")  # :status 404, end of stream
        silent(stream)

    with listener(http2) as port:
        said = why(f"localhost:{port}")
    assert "is no gRPC service: it answers as a web server does (HTTP status 404)." in said


@pytest.mark.parametrize("name", ["http_proxy", "https_proxy", "grpc_proxy"])
def test_a_proxy_that_does_not_answer_is_blamed(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        proxy = f"http://ada:secret@127.0.0.1:{free.getsockname()[1]}"
    said = why("payments.invalid:50051", env={name: proxy})
    assert f"No service answers at payments.invalid:50051 through the proxy of {name} (" in said
    assert "Name the host in no_proxy" in said
    assert "secret" not in said
    assert "is not known" in why("payments.invalid:1", env={name: proxy, "no_proxy": ".invalid"})


@pytest.mark.parametrize(
    ("host", "env"),
    [
        ("payments.invalid", {"http_proxy": "PROXY"}),
        ("payments.invalid", {"HTTP_PROXY": "PROXY"}),
        ("payments.invalid", {"grpc_proxy": "", "http_proxy": "PROXY"}),
        ("payments.invalid", {"http_proxy": "socks5://127.0.0.1:1"}),
        ("payments.invalid", {"http_proxy": "PROXY", "no_proxy": "*"}),
        ("payments.invalid", {"http_proxy": "PROXY", "no_proxy": "x, INVALID "}),
        ("payments.invalid", {"http_proxy": "PROXY", "no_proxy": "s.invalid,,"}),
        ("payments.invalid", {"http_proxy": "PROXY", "NO_PROXY": "payments.invalid"}),
        ("payments.invalid", {"http_proxy": "PROXY", "no_grpc_proxy": "", "no_proxy": "invalid"}),
        ("192.0.2.1", {"http_proxy": "PROXY", "no_proxy": "192.0.2.0/24"}),
        ("192.0.2.1", {"http_proxy": "PROXY", "no_proxy": "198.51.100.0/24"}),
    ],
)
def test_a_proxy_is_blamed_when_grpc_goes_through_it(host: str, env: dict[str, str]) -> None:
    asked = threading.Event()

    def hangs_up(stream: socket.socket) -> None:
        asked.set()
        stream.recv(1024)

    with listener(hangs_up) as port:
        proxy = f"http://127.0.0.1:{port}"
        env = {name: proxy if value == "PROXY" else value for name, value in env.items()}
        said = why(f"{host}:50051", env=env)
    assert ("through the proxy" in said) == asked.is_set()
    if "no_grpc_proxy" in env:
        assert "Name the host in no_grpc_proxy" in said


def test_a_channel_is_open_when_it_is_given(certificates: Certificates) -> None:
    with grpc_server() as port, connect(f"localhost:{port}", 5) as channel:
        assert channel
    with pytest.raises(Unreachable), connect(f"localhost:{port}", 5):
        pass
