"""Each client pays, is refused with details it can read, sees health, and gets what streams.

They are not ours to install for every run: `nox -s interop` does, and names in INTEROP the folder where
npm put its packages. Without it, all but buf's is left out.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Server, StartServer

ROOT = Path(__file__).parents[2]
FOLDER = os.environ.get("INTEROP", "")
BUF = Path(sys.executable).with_name("buf")

needs_npm = pytest.mark.skipif(not FOLDER, reason="nox -s interop installs these clients")

GRPC_JS = """
const grpc = require("@grpc/grpc-js"), loader = require("@grpc/proto-loader");
const [target, protos, healthProto] = process.argv.slice(2);
const options = {keepCase: true, longs: String, defaults: true, includeDirs: [protos, ...healthProto.split(":")]};
const load = (name) => grpc.loadPackageDefinition(loader.loadSync(name, options));
const {payment} = load("payment.proto");
const {Payments} = load("paycli/payments/v1/payments.proto").paycli.payments.v1;
const plain = grpc.credentials.createInsecure();
const seed = new payment.PaymentService(target, plain), rich = new Payments(target, plain);
const call = (stub, method, request) => new Promise((ok, no) =>
  stub[method](request, {deadline: Date.now() + 10000}, (error, answer) => error ? no(error) : ok(answer)));
(async () => {
  const order = {order_id: "js", amount: 12.5, currency: "EUR", user_id: "ada"};
  const paid = await call(seed, "ProcessPayment", order);
  const refused = await call(seed, "ProcessPayment", {...order, amount: 0.001}).catch((error) => error);
  const events = rich.WatchEvents({}), seen = [];
  for await (const event of events) { seen.push(event.sequence); break; }
  console.log(JSON.stringify({
    status: paid.status, code: grpc.status[refused.code],
    details: refused.metadata.get("grpc-status-details-bin")[0].includes("paycli.dev"), seen,
  }));
  process.exit(0);
})();
"""
CONNECT = """
import { createClient, ConnectError, Code } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { PaymentService } from "./payment_pb.js";
import { Payments } from "./paycli/payments/v1/payments_pb.js";
const transport = createGrpcTransport({ baseUrl: `http://${process.argv[2]}` });
const seed = createClient(PaymentService, transport), rich = createClient(Payments, transport);
const order = { orderId: "connect", amount: 12.5, currency: "EUR", userId: "ada" };
const paid = await seed.processPayment(order, { timeoutMs: 10000 });
const refused = await seed.processPayment({ ...order, amount: 0.001 }).catch(ConnectError.from);
const seen = [];
for await (const event of rich.watchEvents({})) { seen.push(String(event.sequence)); break; }
console.log(JSON.stringify({
  status: paid.status, code: Code[refused.code],
  details: refused.details.some((each) => each.type === "google.rpc.ErrorInfo"), seen,
}));
process.exit(0);
"""
GRPCLIB = """
import asyncio, json, sys
from grpclib.client import Channel
from grpclib.exceptions import GRPCError
from grpclib.health.v1.health_grpc import HealthStub
from grpclib.health.v1.health_pb2 import HealthCheckRequest
from google.rpc import error_details_pb2
import payment_grpc, payment_pb2
from paycli.payments.v1 import payments_grpc, payments_pb2

async def main():
    host, _, port = sys.argv[1].rpartition(":")
    async with Channel(host, int(port)) as channel:
        seed, rich = payment_grpc.PaymentServiceStub(channel), payments_grpc.PaymentsStub(channel)
        order = dict(order_id="lib", currency="EUR", user_id="ada")
        paid = await seed.ProcessPayment(payment_pb2.PaymentRequest(amount=12.5, **order))
        try:
            await seed.ProcessPayment(payment_pb2.PaymentRequest(amount=0.001, **order))
        except GRPCError as problem:
            refused = problem
        health = await HealthStub(channel).Check(HealthCheckRequest())
        async with rich.WatchEvents.open() as stream:
            await stream.send_message(payments_pb2.WatchEventsRequest(), end=True)
            event = await stream.recv_message()
            await stream.cancel()
    print(json.dumps({"status": paid.status, "code": refused.status.name,
        "details": any("ErrorInfo" in type(each).__name__ for each in refused.details or ()),
        "seen": [str(event.sequence)], "health": health.status}))

asyncio.run(main())
"""
GRPC_REQUESTS = """
import json, sys
import grpc
from grpc_requests import Client

client = Client.get_by_endpoint(sys.argv[1])
order = {"order_id": "requests", "amount": 12.5, "currency": "EUR", "user_id": "ada"}
paid = client.request("payment.PaymentService", "ProcessPayment", order)
try:
    client.request("payment.PaymentService", "ProcessPayment", {**order, "amount": 0.001})
except grpc.RpcError as problem:
    code = problem.code().name
events = client.request("paycli.payments.v1.Payments", "WatchEvents", {})
print(json.dumps({"status": paid["status"], "code": code,
    "seen": [next(iter(events))["sequence"]], "services": sorted(client.service_names)}))
"""


@pytest.fixture
def server(start_server: StartServer) -> Server:
    return start_server()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the contracts and npm's packages."""
    (tmp_path / "node_modules").symlink_to(Path(FOLDER) / "node_modules")
    return tmp_path


def seen_by(*line: str | Path, cwd: Path) -> dict[str, Any]:
    run = subprocess.run(line, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    seen: dict[str, Any] = json.loads(run.stdout)
    return seen


def protoc(folder: Path, *options: str) -> None:
    """Code for another library, of both contracts and what they import."""
    includes = [ROOT / "proto", *_installed_protos()]
    line = [sys.executable, "-m", "grpc_tools.protoc", *(f"-I{each}" for each in includes)]
    names = ["payment.proto", "paycli/payments/v1/payments.proto"]
    names += ["google/type/money.proto", "google/rpc/status.proto"]
    subprocess.run([*line, *options, *names], cwd=folder, check=True)


def _installed_protos() -> list[Path]:
    from google.type import money_pb2

    return [Path(money_pb2.__file__).parents[2]]


@needs_npm
def test_grpc_js(server: Server, folder: Path) -> None:
    (folder / "client.js").write_text(GRPC_JS, encoding="utf-8")
    includes = ":".join(map(str, _installed_protos()))
    seen = seen_by("node", "client.js", server.target, ROOT / "proto", includes, cwd=folder)
    assert seen == {"status": "SUCCESS", "code": "INVALID_ARGUMENT", "details": True, "seen": ["1"]}


@needs_npm
def test_connect_node(server: Server, folder: Path) -> None:
    plugin = folder / "node_modules/.bin/protoc-gen-es"
    protoc(
        folder,
        f"--plugin=protoc-gen-es={plugin}",
        "--es_out=.",
        "--es_opt=target=js,import_extension=js",
    )
    (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    (folder / "client.js").write_text(CONNECT, encoding="utf-8")
    seen = seen_by("node", "client.js", server.target, cwd=folder)
    assert seen == {"status": "SUCCESS", "code": "InvalidArgument", "details": True, "seen": ["1"]}


@needs_npm
def test_grpclib(server: Server, tmp_path: Path) -> None:
    pytest.importorskip("grpclib")
    protoc(tmp_path, "--python_out=.", "--grpclib_python_out=.")
    shutil.rmtree(tmp_path / "google")  # installed
    for package in ("paycli", "paycli/payments", "paycli/payments/v1"):  # of theirs, not of ours
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "client.py").write_text(GRPCLIB, encoding="utf-8")
    seen = seen_by(sys.executable, "client.py", server.target, cwd=tmp_path)
    assert seen == {
        "status": "SUCCESS",
        "code": "INVALID_ARGUMENT",
        "details": True,
        "seen": ["1"],
        "health": 1,
    }


@needs_npm
def test_grpc_requests(server: Server, tmp_path: Path) -> None:
    """It knows no contract: all that it knows is told by reflection."""
    pytest.importorskip("grpc_requests")
    (tmp_path / "client.py").write_text(GRPC_REQUESTS, encoding="utf-8")
    seen = seen_by(sys.executable, "client.py", server.target, cwd=tmp_path)
    assert seen["services"] == [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "paycli.payments.v1.Payments",
        "payment.PaymentService",
    ]
    assert (seen["status"], seen["code"], seen["seen"]) == ("SUCCESS", "INVALID_ARGUMENT", ["1"])


def test_buf_curl(server: Server, tmp_path: Path) -> None:
    """It asks reflection too, by its name of today."""
    line: list[str | Path] = [BUF, "curl", "--protocol", "grpc", "--http2-prior-knowledge"]
    url = f"http://{server.target}/payment.PaymentService/ProcessPayment"
    order = {"orderId": "buf", "amount": 12.5, "currency": "EUR", "userId": "ada"}
    env = {**os.environ, "BUF_CACHE_DIR": str(tmp_path)}

    def curl(**changed: object) -> subprocess.CompletedProcess[str]:
        data = json.dumps({**order, **changed})
        command = [*line, "--data", data, url]
        return subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=60, check=False
        )

    paid = curl()
    assert paid.returncode == 0, paid.stderr
    assert json.loads(paid.stdout)["status"] == "SUCCESS"
    refused = json.loads(curl(amount=0.001).stderr)
    assert refused["code"] == "invalid_argument"
    assert refused["details"][0]["type"] == "google.rpc.ErrorInfo"
