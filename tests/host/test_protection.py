"""TLS, tokens, and what keeps strangers out: real certificates, a real server, the CLI's own client."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from paycli.generated import payment_pb2, payment_pb2_grpc
from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from paycli.generated.paycli.payments.v1 import payments_pb2_grpc
from paycli.host.protection.authorization import scope_of
from paycli.host.protection.scopes import Scope
from tests.certificates import Authority, Pair
from tests.conftest import Server, StartServer, run_paycli
from tests.wire import refusal_of


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def localhost(authority: Authority) -> Pair:
    return authority.sign("localhost")


def tls(pair: Pair) -> tuple[str, ...]:
    return "--tls-cert", str(pair.certificate), "--tls-key", str(pair.key)


def pay(target: str, *options: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    return run_paycli("pay", "--amount", "5", "--target", target, *options, env=env)


def new_token(path: Path, name: str, *scopes: str) -> str:
    words = [word for scope in scopes for word in ("--scope", scope)]
    made = run_paycli("serve", "token", name, *words, "--tokens", path)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def test_a_payment_over_tls(
    start_server: StartServer, authority: Authority, localhost: Pair
) -> None:
    server = start_server(*tls(localhost))
    paid = pay(server.target, "--ca", authority.certificate)
    assert paid.returncode == 0, paid.stderr
    assert "speaks TLS, and plaintext was sent. Add --tls." in pay(server.target).stderr
    proved = run_paycli("smoke", "--target", server.target, "--ca", authority.certificate)
    assert proved.returncode == 0, proved.stdout


def test_a_client_without_a_certificate_is_kept_out(
    start_server: StartServer, authority: Authority, localhost: Pair, tmp_path: Path
) -> None:
    ada, stranger = authority.sign("ada"), Authority(tmp_path / "strange").sign("eve")
    server = start_server(*tls(localhost), "--client-ca", str(authority.certificate))
    ca = ("--ca", authority.certificate)
    paid = pay(server.target, *ca, "--cert", ada.certificate, "--key", ada.key)
    assert paid.returncode == 0, paid.stderr
    for options in ((), ("--cert", stranger.certificate, "--key", stranger.key)):
        refused = pay(server.target, *ca, "--timeout", "3", *options)
        assert (refused.returncode, refused.stdout) == (3, "")
        assert refused.stderr.count("\n") == 1


def test_a_renewed_certificate_is_served_and_open_connections_go_on(
    start_server: StartServer, authority: Authority, tmp_path: Path
) -> None:
    first, second = authority.sign("localhost"), authority.sign("renewed.example")
    used = Pair(tmp_path / "cert.pem", tmp_path / "key.pem")
    for source, place in zip(first, used, strict=True):
        shutil.copy(source, place)
    server = start_server(*tls(used))
    roots = grpc.ssl_channel_credentials(authority.certificate.read_bytes())
    with grpc.secure_channel(server.target, roots) as channel:
        stub = payment_pb2_grpc.PaymentServiceStub(channel)
        assert stub.ProcessPayment(request("before")).status == "SUCCESS"
        shutil.copy(second.certificate, used.certificate)  # its key is not there yet
        assert pay(server.target, "--ca", authority.certificate).returncode == 0
        shutil.copy(second.key, used.key)
        other = pay(server.target, "--ca", authority.certificate)
        assert "is for another host" in other.stderr
        name = ("--server-name", "renewed.example")
        assert pay(server.target, "--ca", authority.certificate, *name).returncode == 0
        assert stub.ProcessPayment(request("after")).status == "SUCCESS"
    server.stop()
    said = server.stderr()
    assert "the renewed certificate is not used" in said
    assert "is not the key of" in said


def request(order_id: str) -> payment_pb2.PaymentRequest:
    return payment_pb2.PaymentRequest(order_id=order_id, amount=5, currency="EUR", user_id="ada")


@pytest.fixture
def unfit(
    authority: Authority, localhost: Pair, tmp_path: Path
) -> dict[str, tuple[list[str], str]]:
    """Files that cannot be used, and what is said of them."""
    other, expired = authority.sign("other"), authority.sign("old", days=-1)
    line: list[str | Path]
    ed25519 = Pair(tmp_path / "ed25519.pem", tmp_path / "ed25519.key")
    line = ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=localhost"]
    line += ["-keyout", ed25519.key, "-out", ed25519.certificate]
    subprocess.run(line, check=True, capture_output=True)
    encrypted, no_pem = tmp_path / "encrypted.key", tmp_path / "no.pem"
    line = [
        "openssl",
        "ec",
        "-in",
        localhost.key,
        "-aes128",
        "-passout",
        "pass:x",
    ]
    subprocess.run([*line, "-out", encrypted], check=True, capture_output=True)
    no_pem.write_text("nothing")
    missing = tmp_path / "missing.pem"
    own, key = str(localhost.certificate), str(localhost.key)
    return {
        "one of two": (["--tls-cert", own], "TLS takes both: --tls-cert FILE and --tls-key FILE."),
        "not a pair": (
            ["--tls-cert", own, "--tls-key", str(other.key)],
            f"{other.key} is not the key of {own}.",
        ),
        "expired": ([*tls(expired)], f"{expired.certificate}: certificate has expired."),
        "encrypted": (
            ["--tls-cert", own, "--tls-key", str(encrypted)],
            f"{encrypted} is encrypted; a server needs its key in the clear, readable by it alone.",
        ),
        "no PEM": (
            ["--tls-cert", str(no_pem), "--tls-key", key],
            f"{no_pem} holds no '-----BEGIN CERTIFICATE-----', as PEM files do.",
        ),
        "missing": (
            ["--tls-cert", str(missing), "--tls-key", key],
            f"{missing} cannot be read: No such file or directory.",
        ),
        "a kind that gRPC has not": (
            [*tls(ed25519)],
            f"{ed25519.key}: gRPC serves no Ed25519 keys; take RSA, or EC on P-256 or P-384.",
        ),
        "no authority": (
            [*tls(localhost), "--client-ca", str(no_pem)],
            f"{no_pem} holds no certificate of an authority.",
        ),
    }


@pytest.mark.parametrize(
    "kind",
    [
        "one of two",
        "not a pair",
        "expired",
        "encrypted",
        "no PEM",
        "missing",
        "a kind that gRPC has not",
        "no authority",
    ],
)
def test_files_that_do_not_fit_are_refused_at_the_start(
    kind: str, unfit: dict[str, tuple[list[str], str]], tmp_path: Path
) -> None:
    options, sentence = unfit[kind]
    store = tmp_path / "never.db"
    refused = run_paycli("serve", "--port", "0", "--store", f"sqlite:///{store}", *options)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"Error: {sentence}\n"
    assert not store.exists()


def test_other_machines_come_in_with_tls_or_tokens(localhost: Pair, tmp_path: Path) -> None:
    for host in ("0.0.0.0", "::"):
        refused = run_paycli("serve", "--host", host, "--port", "0")
        assert refused.returncode == 2
        assert "lets other machines in without TLS or tokens." in refused.stderr


class Tokens:
    """A server that asks for tokens, and some of them."""

    def __init__(self, start_server: StartServer, path: Path) -> None:
        self.path = path
        self.both = new_token(path, "ada")
        self.reads = new_token(path, "auditor", "read")
        self.writes = new_token(path, "till", "write")
        self.server: Server = start_server("--tokens", str(path))


@pytest.fixture
def tokens(start_server: StartServer, tmp_path: Path) -> Tokens:
    return Tokens(start_server, tmp_path / "tokens")


def test_a_token_opens_what_its_scopes_say(tokens: Tokens) -> None:
    target = tokens.server.target
    assert pay(target, PAYCLI_TOKEN=tokens.both).returncode == 0
    assert pay(target, "-H", f"authorization: bearer {tokens.writes}").returncode == 0
    secret = tokens.path.with_name("token")
    secret.write_text(tokens.writes + "\n")
    assert pay(target, "--token", f"@{secret}").returncode == 0
    refused = pay(target, PAYCLI_TOKEN=tokens.reads)
    assert (refused.returncode, refused.stdout) == (4, "")
    assert "The token of auditor has no scope write" in refused.stderr
    with grpc.insecure_channel(target) as channel:
        stub = payments_pb2_grpc.PaymentsStub(channel)
        assert (
            len(stub.ListPayments(pb.ListPaymentsRequest(), metadata=bearer(tokens.reads)).payments)
            == 3
        )
        (event, *_) = take(stub.WatchEvents(pb.WatchEventsRequest(), metadata=bearer(tokens.reads)))
        assert event.sequence == 1
        with pytest.raises(grpc.RpcError) as raised:
            stub.ListPayments(pb.ListPaymentsRequest(), metadata=bearer(tokens.writes))
        said = refusal_of(raised.value)
        assert (said.code, said.reason) == ("PERMISSION_DENIED", "SCOPE_MISSING")
        with pytest.raises(grpc.RpcError) as raised:
            next(stub.WatchEvents(pb.WatchEventsRequest(), metadata=bearer(tokens.writes)))
        assert refusal_of(raised.value).code == "PERMISSION_DENIED"


def take(events: Any) -> list[pb.Event]:
    found = [next(events)]
    events.cancel()
    return found


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ((), "TOKEN_MISSING"),
        ((("authorization", "Basic YTpi"),), "TOKEN_MISSING"),
        (bearer("TOKEN") * 2, "TOKEN_MISSING"),
        (bearer(""), "TOKEN_UNKNOWN"),
        (bearer("paycli_"), "TOKEN_UNKNOWN"),
        (bearer("x" * 8000), "TOKEN_UNKNOWN"),
    ],
)
def test_who_has_no_token_gets_nothing_read(
    metadata: tuple[tuple[str, str], ...], reason: str, tokens: Tokens
) -> None:
    with grpc.insecure_channel(tokens.server.target) as channel:
        raw = channel.unary_unary("/payment.PaymentService/ProcessPayment", bytes, bytes)
        with pytest.raises(grpc.RpcError) as raised:
            raw(b"\xff\xff", metadata=metadata)  # else: that it cannot be read
    said = refusal_of(raised.value)
    assert (said.code, said.reason) == ("UNAUTHENTICATED", reason)


def test_health_is_open_and_reflection_is_not(tokens: Tokens) -> None:
    with grpc.insecure_channel(tokens.server.target) as channel:
        health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        ask = reflection_pb2.ServerReflectionRequest(list_services="")
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
        with pytest.raises(grpc.RpcError) as raised:
            list(reflection.ServerReflectionInfo(iter([ask])))
        assert refusal_of(raised.value).code == "UNAUTHENTICATED"
        (found,) = reflection.ServerReflectionInfo(iter([ask]), metadata=bearer(tokens.reads))
        assert found.list_services_response.service


def test_channelz_is_for_administrators(start_server: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    admin, other = new_token(path, "ada", "admin"), new_token(path, "bob")
    server = start_server("--tokens", str(path), "--channelz")
    with grpc.insecure_channel(server.target) as channel:
        stub = channelz_pb2_grpc.ChannelzStub(channel)
        ask = channelz_pb2.GetServersRequest()
        assert stub.GetServers(ask, metadata=bearer(admin)).server[0].data.calls_started
        with pytest.raises(grpc.RpcError) as raised:
            stub.GetServers(ask, metadata=bearer(other))
    assert refusal_of(raised.value).code == "PERMISSION_DENIED"


def test_the_file_is_read_again_and_a_mistake_changes_nothing(tokens: Tokens) -> None:
    target = tokens.server.target
    lines = tokens.path.read_text().splitlines()
    tokens.path.write_text("\n".join(lines[1:]) + "\n")  # without ada
    time.sleep(1.1)
    refused = pay(target, PAYCLI_TOKEN=tokens.both)
    assert (refused.returncode, "The token of the call is nobody's." in refused.stderr) == (4, True)
    tokens.path.write_text(f"a mistake\n{lines[2]}\n")  # and without the auditor
    time.sleep(1.1)
    assert pay(target, PAYCLI_TOKEN=tokens.writes).returncode == 0
    refused = pay(target, PAYCLI_TOKEN=tokens.reads)
    assert "The token of the call is nobody's." in refused.stderr
    added = tokens.path.with_name("added")
    late = new_token(added, "late")
    added.replace(tokens.path)
    time.sleep(1.1)
    assert pay(target, PAYCLI_TOKEN=late).returncode == 0
    assert pay(target, PAYCLI_TOKEN=tokens.writes).returncode == 4
    tokens.path.write_text("# nobody\n")
    time.sleep(1.1)
    assert pay(target, PAYCLI_TOKEN=late).returncode == 4
    tokens.server.stop()
    said = tokens.server.stderr()
    assert "no token is added" in said
    assert tokens.both not in said


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "FILE has no token; make one with 'paycli serve token NAME'."),
        ("# only this\n", "FILE has no token; make one with 'paycli serve token NAME'."),
        ("ada read\n", "FILE:1: a line is a name, scopes and a hash."),
        (f"\nada reed {'a' * 64}\n", "FILE:2: 'reed' is no scope; they are admin, read, write."),
        (f"ada read {'A' * 64}\n", "FILE:1: a hash is 64 hexadecimal digits."),
        ("ada read paycli_abc\n", "FILE:1: that is a token; the file holds their hashes."),
        (f"a read {'a' * 64}\nb read {'a' * 64}\n", "FILE:2: a has the same token."),
    ],
)
def test_a_file_of_tokens_says_where_it_is_wrong(text: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(text)
    path.chmod(0o600)
    refused = run_paycli("serve", "--port", "0", "--tokens", path, cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr == f"Error: {sentence.replace('FILE', str(path))}\n"


def test_a_file_of_tokens_is_nobody_elses(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    new_token(path, "ada")
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    refused = run_paycli("serve", "--port", "0", "--tokens", path, cwd=tmp_path)
    assert refused.stderr == f"Error: {path} may be read by others; run 'chmod 600 {path}'.\n"


def test_a_token_goes_into_files_only(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in ("/dev/full", "/dev/null", str(pipe)):
        refused = run_paycli("serve", "token", "ada", "--tokens", path, timeout_s=20)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert refused.stderr.startswith(f"Error: {path} is no file; ")


def test_a_token_without_a_file_is_shown_with_its_line(tmp_path: Path) -> None:
    made = run_paycli("serve", "token", "ada", "--scope", "read")
    name, scopes, hashed = made.stderr.splitlines()[1].split()
    assert (name, scopes, len(hashed)) == ("ada", "read", 64)
    assert made.stdout.startswith("paycli_")
    refused = run_paycli("serve", "token", "a b")
    assert (refused.returncode, refused.stdout) == (2, "")


@pytest.mark.parametrize(
    ("method", "scope"),
    [
        ("/a.B/GetThing", Scope.READ),
        ("/a.B/List", Scope.READ),
        ("/a.B/Getaway", Scope.WRITE),
        ("/a.B/ListenAndCharge", Scope.WRITE),
        ("/a.B/DeleteThing", Scope.WRITE),
        ("/payment.PaymentService/ProcessPayment", Scope.WRITE),
        ("/grpc.health.v1.Health/Watch", None),
        ("/grpc.channelz.v1.Channelz/GetServers", Scope.ADMIN),
    ],
)
def test_a_name_reads_by_its_first_word(method: str, scope: Scope | None) -> None:
    assert scope_of(method) == scope


def test_a_pipe_in_the_place_of_the_file_holds_up_nobody(tokens: Tokens) -> None:
    tokens.path.unlink()
    os.mkfifo(tokens.path, 0o600)
    time.sleep(1.1)
    assert pay(tokens.server.target, PAYCLI_TOKEN=tokens.writes).returncode == 0


def test_the_key_of_a_payment_is_no_header(tmp_path: Path) -> None:
    said = pay("localhost:1", "-H", "idempotency-key: k")
    assert (said.returncode, said.stdout) == (2, "")
    assert "--idempotency-key" in said.stderr
    said = pay("localhost:1", "-H", "authorization: Bearer a", "--token", "b")
    assert said.returncode == 2
    said = run_paycli("--token", "hidden", "-H", "a: hidden", "pay", "--amount", "5")
    assert said.returncode == 2
    assert "hidden" not in said.stderr


def test_secrets_are_not_said_again_and_go_nowhere_in_the_clear(tmp_path: Path) -> None:
    said = pay("192.0.2.1:50051", "--plaintext", "--token", "secret-token")
    assert said.returncode == 2
    assert said.stderr == (
        "Error: A token or header would be readable on the way to 192.0.2.1. "
        "Use --tls, or leave it out.\n"
    )
    for options in (("--token", "secret token"), ("-H", "x y: secret"), ("-H", "grpc-x: secret")):
        said = pay("localhost:1", *options)
        assert said.returncode == 2
        assert "secret" not in said.stderr
