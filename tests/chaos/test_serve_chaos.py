"""`paycli serve --chaos`: clients meet the faults, and the books stay right."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from tests.certificates import Authority
from tests.conftest import Server, StartServer, run_paycli
from tests.host.test_servicers import asked, project, serving
from tests.processes import ready
from tests.wire import Client, creation, refusal_of, refused

__all__ = ["project"]  # the fixture

Faulty = Callable[..., Server]


@pytest.fixture
def faulty(start_server: StartServer, tmp_path: Path) -> Faulty:
    """Start a server with these lines of faults."""

    def start(*faults: str, arguments: tuple[str | Path, ...] = ()) -> Server:
        path = tmp_path / "chaos.yaml"
        path.write_text("seed: 1\nfaults:\n" + "".join(f"- {{{each}}}\n" for each in faults))
        return start_server("--chaos", str(path), *map(str, arguments))

    return start


def pay(server: Server, order: str, *more: str) -> tuple[int, str]:
    """The exit code, and what was said on stderr."""
    paid = run_paycli("pay", "--amount", "5", "--order-id", order, "--target", server.target, *more)
    return paid.returncode, paid.stderr


def payments_in(server: Server) -> str:
    verified = run_paycli("db", "verify", "--store", f"sqlite:///{server.store}")
    assert verified.returncode == 0, verified.stderr
    return verified.stdout


def test_an_answer_that_is_lost_after_the_work_is_unknown_and_paid_once(faulty: Faulty) -> None:
    server = faulty("do: drop, order: A-1, times: 1")
    code, said = pay(server, "A-1")
    assert code == 5
    assert "may have been paid" in said
    code, said = pay(server, "A-1")
    assert (code, "was paid before" in said) == (0, True)
    assert server.stop() == 0
    assert "1 payments" in payments_in(server)


def test_a_lost_answer_over_tls(faulty: Faulty, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    pair = authority.sign("localhost")
    tls = ("--tls-cert", pair.certificate, "--tls-key", pair.key)
    server = faulty("do: drop, times: 1", arguments=tls)
    ca = ("--ca", str(authority.certificate))
    assert pay(server, "A-1", *ca)[0] == 5
    assert pay(server, "A-1", *ca)[0] == 0


def test_the_whole_connection_breaks_and_others_do_not(faulty: Faulty) -> None:
    server = faulty("do: drop, method: CreatePayment, times: 1")
    with (
        grpc.insecure_channel(server.target) as one,
        grpc.insecure_channel(server.target, (("grpc.use_local_subchannel_pool", 1),)) as other,
    ):
        events = Client(one).payments.WatchEvents(pb.WatchEventsRequest(), timeout=30)
        others = Client(other).payments.WatchEvents(pb.WatchEventsRequest(), timeout=30)
        with pytest.raises(grpc.RpcError) as lost:
            Client(one).payments.CreatePayment(creation(), timeout=30)
        assert lost.value.code() is grpc.StatusCode.UNAVAILABLE
        with pytest.raises(grpc.RpcError):
            list(events)
        assert next(iter(others)).payment.amount.units == 10


def test_an_answer_that_is_an_error_is_lost_too(faulty: Faulty) -> None:
    server = faulty("do: drop, method: '*Payment*'")
    with grpc.insecure_channel(server.target) as channel:
        payments = Client(channel).payments
        calls: list[Callable[[], object]] = [
            lambda: payments.GetPayment(pb.GetPaymentRequest(), timeout=30),
            lambda: list(payments.WatchEvents(pb.WatchEventsRequest(payment="?"), timeout=30)),
        ]
        for call in calls:
            with pytest.raises(grpc.RpcError) as lost:
                call()
            assert lost.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_request_that_is_delivered_twice_is_paid_once(faulty: Faulty) -> None:
    server = faulty("do: duplicate")
    code, said = pay(server, "A-1")
    assert (code, "was paid before" in said) == (0, True)  # the answer to the second
    server.stop()
    assert "1 payments" in payments_in(server)


def test_a_fault_before_the_work_proves_that_nothing_was_done(faulty: Faulty) -> None:
    server = faulty("do: unavailable, customer: bob", "do: resource_exhausted, for: 3s")
    with grpc.insecure_channel(server.target) as channel:
        client = Client(channel)
        with refused("FAULT_INJECTED"):
            client.call("CreatePayment", creation(customer_id="bob"))
        with pytest.raises(grpc.RpcError) as raised:
            client.call("CreatePayment", creation())
        refusal = refusal_of(raised.value)
        assert (refusal.code, refusal.details["RetryInfo"]) == (
            "RESOURCE_EXHAUSTED",
            {"retryDelay": "3s"},
        )
        check = health_pb2_grpc.HealthStub(channel).Check
        assert check(health_pb2.HealthCheckRequest()).status == 1
    server.stop()
    assert "0 payments" in payments_in(server)


def test_calls_and_streams_that_take_their_time(faulty: Faulty) -> None:
    server = faulty("do: delay, method: Create*, for: 300ms", "do: slow_stream, for: 300ms")
    with grpc.insecure_channel(server.target) as channel:
        client = Client(channel)
        began = time.monotonic()
        for _ in range(3):
            client.call("CreatePayment", creation())
        assert time.monotonic() - began > 0.9
        events = iter(client.payments.WatchEvents(pb.WatchEventsRequest(), timeout=30))
        next(events)
        began = time.monotonic()
        next(events)
        next(events)
        assert time.monotonic() - began > 0.5


def test_a_servicer_of_ones_own_meets_them_too(tmp_path: Path) -> None:
    (tmp_path / "servicer.py").write_text(
        "import itertools\nimport grpc\n"
        "from paycli.generated import payment_pb2, payment_pb2_grpc\n"
        "class Pay(payment_pb2_grpc.PaymentServiceServicer):\n"
        "    numbers = itertools.count(1)\n"
        "    def ProcessPayment(self, request, context):\n"
        "        context.set_trailing_metadata((('a', 'b'),))\n"
        "        number = next(self.numbers)\n"
        "        if number == 2:\n"
        "            context.abort(grpc.StatusCode.INTERNAL, 'of the first delivery of two')\n"
        "        return payment_pb2.PaymentResponse(payment_id=str(number), status='SUCCESS')\n"
    )
    (tmp_path / "suite.yaml").write_text(
        "steps:\n"
        "- {name: once, call: payment.PaymentService/ProcessPayment, request: {order_id: a},\n"
        "   expect: {payment_id: '1'}}\n"
        "- {name: twice, call: payment.PaymentService/ProcessPayment, request: {order_id: D},\n"
        "   expect: {payment_id: '3'}}\n"
    )
    (tmp_path / "chaos.yaml").write_text("faults: [{do: duplicate, order: D}]")
    line = "Payment Processing Service ready!"
    command = ("serve", "servicer:Pay", "--chaos", "chaos.yaml")
    with ready(tmp_path, line, *command) as (_, target):
        proved = run_paycli("smoke", "suite.yaml", "--target", target, cwd=tmp_path)
    assert proved.returncode == 0, proved.stdout


@pytest.mark.parametrize("servicer", ["servicer:Sync", "servicer:Aborting"])
def test_what_a_servicer_of_ones_own_aborts_with_is_lost_too(project: Path, servicer: str) -> None:
    (project / "chaos.yaml").write_text("faults: [{do: drop, method: One}]")
    with (project / "servicer.py").open("a") as file:
        file.write(
            "\n\nclass Aborting(Async):\n"
            "    async def One(self, request, context):\n"
            "        await context.abort(grpc.StatusCode.ALREADY_EXISTS, 'there')\n"
        )
    with serving(project, servicer, "--chaos", "chaos.yaml") as (_, target):
        said = asked(
            project,
            target,
            "for _ in range(50):\n"
            "    try: stub.One(Ask(text='abort'), wait_for_ready=True, timeout=30)\n"
            "    except grpc.RpcError as lost: print(lost.code().name)",
        )
    assert set(said.split()) == {"UNAVAILABLE"}


def test_it_is_announced_and_logged(faulty: Faulty) -> None:
    server = faulty("do: drop, order: A-1", arguments=("--log-calls",))
    pay(server, "A-1")
    server.stop()
    said = server.stderr()
    assert "CHAOS: calls fail here on purpose" in said
    assert "(seed 1):" in said
    assert "  1. drop all methods with order A-1" in said
    assert "fault=drop" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--host", "0.0.0.0", "--allow-unprotected"), "lets in others' calls"),
        (("--workers", "1"), "--workers and --chaos do not go together"),
    ],
)
def test_where_it_must_not_be(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    (tmp_path / "chaos.yaml").write_text("faults: [{do: drop}]")
    refused = run_paycli("serve", "--chaos", "chaos.yaml", *arguments, cwd=tmp_path)
    assert refused.returncode == 2
    assert said in refused.stderr


def test_a_mistake_in_the_file_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "chaos.yaml").write_text("faults:\n- {do: dorp}")
    refused = run_paycli("serve", "--chaos", "chaos.yaml", cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.startswith("Error: chaos.yaml:2:8: there is no fault 'dorp'")
    assert not (tmp_path / ".paycli").exists()


@pytest.mark.parametrize(
    ("method", "hint"),
    [
        ("ProcesPayment", "did you mean 'ProcessPayment'?"),
        ("Payments/CreatPayment", "did you mean 'Payments/CreatePayment'?"),
        ("Refund", "did you mean 'GetRefund'?"),
        ("Check", "known are BatchCreatePayments, "),  # health is left alone
    ],
)
def test_a_fault_for_no_method_is_refused(tmp_path: Path, method: str, hint: str) -> None:
    text = f"faults:\n- {{do: drop, method: '*Payment'}}\n- {{do: drop, method: {method}}}\n"
    (tmp_path / "chaos.yaml").write_text(text)
    run = run_paycli("serve", "--chaos", "chaos.yaml", "--port", "0", cwd=tmp_path)
    assert (run.returncode, run.stdout) == (2, "")
    said = f"Error: chaos.yaml:3: no method here is '{method}'; {hint}"
    assert run.stderr.splitlines()[-1].startswith(said)
