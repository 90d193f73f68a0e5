"""The host with a service that is not ours, in a process that knows nothing of payments."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.conftest import run_paycli
from tests.wire import refusal_of

PROTO = """
syntax = "proto3";
package greet;
message Greeting { string text = 1; }
service Greeter { rpc Greet(Greeting) returns (Greeting); }
"""
PROGRAM = """
import asyncio, functools, sys
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

from greetings import greet_pb2, greet_pb2_grpc
from paycli.host.app import Service
from paycli.host.lifecycle import Options, serve


class Greeter(greet_pb2_grpc.GreeterServicer):
    async def Greet(self, request, context):
        await asyncio.sleep(float(request.text))
        return greet_pb2.Greeting(text="hello")


@asynccontextmanager
async def open_app(control):
    add = functools.partial(greet_pb2_grpc.add_GreeterServicer_to_server, Greeter())
    yield SimpleNamespace(services=[Service("greet.Greeter", add)], interceptors=(), drain=lambda: None)
    print("closed")


options = Options("localhost", 0, Path("port"), 10.0)
asyncio.run(serve(options, open_app, lambda addresses, services: print(*services, "ready")))
for name in sorted(sys.modules):
    if name.startswith("paycli."):
        print(name)
"""


class Greeter(NamedTuple):
    """The process and a channel to it."""

    process: subprocess.Popen[str]
    channel: grpc.Channel
    port_file: Path

    def call(self, text: str) -> Any:
        """The call, under way."""
        greet = self.channel.unary_unary(
            "/greet.Greeter/Greet", greeting_type().SerializeToString, greeting_type().FromString
        )
        return greet.future(greeting_type()(text=text), timeout=20)


def greeting_type() -> Any:
    """The message, without the code of the server, which is in a package of its own."""
    pool = descriptor_pool.Default()
    try:
        found = pool.FindMessageTypeByName("greet.Greeting")
    except KeyError:
        file = descriptor_pb2.FileDescriptorProto(name="greet.proto", package="greet")
        field = file.message_type.add(name="Greeting").field.add(name="text", number=1)
        field.type, field.label = field.TYPE_STRING, field.LABEL_OPTIONAL
        pool.AddSerializedFile(file.SerializeToString())
        found = pool.FindMessageTypeByName("greet.Greeting")
    return message_factory.GetMessageClass(found)


@pytest.fixture
def greeter(tmp_path: Path) -> Iterator[Greeter]:
    (tmp_path / "protos").mkdir()
    (tmp_path / "protos/greet.proto").write_text(PROTO)
    made = run_paycli("gen", "-I", "protos", "--out", "greetings", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "greet.Greeter ready\n"
        port_file = tmp_path / "port"
        target = f"localhost:{port_file.read_text().strip()}"
        with grpc.insecure_channel(target) as channel:
            yield Greeter(process, channel, port_file)
        process.kill()


def test_it_is_served_and_nothing_of_payments_is_loaded(greeter: Greeter) -> None:
    assert greeter.call("0").result().text == "hello"
    greeter.process.send_signal(signal.SIGTERM)
    printed, _ = greeter.process.communicate(timeout=20)
    closed, *loaded = printed.splitlines()
    assert closed == "closed"
    assert {name.split(".")[1] for name in loaded} == {"addresses", "errors", "host", "wire_names"}
    assert greeter.process.returncode == 0
    assert not greeter.port_file.exists()


def test_it_has_health_and_reflection(greeter: Greeter) -> None:
    health = health_pb2_grpc.HealthStub(greeter.channel).List(health_pb2.HealthListRequest())
    assert {name: each.status for name, each in health.statuses.items()} == {
        "": health_pb2.HealthCheckResponse.SERVING,
        "greet.Greeter": health_pb2.HealthCheckResponse.SERVING,
    }
    ask = reflection_pb2.ServerReflectionRequest(file_containing_symbol="greet.Greeter")
    reflection = reflection_pb2_grpc.ServerReflectionStub(greeter.channel)
    (found,) = reflection.ServerReflectionInfo(iter([ask]), timeout=20)
    assert found.file_descriptor_response.file_descriptor_proto


def test_its_faults_and_unreadable_requests_end_as_ours_do(greeter: Greeter) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        greeter.call("not a number").result()
    said = refusal_of(raised.value)
    assert (said.code, said.reason) == ("INTERNAL", "INTERNAL")
    assert "not a number" not in said.message
    raw = greeter.channel.unary_unary("/greet.Greeter/Greet", bytes, bytes)
    with pytest.raises(grpc.RpcError) as raised:
        raw(b"\xff\xff", timeout=20)
    said = refusal_of(raised.value)
    assert (said.code, said.reason) == ("INVALID_ARGUMENT", "REQUEST_UNREADABLE")
    assert said.message == "The request is no greet.Greeting; its bytes cannot be read."


def test_a_stop_lets_calls_in_flight_end(greeter: Greeter) -> None:
    slow = greeter.call("1.5")
    time.sleep(0.5)  # it is on its way
    greeter.process.send_signal(signal.SIGTERM)
    assert slow.result().text == "hello"
    greeter.process.communicate(timeout=20)
    assert greeter.process.returncode == 0
