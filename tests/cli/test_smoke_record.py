"""`paycli smoke record`: what passed by passes again, and no secret is in what was written."""

from __future__ import annotations

import shutil
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from paycli.generated import payment_pb2
from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from tests.chaos.test_proxy import target_of
from tests.conftest import Server, StartServer, run_paycli
from tests.host.test_servicers import project
from tests.processes import ready
from tests.wire import MANUAL, Client, creation, money

__all__ = ["project"]  # the fixture

SECRETS = ("sesame-4711", "4111111111111111", "s3cret-cookie")


@contextmanager
def recorded(folder: Path, target: str, *arguments: str) -> Iterator[tuple[grpc.Channel, Any]]:
    """A channel through a recorder, which has written suite.yaml after the block; and its end."""
    end: dict[str, Any] = {}
    command = ("smoke", "record", "--to", target, *arguments)
    with ready(folder, f"Recorder for {target} ready!", *command) as (process, address):
        with grpc.insecure_channel(address) as channel:
            yield channel, end
        process.send_signal(signal.SIGINT)
        end["code"] = process.wait(30)
        assert process.stderr is not None
        end["said"] = process.stderr.read()
        assert process.stdout is not None
        end["shown"] = process.stdout.read()


def replayed(folder: Path, target: str, *arguments: str, **env: str) -> tuple[int, str]:
    """How the suite ends against a target, and what it says."""
    run = run_paycli("smoke", folder / "suite.yaml", "--target", target, *arguments, env=env)
    return run.returncode, run.stdout + run.stderr


def session(client: Client) -> None:
    """Payments of all kinds, with everything that is another one in each run."""
    batch = pb.BatchCreatePaymentsRequest(
        requests=[creation("4"), creation("-1"), creation("5", customer_id="sim_decline_lost_card")]
    )
    client.call("BatchCreatePayments", batch)
    for _ in range(2):  # a retry, known by its metadata
        metadata = (("idempotency-key", "shop-key-1"), ("x-request-id", "r-17"))
        client.with_trailer("ProcessPayment", _seed("by key", 3), metadata=metadata)
    once = creation("6", customer_id="sim_unavailable_once")
    with pytest.raises(grpc.RpcError):
        client.call("CreatePayment", once)
    client.call("CreatePayment", once)
    order, key = f"order-{uuid.uuid4().hex}", str(uuid.uuid4())
    paid = client.call("ProcessPayment", _seed(order, 9.90))
    assert client.call("ProcessPayment", _seed(order, 9.90)) == paid  # a retry
    held = client.call("CreatePayment", creation("20", request_id=key, capture_method=MANUAL))
    assert (
        client.call("CreatePayment", creation("20", request_id=key, capture_method=MANUAL)) == held
    )
    part = pb.CapturePaymentRequest(request_id="c-1", name=held.name, amount=money("5"))
    client.call("CapturePayment", part)
    refund = client.call(
        "RefundPayment", pb.RefundPaymentRequest(request_id="r-1", name=held.name, reason="late")
    )
    client.call("GetRefund", pb.GetRefundRequest(name=refund.name))
    client.call("GetPayment", pb.GetPaymentRequest(name=f"payments/{paid.payment_id}"))
    declined = creation("3", customer_id="sim_decline_lost_card", order_id=f"{order}-2")
    client.call("CreatePayment", declined)
    for method, request in (
        ("CreatePayment", creation("21", request_id=key, capture_method=MANUAL)),
        ("GetPayment", pb.GetPaymentRequest(name=f"payments/pay_{'0' * 32}")),
        ("ProcessPayment", _seed("x", -1)),
        ("ProcessPayment", _seed("no\nkey", 1)),
    ):
        with pytest.raises(grpc.RpcError):
            client.call(method, request)
    client.call("ListPayments", pb.ListPaymentsRequest(order_id=order))
    client.call("ListPayments", pb.ListPaymentsRequest(page_size=2))
    client.call("ListRefunds", pb.ListRefundsRequest(parent=held.name))
    client.call("ListPostings", pb.ListPostingsRequest(payment=held.name))
    client.call("GetBalance", pb.GetBalanceRequest(account="merchant"))
    client.call("GetBalance", pb.GetBalanceRequest(account=f"hold/{paid.payment_id}"))


def _seed(order: str, amount: float) -> Message:
    return payment_pb2.PaymentRequest(order_id=order, amount=amount, currency="EUR", user_id="ada")


def test_the_seeds_payment_becomes_a_suite(server: Server, tmp_path: Path) -> None:
    with recorded(tmp_path, server.target) as (channel, end):
        Client(channel).call("ProcessPayment", _seed("order-4711", 99.99))
    assert (end["code"], (tmp_path / "suite.yaml").read_text()) == (
        0,
        f"""\
# Recorded by 'paycli smoke record' from {server.target}.
variables: {{order_id: "order-${{uuid}}"}}
steps:
  - name: ProcessPayment 1
    call: payment.PaymentService/ProcessPayment
    request: {{order_id: "${{order_id}}", amount: 99.99, currency: EUR, user_id: ada}}
    expect_exactly: {{payment_id: {{matches: "^pay_[0-9a-f]{{32}}$"}}, status: SUCCESS}}
""",
    )
    assert replayed(tmp_path, server.target)[0] == 0


def test_a_session_passes_again_there_and_at_a_fresh_server(
    start_server: StartServer, tmp_path: Path
) -> None:
    server, fresh = start_server(), start_server(store=tmp_path / "fresh.db")
    Client(grpc.insecure_channel(server.target)).call("CreatePayment", creation("7"))
    with recorded(tmp_path, server.target) as (channel, end):
        session(Client(channel))
    assert end["code"] == 0, end
    for target in (server.target, server.target, fresh.target):
        code, said = replayed(tmp_path, target)
        assert code == 0, said + (tmp_path / "suite.yaml").read_text()


def test_another_server_does_not_pass(server: Server, tmp_path: Path) -> None:
    with recorded(tmp_path, server.target) as (channel, _):
        held = Client(channel).call("CreatePayment", creation("20", capture_method=MANUAL))
        request = pb.CapturePaymentRequest(request_id="c", name=held.name, amount=money("5"))
        Client(channel).call("CapturePayment", request)
    written = (tmp_path / "suite.yaml").read_text()
    for right, wrong in (
        (
            "captured_amount: {currency_code: EUR, units: 5}",
            "captured_amount: {currency_code: EUR}",
        ),
        ("PAYMENT_STATE_PARTIALLY_CAPTURED", "PAYMENT_STATE_CAPTURED"),
        ('name: "${payment}"\n      customer', 'name: "${payment}x"\n      customer'),
    ):
        assert right in written
        (tmp_path / "suite.yaml").write_text(written.replace(right, wrong))
        assert replayed(tmp_path, server.target)[0] == 1


def test_no_secret_is_written(tmp_path: Path, start_server: StartServer) -> None:
    server = start_server()
    metadata = (
        ("authorization", f"Bearer {SECRETS[0]}"),
        ("cookie", SECRETS[2]),
        ("x-shop", "berlin"),
        ("x-trace-bin", b"\xff\x00"),
        ("traceparent", "00-1"),
    )
    with recorded(tmp_path, server.target) as (channel, end):
        client = Client(channel)
        client.with_trailer("CreatePayment", creation(order_id=SECRETS[1]), metadata=metadata)
        client.call("CreatePayment", creation(customer_id=f"card {SECRETS[1]}"))
        client.call("CreatePayment", creation(order_id=f"of {SECRETS[0]}"))
    written = (tmp_path / "suite.yaml").read_text()
    assert not [each for each in SECRETS if each in written + end["said"]]
    assert "x-shop: berlin" in written
    assert "trace" not in written
    assert "# Masked: authorization. Set it in the environment, as AUTHORIZATION, to" in written
    env = {"AUTHORIZATION": "Bearer x", "COOKIE": "c", "CUSTOMER_ID": "ada"}
    assert set(end["said"].rpartition("environment: ")[2].strip(" .\n").split(", ")) == set(env)
    code, said = replayed(tmp_path, server.target, **env)
    assert code == 0, said + written
    assert replayed(tmp_path, server.target)[0] == 2  # and says which variable is not set


def test_calls_at_once_are_in_order_of_their_answers(server: Server, tmp_path: Path) -> None:
    with recorded(tmp_path, server.target) as (channel, _):
        client = Client(channel)
        slow = creation(order_id="slow-order-1", customer_id="sim_slow_500")
        waits = client.payments.CreatePayment.future(slow, timeout=30)
        client.call("CreatePayment", creation(order_id="fast-order-1"))
        waits.result()
    written = (tmp_path / "suite.yaml").read_text()
    assert written.index('order_id: "fast-order-${uuid}"') > 0
    assert written.index("customer_id: ada") < written.index("customer_id: sim_slow_500")
    assert replayed(tmp_path, server.target)[0] == 0


def test_the_suites_of_paycli_itself_pass_again(start_server: StartServer, tmp_path: Path) -> None:
    server, fresh = start_server(), start_server(store=tmp_path / "fresh.db")
    with recorded(tmp_path, server.target) as (_, end):
        port = (tmp_path / "port").read_text().strip()
        assert run_paycli("smoke", "--target", f"localhost:{port}").returncode == 0
    assert "step" in end["said"]
    for target in (server.target, fresh.target):
        code, said = replayed(tmp_path, target)
        assert code == 0, [line for line in said.splitlines() if "PASS" not in line]


def test_what_no_suite_can_make_again_is_named(server: Server, tmp_path: Path) -> None:
    with recorded(tmp_path, server.target) as (channel, end):
        client = Client(channel)
        old = Client(grpc.insecure_channel(server.target)).call("CreatePayment", creation())
        client.call("GetPayment", pb.GetPaymentRequest(name=old.name))
        client.call("CreatePayment", creation())
        events = client.payments.WatchEvents(pb.WatchEventsRequest(payment=old.name), timeout=30)
        next(iter(events))
        events.cancel()
        raw: Any = channel.unary_unary
        for path, request in (
            ("/acme.Foo/Bar", b"x"),
            ("/payment.PaymentService/ProcessPayment", b"\xff\xff"),
            ("/payment.PaymentService/ProcessPayment", b"\x0a\x02\xff\xfe"),
        ):
            with suppress(grpc.RpcError):
                raw(path)(request, timeout=30)
        with suppress(grpc.RpcError):
            client.call("CreatePayment", creation(customer_id="c" * 4_000_000))
        with suppress(grpc.RpcError):
            client.call("CreatePayment", creation(customer_id="${env:HOME}"))
        with suppress(grpc.RpcError):
            slow = creation(customer_id="sim_slow_5000")
            client.payments.CreatePayment(slow, timeout=0.2)
    lines = (tmp_path / "suite.yaml").read_text().splitlines()
    said = [line.partition("not recorded: ")[2] for line in lines if "not recorded" in line]
    said = [each.replace("CANCELLED", "DEADLINE_EXCEEDED") for each in said]  # whoever was first
    payments = "paycli.payments.v1.Payments"
    assert sorted(said) == sorted(
        [
            f"{payments}/GetPayment: its name is of no call before it",
            f"{payments}/WatchEvents: its payment is of no call before it",
            "acme.Foo/Bar: no suite can call it: nobody tells what its messages are",
            *["payment.PaymentService/ProcessPayment: its request is no payment.PaymentRequest"]
            * 2,
            f"{payments}/CreatePayment: its request has 4,000,052 bytes",
            f"{payments}/CreatePayment: its request has a '${{', which suites fill in",
            f"{payments}/CreatePayment: it ended with DEADLINE_EXCEEDED, which another time it may not",
        ]
    )
    assert "8 calls left out, as it says" in end["said"]
    assert replayed(tmp_path, server.target)[0] == 0


def test_a_target_that_dies_in_the_middle_of_a_call(server: Server, tmp_path: Path) -> None:
    with recorded(tmp_path, server.target) as (channel, end):
        client = Client(channel)
        client.call("ProcessPayment", _seed("a", 1))
        slow = client.payments.CreatePayment.future(creation(customer_id="sim_slow_20000"))
        while not server.payments_in_flight():
            pass
        server.stop(signal.SIGKILL)
        with pytest.raises(grpc.RpcError):
            slow.result()
        with pytest.raises(grpc.RpcError):
            client.call("CreatePayment", creation())  # which nobody hears
    assert end["code"] == 0
    written = (tmp_path / "suite.yaml").read_text()
    lost = "CreatePayment: it ended with UNAVAILABLE, which another time it may not"
    assert (written.count(lost), written.count("call:")) == (2, 1)


def test_a_suite_that_smoke_cannot_read_is_told(server: Server, tmp_path: Path) -> None:
    with recorded(tmp_path, server.target) as (channel, end):
        client = Client(channel)
        for _ in range(280):
            with suppress(grpc.RpcError):
                client.call("CreatePayment", creation(customer_id="c" * 60_000))
    assert end["code"] == 1
    assert "It has more than the 16 MiB that smoke reads; take fewer calls." in end["said"]
    assert replayed(tmp_path, server.target)[0] == 2


def test_of_nothing_nothing_is_written(server: Server, tmp_path: Path) -> None:
    with recorded(tmp_path, server.target) as (_, end):
        pass
    assert end["code"] == 1
    assert "Error: No call was recorded, and nothing is written.\n" in end["said"]
    assert not list(tmp_path.glob("*suite*"))


def test_no_file_is_replaced_unless_told_so(server: Server, tmp_path: Path) -> None:
    suite = tmp_path / "suite.yaml"
    suite.write_text("mine")
    line = ("smoke", "record", "--to", server.target)
    refused = run_paycli(*line, cwd=tmp_path)
    assert (refused.returncode, suite.read_text()) == (2, "mine")
    assert "suite.yaml exists; --force replaces it" in refused.stderr
    for nowhere in ("no/where", ".", "/dev/null"):
        assert run_paycli(*line, "--force", "--out", nowhere, cwd=tmp_path).returncode == 2
    with recorded(tmp_path, server.target, "--out", "late.yaml") as (channel, end):
        Client(channel).call("ProcessPayment", _seed("a", 1))
        (tmp_path / "late.yaml").write_text("theirs")
    assert (end["code"], (tmp_path / "late.yaml").read_text()) == (1, "theirs")
    (kept,) = tmp_path.glob("late.yaml.*")
    assert "ProcessPayment 1" in kept.read_text()
    with recorded(tmp_path, server.target, "--force") as (channel, end):
        Client(channel).call("ProcessPayment", _seed("a", 1))
    assert (end["code"], suite.read_text() != "mine") == (0, True)


def test_a_suite_called_record_is_a_suite(server: Server, tmp_path: Path) -> None:
    (tmp_path / "record").write_text("steps:\n- {name: a, call: grpc.health.v1.Health/Check}")
    line = ("smoke", "./record", "--target", server.target)
    assert run_paycli(*line, cwd=tmp_path).returncode == 0


FOREIGN = """
from servicer import Sync
from every_pb2 import Told
import uuid

class Foreign(Sync):
    def One(self, request, context):
        return Told(text=f"{request.text} is {uuid.uuid4()}")
"""


def test_calls_of_other_services(project: Path, tmp_path: Path) -> None:
    (project / "foreign.py").write_text(FOREIGN)
    shutil.copy(project / "every.proto", tmp_path)
    with ready(project, "every.Every ready!", "serve", "foreign:Foreign") as (_, target):
        with recorded(tmp_path, target) as (channel, _):
            one: Any = channel.unary_unary("/every.Every/One")
            answer: bytes = one(b"\x0a\x03ada", timeout=30)[2:]
            assert one(b"\x0a\x28" + answer[-36:] + b"ada!", timeout=30)
        written = (tmp_path / "suite.yaml").read_text()
        assert 'expect: {text: {matches: "^ada is [0-9a-fA-F-]{36}$"}}' in written
        assert replayed(tmp_path, target)[0] == 0
        assert replayed(tmp_path, target, "-I", str(tmp_path))[0] == 0
    listed = run_paycli("smoke", "--list", "-I", tmp_path, tmp_path / "suite.yaml")
    assert listed.stdout == "suite: One 1\nsuite: One 2\n"
    unknown = run_paycli("smoke", "--list", tmp_path / "suite.yaml")
    assert (unknown.returncode, "no known service is called 'every.Every'" in unknown.stderr) == (
        2,
        True,
    )


STREAMS = """
from servicer import Sync
from every_pb2 import Told

class Streams(Sync):
    def Many(self, request, context):
        if request.text != "long":
            yield from super().Many(request, context)
            return
        for number in range(150):
            yield Told(text=f"no. {number}")
"""


def test_streams_become_steps(project: Path, tmp_path: Path) -> None:
    (project / "streams.py").write_text(STREAMS)
    texts = [b"\x0a\x01" + each for each in (b"a", b"b")]
    with ready(project, "every.Every ready!", "serve", "streams:Streams") as (_, target):
        with recorded(tmp_path, target) as (channel, _):
            many: Any = channel.unary_stream("/every.Every/Many")
            total: Any = channel.stream_unary("/every.Every/Sum")
            talk: Any = channel.stream_stream("/every.Every/Talk")
            assert total(iter(texts), timeout=30)
            assert len(list(talk(iter(texts), timeout=30))) == 2
            assert len(list(talk(iter(()), timeout=30))) == 0
            assert len(list(many(b"\x0a\x01x", timeout=30))) == 3
            assert len(list(many(b"\x0a\x04long", timeout=30))) == 150
            slow = many(b"\x0a\x04slow", timeout=30)
            next(slow)
            slow.cancel()
            with suppress(grpc.RpcError):
                list(many(b"\x0a\x05abort", timeout=30))
        written = (tmp_path / "suite.yaml").read_text()
        code, said = replayed(tmp_path, target)
        assert code == 0, said + written
    for each in (
        'requests: [{text: a}, {text: b}]\n    expect: {text: "a+b"}',
        "b}]\n    expect_stream: {count: 2, messages: [{text: A}, {text: B}]}",
        "requests: []\n    expect_stream: {count: 0}",
        "expect_stream: {count: 3, messages: [{text: x0}, {text: x1}, {text: x2}]}",
        "request: {text: abort}\n    expect_error: {code: ABORTED}",
        "  # cut: of 150 messages the first 100 are here\n  - name: Many 2\n",
        "expect_stream: {count: 1, messages: [{text: slow0}], then: cancel}",
    ):
        assert each in written, written
    assert ("no. 99" in written, "no. 100" in written) == (True, False)


def test_events_are_those_of_the_run(start_server: StartServer, tmp_path: Path) -> None:
    server, fresh = start_server(), start_server(store=tmp_path / "fresh.db")
    Client(grpc.insecure_channel(server.target)).call("CreatePayment", creation("7"))
    with recorded(tmp_path, server.target) as (channel, end):
        client = Client(channel)
        secret = creation("20", order_id="order-17", customer_id=f"card {SECRETS[1]}")
        paid = client.call("CreatePayment", secret)
        last = watched(client, 1, payment=paid.name)
        client.call("CreatePayment", creation("3", order_id="order-18"))
        watched(client, 1, after_sequence=last.sequence)
        watched(client, 3)
        watched(client, 1, after_sequence=1)
    written = (tmp_path / "suite.yaml").read_text()
    assert end["code"] == 0, end
    assert SECRETS[1] not in written
    assert 'payment: "${payment}"' in written
    assert 'after_sequence: "${sequence}"' in written
    assert "WatchEvents: its after_sequence is of no call before it" in written
    assert "messages:\n" in written
    for target in (server.target, server.target, fresh.target):
        code, said = replayed(tmp_path, target, CUSTOMER_ID="ada")
        assert code == 0, said + written


def watched(client: Client, count: int, **asked: Any) -> Any:
    """The last of so many events, after which the stream is cancelled."""
    events = client.payments.WatchEvents(pb.WatchEventsRequest(**asked), timeout=30)
    last = [next(events) for _ in range(count)][-1]
    events.cancel()
    return last


def test_a_target_that_tells_nothing_is_recorded_by_protos(tmp_path: Path) -> None:
    (tmp_path / "a.proto").write_text(
        'syntax = "proto3"; package a; message M { string id = 1; int64 n = 2; bytes raw = 3; }\n'
        "service B { rpc C(M) returns (M); }"
    )
    echo: Any = grpc.unary_unary_rpc_method_handler(lambda request, _: request)
    with target_of(C=echo) as target:
        with recorded(tmp_path, target, "-I", str(tmp_path)) as (channel, end):
            call: Any = channel.unary_unary("/a.B/C")
            call(b"\x0a\x01x\x10\x05\x1a\x01\xff", timeout=30)
        assert end["code"] == 0, end
        assert replayed(tmp_path, target, "-I", str(tmp_path))[0] == 0
        with recorded(tmp_path, target, "--force") as (channel, unheard):
            pass
        assert "-I DIR names other protos." in unheard["said"]


def test_a_request_with_a_field_that_nobody_tells_of_is_left_out(
    server: Server, tmp_path: Path
) -> None:
    with recorded(tmp_path, server.target) as (channel, end):
        client = Client(channel)
        client.call("ProcessPayment", _seed("a", 1))
        request = _seed("b", 1)
        request.MergeFromString(b"\x9a\x06\x04XMAS")  # 99: a coupon
        paid = client.call("ProcessPayment", request)
        client.call("GetPayment", pb.GetPaymentRequest(name=f"payments/{paid.payment_id}"))
        client.call("ListPayments", pb.ListPaymentsRequest(order_id="b"))
    assert "3 calls left out" in end["said"]
    written = (tmp_path / "suite.yaml").read_text()
    assert "its request has fields that nobody tells of, by number 99" in written
    for each in ("GetPayment", "ListPayments"):
        assert f"{each}: it rests on what ProcessPayment did, which is not recorded" in written


def test_what_cannot_be_written_is_not_lost(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "suites"
    folder.mkdir()
    with recorded(tmp_path, server.target, "--out", "suites/a.yaml") as (channel, end):
        Client(channel).call("ProcessPayment", _seed("a", 1))
        folder.rmdir()
    assert (end["code"], "The suite is on stdout instead." in end["said"]) == (1, True)
    assert "ProcessPayment 1" in end["shown"]
    line = ("smoke", "record", "--to", server.target, "--out", "x" * 252 + ".yaml")
    refused = run_paycli(*line, cwd=tmp_path)
    assert (refused.returncode, "Cannot write xxx" in refused.stderr) == (2, True)


def test_nobody_behind_it(tmp_path: Path) -> None:
    refused = run_paycli("smoke", "record", "--to", "localhost:1", cwd=tmp_path)
    assert refused.returncode == 3
