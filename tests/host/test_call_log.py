"""The log of a server: a line a call, for people and for machines, that holds nobody up."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest

from paycli.generated import payment_pb2
from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from paycli.host.observation.call_log import CallLog
from paycli.host.observation.calls import note
from paycli.host.observation.json_lines import JsonLines
from paycli.host.observation.log_lines import TextLines
from paycli.host.observation.log_writer import LogWriter, logging_to
from tests.conftest import InWriter, Server, StartServer, run_paycli
from tests.host import test_calls as calls
from tests.wire import Client, client_of

CUSTOMER = "grace-hopper"
SEED = "/payment.PaymentService/ProcessPayment"
RICH = "/paycli.payments.v1.Payments"


def lines_of(server: Server) -> list[dict[str, Any]]:
    """All that the server said on stderr, which is objects only."""
    assert server.stop() == 0
    return [json.loads(line) for line in server.stderr().splitlines()]


def calls_of(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in lines if each["logger"] == "paycli.calls"]


def pay(client: Client, order_id: str, **metadata: str) -> payment_pb2.PaymentResponse:
    request = payment_pb2.PaymentRequest(
        order_id=order_id, amount=9.5, currency="EUR", user_id=CUSTOMER
    )
    pairs = tuple((key.replace("_", "-"), value) for key, value in metadata.items())
    answer: payment_pb2.PaymentResponse = client.seed.ProcessPayment(
        request, timeout=20, metadata=pairs
    )
    return answer


def test_each_call_is_an_object_with_what_is_worth_knowing(start_server: StartServer) -> None:
    server = start_server("--log-calls", "--log-format", "json")
    before = datetime.now(UTC)
    with client_of(server.target) as client:
        paid = pay(client, "order-1", x_request_id="from-the-shop")
        held = client.authorize("12.34", customer_id=CUSTOMER, order_id="order-2")
        client.capture(held.name, "2.30")
        with pytest.raises(grpc.RpcError):
            client.refund("payments/pay_none", "1.00")
        events = client.payments.WatchEvents(pb.WatchEventsRequest(), timeout=20)
        assert next(events).sequence
        events.cancel()
        time.sleep(0.5)  # or the stop would end it first
    lines = lines_of(server)
    seed, create, capture, refund, watch = calls_of(lines)
    assert list(seed)[:8] == [
        *("time", "level", "logger", "message", "method", "code", "duration_ms", "request_id"),
    ]
    assert before <= datetime.fromisoformat(seed["time"]) <= datetime.now(UTC)
    assert 0 < seed.pop("duration_ms") < 20_000
    assert re.fullmatch(r"ipv[46]:(127\.0\.0\.1|\[::1\]):\d+", seed.pop("peer"))
    del seed["time"]
    assert seed == {
        "level": "INFO",
        "logger": "paycli.calls",
        "message": "call ended",
        "method": SEED,
        "code": "OK",
        "request_id": "from-the-shop",
        "order_id": "order-1",
        "amount": "9.5",
        "currency": "EUR",
        "payment_id": paid.payment_id,
        "status": "SUCCESS",
    }
    amount = {"amount": "12.34", "currency": "EUR"}
    assert create.items() >= {"order_id": "order-2", **amount, "state": "AUTHORIZED"}.items()
    assert capture.items() >= {"payment": held.name, "amount": "2.30"}.items()
    assert refund.items() >= {"payment": "payments/pay_none", "amount": "1.00"}.items()
    assert (refund["code"], refund["reason"]) == ("NOT_FOUND", "PAYMENT_NOT_FOUND")
    assert (watch["method"], watch["code"]) == (f"{RICH}/WatchEvents", "CANCELLED")
    assert CUSTOMER not in json.dumps(lines)
    assert len({each["request_id"] for each in (seed, create, capture, refund, watch)}) == 5


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_line_is_one_line_whatever_is_in_an_id(start_server: StartServer, form: str) -> None:
    server = start_server("--log-calls", "--log-format", form)
    order_ids = ("a\nb", 'say "no" code=OK', "\u202egnp", "\x1b[31mred", "\u2028", "é")
    with client_of(server.target) as client:
        for order_id in order_ids:
            if order_id.isprintable():
                pay(client, order_id)
            else:
                with pytest.raises(grpc.RpcError):
                    pay(client, order_id)
    assert server.stop() == 0
    lines = [line for line in server.stderr().splitlines() if SEED in line]
    assert all(line.isprintable() for line in lines)
    found = lines if form == "text" else [json.loads(line)["order_id"] for line in lines]
    shown = (
        '"a\\nb"',
        '"say \\"no\\" code=OK"',
        '"\\u202egnp"',
        '"\\u001b[31mred"',
        '"\\u2028"',
        "é",
    )
    if form == "json":
        assert tuple(found) == order_ids
    else:
        for line, word in zip(found, shown, strict=True):
            assert f" order_id={word} amount=9.5 currency=EUR " in line


def test_a_line_for_people_and_none_unless_asked(start_server: StartServer) -> None:
    for arguments in ((), ("--log-calls",)):
        server = start_server(*arguments)
        with client_of(server.target) as client:
            pay(client, "order-1")
        assert server.stop() == 0
        said = server.stderr()
        form = (
            rf"^[\d-]+ [\d:,]+ INFO call ended method={SEED} code=OK duration_ms=[\d.]+ request_id="
        )
        assert bool(re.search(form, said, re.MULTILINE)) == bool(arguments)


def test_the_start_names_the_place_of_the_store(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server()
    assert server.stop() == 0
    assert f"Payments are kept in {tmp_path}/store.db\n" in server.stderr()
    server = start_server("--store", "sqlite:///:memory:", "--log-format", "json")
    assert "Payments are kept in memory, gone at the stop" in [
        line["message"] for line in lines_of(server)
    ]


def test_the_error_that_ends_a_server_is_an_object_too(server: Server) -> None:
    held = run_paycli(
        *("serve", "--port", "0", "--store", f"sqlite:///{server.store}", "--log-format", "json")
    )
    assert (held.returncode, held.stdout) == (1, "")
    (line,) = held.stderr.splitlines()
    said = json.loads(line)
    assert (said["level"], said["logger"]) == ("CRITICAL", "paycli.serve")
    assert "Another paycli server" in said["message"]


def test_what_fails_beside_the_calls_is_an_object_too(
    in_writer: InWriter, start_server: StartServer, tmp_path: Path
) -> None:
    """The store's writer, threads of servicers, Python's own warnings."""
    in_writer(
        "from paycli.storage.sqlite import writer; del writer.SqliteWriter.write\n"
        "import time; say = sys.excepthook\n"  # later than the end of its socket
        "sys.excepthook = lambda *problem: (time.sleep(0.2), say(*problem))"
    )
    server = start_server("--log-format", "json")
    assert run_paycli("pay", "--amount", "1", "--target", server.target).returncode in (3, 5)
    server.stop()
    lines = [json.loads(line)["message"] for line in server.stderr().splitlines()]
    # Each that is started in its place ends so, too.
    words, *_ = (
        each for each in lines if each.startswith("the writer of the store, before it ended")
    )
    assert "Traceback" in words
    assert "AttributeError: 'SqliteWriter' object has no attribute 'write'" in words
    (tmp_path / "loud.py").write_text(
        "import threading, warnings\n"
        "from paycli.generated import payment_pb2_grpc\n"
        "class Dies:\n"
        "    def __del__(self): raise ValueError('of nobody')\n"
        "class Pay(payment_pb2_grpc.PaymentServiceServicer):\n"
        "    def __init__(self):\n"
        "        warnings.warn('of Python')\n"
        "        thread = threading.Thread(target=lambda: 1 / 0, name='of theirs')\n"
        "        thread.start()\n"
        "        thread.join()\n"
        "        Dies()\n"
        "        raise SystemExit\n"
        "    def ProcessPayment(self, request, context): ...\n"
    )
    run = run_paycli("serve", "loud:Pay", "--port", "0", "--log-format", "json", cwd=tmp_path)
    said = [json.loads(line) for line in run.stderr.splitlines()]
    assert (run.returncode, len(said)) == (2, 4), run.stderr
    assert "UserWarning: of Python" in said[0]["message"]
    assert said[1]["message"] == "the thread of theirs failed"
    assert "ZeroDivisionError" in said[1]["traceback"]
    assert "ValueError: of nobody" in said[2]["traceback"]


def test_nobody_waits_for_who_reads_the_log(start_server: StartServer) -> None:
    server = start_server("--log-calls")
    with client_of(server.target) as client:
        for number in range(400):  # the pipe that nobody reads holds 64 KiB
            pay(client, f"{number}-{'x' * 200}")
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 10


def lines_from(descriptor: int) -> Iterator[str]:
    with os.fdopen(descriptor, encoding="utf-8") as reader:
        yield from reader


def test_what_nobody_reads_is_dropped_and_counted() -> None:
    reader, writer = os.pipe()
    log = logging.getLogger("test")
    with logging_to(writer, TextLines(), logging.INFO):
        for number in range(30_000):
            log.info("%d %s", number, "x" * 100)
        found = lines_from(reader)
        assert next(found).endswith(f"INFO 0 {'x' * 100}\n")
        kept = 1
        while not (line := next(found)).endswith("too slow\n"):
            kept += 1
    dropped = re.search(r"WARNING (\d+) log lines were dropped: whoever reads them is", line)
    assert dropped is not None
    assert kept + int(dropped[1]) == 30_000
    assert kept >= 20_000
    os.close(writer)
    found.close()  # type: ignore[attr-defined] # a generator


def test_a_log_that_cannot_be_written_harms_nobody() -> None:
    reader, writer = os.pipe()
    handler = LogWriter(writer, TextLines())
    handler.handle(logging.makeLogRecord({"msg": "%d", "args": ("no number",)}))
    assert next(lines_from(reader)).startswith("a log line could not be written: TypeError(")
    handler.handle(logging.makeLogRecord({"msg": "nobody hears this"}))
    handler.end()
    os.close(writer)


def test_a_servicer_that_configures_logging_ends_no_lines_of_calls(tmp_path: Path) -> None:
    root = logging.getLogger()
    before = root.handlers[:]
    with (
        (tmp_path / "log").open("wb") as file,
        logging_to(file.fileno(), TextLines(), logging.INFO) as writer,
    ):
        logging.basicConfig(force=True, handlers=[logging.NullHandler()])
        root.handlers[:] = before
        time.sleep(0.3)  # a thread that was told to end has ended
        writer.put(lambda: "call ended")
    assert (tmp_path / "log").read_text() == "call ended\n"


def logged(behaviour: Any, tmp_path: Path) -> list[dict[str, Any]]:
    """What a server logs of a call, as objects."""

    async def call(log: CallLog) -> None:
        async with calls.serving(log) as endings:
            await calls.ended(endings.call(behaviour))
            await endings.end()

    lines = JsonLines()
    with (tmp_path / "log").open("wb") as file, logging_to(file.fileno(), lines, 20) as writer:
        asyncio.run(call(CallLog(lines, writer.put)))
    return [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]


def test_a_fault_and_its_call_are_found_by_one_id(tmp_path: Path) -> None:
    fault, call = logged(calls.fails, tmp_path)
    assert (fault["level"], call["code"]) == ("ERROR", "INTERNAL")
    assert fault["message"].endswith(f"incident {call['incident']}")
    assert fault["request_id"] == call["request_id"]
    assert fault["traceback"].startswith("Traceback (most recent call last):\n")
    assert fault["traceback"].endswith("RuntimeError: secret")


def test_a_line_of_no_call_has_no_request_id() -> None:
    record = logging.makeLogRecord({"name": "x", "levelname": "INFO", "msg": "hello"})
    assert json.loads(JsonLines().format(record)).keys() == {"time", "level", "logger", "message"}
    note(order_id="of no call")  # is no error either
