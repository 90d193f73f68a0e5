"""`paycli proxy`: what a client sees through it is what it sees without, but for the faults."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from tests.conftest import Server, run_paycli
from tests.host.test_servicers import WORDS, asked, eventually, plain, project, seen_by_client
from tests.processes import ready
from tests.wire import Client, creation

__all__ = ["project"]  # the fixture


@contextmanager
def proxied(
    folder: Path, target: str, faults: str, *arguments: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A proxy before a target, and where it listens."""
    (folder / "chaos.yaml").write_text(f"seed: 1\nfaults: [{faults}]", encoding="utf-8")
    line = f"Proxy for {target} ready!"
    command = ("proxy", "--to", target, "--chaos", "chaos.yaml", *arguments)
    with ready(folder, line, *command) as served:
        yield served


@pytest.mark.parametrize("faults", ["{do: drop, method: None}", "{do: delay, for: 1ms}"])
def test_a_client_sees_the_server_behind_it(project: Path, faults: str) -> None:
    with plain(project) as target, proxied(project, target, faults) as (_, proxy):
        assert seen_by_client(project, proxy, *WORDS) == seen_by_client(project, target, *WORDS)


def test_a_client_that_leaves_leaves_the_server_behind_it(project: Path) -> None:
    (project / "left").unlink(missing_ok=True)
    with plain(project) as target, proxied(project, target, "{do: drop, method: No}") as (_, proxy):
        asked(
            project,
            proxy,
            "call = stub.One.future(Ask(text='left'))\n"
            "import time, pathlib\n"
            "while not pathlib.Path('entered').exists(): time.sleep(0.01)\n"
            "call.cancel()",
        )
        assert eventually((project / "left").exists)


def test_an_answer_is_lost_after_the_work(server: Server, tmp_path: Path) -> None:
    with proxied(tmp_path, server.target, "{do: drop, order: A-1, times: 1}") as (_, proxy):
        line = ("pay", "--amount", "5", "--target", proxy, "--order-id")
        assert run_paycli(*line, "A-2").returncode == 0
        assert run_paycli(*line, "A-1").returncode == 5
        again = run_paycli(*line, "A-1")
        assert again.returncode == 0
        assert "was paid before" in again.stderr


@contextmanager
def target_of(**handlers: Any) -> Iterator[str]:
    """A server of grpc's own with these methods of a.B."""
    server = grpc.server(futures.ThreadPoolExecutor(2))
    generic = grpc.method_handlers_generic_handler("a.B", handlers)
    server.add_generic_rpc_handlers((generic,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"localhost:{port}"
    finally:
        server.stop(0)


def test_what_comes_before_an_error_is_not_lost(tmp_path: Path) -> None:
    def fails(_: bytes, context: grpc.ServicerContext) -> bytes:
        context.send_initial_metadata((("first", "1"),))
        context.abort(grpc.StatusCode.NOT_FOUND, "no")

    with (
        target_of(Fails=grpc.unary_unary_rpc_method_handler(fails)) as target,
        proxied(tmp_path, target, "{do: drop, method: No}") as (_, proxy),
        grpc.insecure_channel(proxy) as channel,
    ):
        call: Any = channel.unary_unary("/a.B/Fails")
        for _ in range(200):  # it depended on which of the two came first
            with pytest.raises(grpc.RpcError) as failed:
                call(b"", timeout=30)
            ended: Any = failed.value
            assert ended.code() is grpc.StatusCode.NOT_FOUND
            assert dict(ended.initial_metadata()) == {"first": "1"}


def test_a_status_that_comes_before_the_last_request_is_the_servers(tmp_path: Path) -> None:
    with (
        target_of() as target,
        proxied(tmp_path, target, "{do: drop, method: No}") as (_, proxy),
        grpc.insecure_channel(proxy) as channel,
    ):
        one: Any = channel.unary_unary("/a.B/Nope")
        many: Any = channel.stream_stream("/a.B/Nope")
        for _ in range(100):  # it depended on which of the two came first
            for call in (one, lambda _, **given: list(many(iter([bytes(9)] * 50), **given))):
                with pytest.raises(grpc.RpcError) as failed:
                    call(b"", timeout=30)
                assert failed.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_stream_pauses_between_its_messages_only(tmp_path: Path) -> None:
    one: Any = grpc.unary_unary_rpc_method_handler(lambda request, _: request)
    with (
        target_of(One=one) as target,
        proxied(tmp_path, target, "{do: slow_stream, for: 60m}") as (_, proxy),
        grpc.insecure_channel(proxy) as channel,
    ):
        call: Any = channel.unary_unary("/a.B/One")
        assert call(b"a", timeout=30) == b"a"


def test_an_answer_that_is_an_error_is_lost_too(tmp_path: Path) -> None:
    def fails(_: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort(grpc.StatusCode.NOT_FOUND, "no")

    def nothing(_: bytes, __: grpc.ServicerContext) -> Iterator[bytes]:
        return iter(())

    with (
        target_of(
            Fails=grpc.unary_unary_rpc_method_handler(fails),
            Nothing=grpc.unary_stream_rpc_method_handler(nothing),
        ) as target,
        proxied(tmp_path, target, "{do: drop}") as (_, proxy),
        grpc.insecure_channel(proxy) as channel,
    ):
        call: Any = channel.unary_unary("/a.B/Fails")
        with pytest.raises(grpc.RpcError) as lost:
            call(b"", timeout=30)
        assert lost.value.code() is grpc.StatusCode.UNAVAILABLE
        stream: Any = channel.unary_stream("/a.B/Nothing")
        with pytest.raises(grpc.RpcError) as lost:
            list(stream(b"", timeout=30))
        assert lost.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_request_is_delivered_twice(server: Server, tmp_path: Path) -> None:
    faults = "{do: duplicate, method: CreatePayment}"
    with (
        proxied(tmp_path, server.target, faults) as (_, proxy),
        grpc.insecure_channel(proxy) as channel,
    ):
        _, trailer = Client(channel).with_trailer("CreatePayment", creation())
        assert trailer["idempotency-replayed"] == "true"


def test_a_stream_without_an_end_is_delivered_twice(server: Server, tmp_path: Path) -> None:
    with (
        proxied(tmp_path, server.target, "{do: duplicate}") as (_, proxy),
        grpc.insecure_channel(server.target) as behind,
        grpc.insecure_channel(proxy) as channel,
    ):
        Client(behind).call("CreatePayment", creation())
        events = Client(channel).payments.WatchEvents(pb.WatchEventsRequest(), timeout=60)
        assert next(iter(events)).payment.amount.units == 10


def test_the_token_of_the_proxy_takes_the_place_of_the_callers(tmp_path: Path) -> None:
    seen: list[str] = []

    def see(_: bytes, context: grpc.ServicerContext) -> bytes:
        seen.extend(str(v) for k, v in context.invocation_metadata() if k == "authorization")
        return b""

    (tmp_path / "token").write_text("mine", encoding="ascii")
    handler: Any = grpc.unary_unary_rpc_method_handler(see)
    with (
        target_of(See=handler) as target,
        proxied(tmp_path, target, "{do: delay, for: 0ms}", "--token", "@token") as (_, proxy),
        grpc.insecure_channel(proxy) as channel,
    ):
        call: Any = channel.unary_unary("/a.B/See")
        call(b"", metadata=(("authorization", "Bearer theirs"),), timeout=30)
    assert seen == ["Bearer mine"]


def test_health_and_reflection_are_those_behind_it(server: Server, tmp_path: Path) -> None:
    with (
        proxied(tmp_path, server.target, "{do: unavailable}") as (_, proxy),
        grpc.insecure_channel(proxy) as channel,
    ):
        request = health_pb2.HealthCheckRequest(service="payment.PaymentService")
        assert health_pb2_grpc.HealthStub(channel).Check(request).status == 1
        with pytest.raises(grpc.RpcError) as refused:
            Client(channel).call("CreatePayment", creation())
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


def test_messages_may_be_as_large_as_the_server_takes(tmp_path: Path) -> None:
    unlimited = (("grpc.max_receive_message_length", -1),)
    server = grpc.server(futures.ThreadPoolExecutor(1), options=unlimited)
    echo: Any = grpc.unary_unary_rpc_method_handler(lambda request, _: request)
    handlers = grpc.method_handlers_generic_handler("a.B", {"Echo": echo})
    server.add_generic_rpc_handlers((handlers,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    large = bytes(20_000_000)
    with (
        proxied(tmp_path, f"localhost:{port}", "{do: drop, method: No}") as (_, proxy),
        grpc.insecure_channel(proxy, options=unlimited) as channel,
    ):
        call: Any = channel.unary_unary("/a.B/Echo")
        assert call(large, timeout=60) == large
    server.stop(0)


def test_it_stops_when_told(server: Server, tmp_path: Path) -> None:
    with proxied(tmp_path, server.target, "{do: drop}") as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_server_that_does_not_tell_its_messages(project: Path) -> None:
    (project / "c.yaml").write_text("faults:\n- do: drop\n- {do: drop, order: A}")
    with plain(project) as target:
        refused = run_paycli("proxy", "--to", target, "--chaos", "c.yaml", cwd=project)
    assert refused.returncode == 2
    assert "\nError: c.yaml:3: this fault looks into requests" in refused.stderr


def test_nobody_behind_it(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("faults: [{do: drop, order: A}]")
    refused = run_paycli("proxy", "--to", "localhost:1", "--chaos", "c.yaml", cwd=tmp_path)
    assert refused.returncode == 3
    refused = run_paycli("proxy", "--to", "nowhere", "--chaos", "c.yaml", cwd=tmp_path)
    assert refused.returncode == 2
