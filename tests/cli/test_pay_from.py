"""`paycli pay --from`: every row is accounted for, and paid once, whoever is killed."""

from __future__ import annotations

import csv
import gzip
import json
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
import pytest

from paycli.generated import payment_pb2
from tests.client import odd_service
from tests.conftest import Server, StartServer, run_paycli
from tests.host.test_metrics import free_port
from tests.wire import client_of

HEADER = "order_id,amount,currency,user_id\n"


def ran(target: str, *words: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return run_paycli("pay", "--from", *words, "--target", target, **options)


def counted(target: str, *words: str | Path, **options: Any) -> tuple[int, dict[str, int]]:
    """The exit code, and how many rows met which end; those that none met are left out."""
    run = ran(target, *words, "--json", **options)
    counts = json.loads(run.stdout.splitlines()[-1])
    counts.pop("seconds"), counts.pop("ended_because")
    assert counts["rows"] == sum(counts.values()) - counts["rows"], "it does not add up"
    return run.returncode, {name: count for name, count in counts.items() if count}


def listed(target: str) -> Counter[tuple[str, str, str]]:
    """All payments of a service: order, amount and state."""
    run = run_paycli("payments", "list", "--target", target)
    assert run.returncode == 0, run.stderr
    payments = map(json.loads, run.stdout.splitlines())
    return Counter((each["order_id"], each["amount"], each["state"]) for each in payments)


def many(path: Path, count: int) -> None:
    """A file of so many rows, with orders in no order."""
    shuffled = random.Random(7).sample(range(count), count)
    rows = "".join(f"o-{n:x},{n % 50 + 1}.25,EUR,c-{n % 97}\n" for n in shuffled)
    path.write_text(HEADER + rows)


def test_a_second_run_pays_nothing_again(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    many(path, 2500)
    assert counted(server.target, path) == (0, {"rows": 2500, "paid": 2500})
    run = ran(server.target, path)
    assert (run.returncode, run.stderr) == (0, "")
    assert re.fullmatch(
        r"2,500 rows: 2,500 paid before \(\d+\.\d s, [\d,]+ a second\)\.\n", run.stdout
    )
    assert len(listed(server.target)) == listed(server.target).total() == 2500
    assert list(tmp_path.glob("*.unknown*")) == []


SPREADSHEET = (
    "\ufefforder_id;betrag;currency;user_id;;\r\n"
    "a1;12,50;EUR;ada;;\r\n"
    '"a;2";"3,00";EUR;"x\ny";;\r\n'
    ";5;EUR;u;;\r\n"
    "a4;1e3;EUR;u;;\r\n"
    "a5;1.234,50;EUR;u;;\r\n"
    "a6;2;EUR;sim_decline_expired_card;;\r\n"
    "a7;7;EUR\r\n"
    ";;;;;\r\n"
    "a8;8;XXX;u;;\r\n"
    "a1;13,00;EUR;ada;;\r\n"
    "a9;\x00;EUR;u;;\r\n"
    "a10;10;;u;;\r\n"
    "\r\n"
)


def test_what_a_spreadsheet_writes_is_paid_or_told(server: Server, tmp_path: Path) -> None:
    path, rejects = tmp_path / "sheet.csv", tmp_path / "rejects.csv"
    path.write_text(SPREADSHEET, newline="")
    words = ("--map", "amount=betrag", "--decimal", ",", "--rejects", rejects)
    code, counts = counted(server.target, path, *words)
    assert code == 2
    assert counts == {"rows": 11, "paid": 1, "declined": 1, "rejected": 8, "failed": 1}
    with rejects.open(newline="") as file:
        told = {(int(row["line"]), row["outcome"]): row for row in csv.DictReader(file)}
    said = {where: row["reason"] for where, row in told.items()}
    assert "user_id holds a control character" in said[3, "rejected"]
    assert "it would be paid twice" in said[5, "rejected"]
    assert "'1e3' is not an amount" in said[6, "rejected"]
    assert "has a point, which --decimal , does not expect" in said[7, "rejected"]
    assert said[8, "declined"] == "EXPIRED_CARD"
    assert said[9, "rejected"] == "3 values stand here, and 4 in the header."
    assert "'XXX' is not an ISO 4217 currency" in said[11, "rejected"]
    assert "was used for payment" in said[12, "failed"]
    assert "is not an amount" in said[13, "rejected"]
    assert "currency is missing" in said[14, "rejected"]
    assert told[3, "rejected"]["user_id"] == "x\ny"
    # With its mistakes mended, what was left is a file like any other.
    mended = tmp_path / "mended.csv"
    mended.write_text(HEADER + 'a4,"1000,00",EUR,u\n')
    again = counted(server.target, mended, "--decimal", ",")
    assert again == (0, {"rows": 1, "paid": 1})
    with_currency = counted(server.target, path, *words, "--currency", "EUR")[1]
    assert (with_currency["paid"], with_currency["paid_before"]) == (1, 1)


def test_json_lines_zipped_or_piped_keep_their_digits(server: Server, tmp_path: Path) -> None:
    rows = (
        '{"order_id": "j1", "amount": 1234567890123.45, "currency": "EUR", "note": null}\n'
        '\n{"idempotency_key": "k2", "amount": "5", "currency": "JPY", "customer_id": "ada"}\n'
        '{"order_id": "j3", "amount": 1.005, "currency": "EUR"}\n'
        '{"order_id": "j4", "amount": NaN, "currency": "EUR"}\n'
        '{"order_id": "j5", "amount": [1], "currency": "EUR"}\n'
        '{"order_id": "j6", "order_id": "j7", "amount": 1, "currency": "EUR"}\n'
        '["order_id"]\n{"order_id\n'
    )
    path = tmp_path / "rows.ndjson.gz"
    path.write_bytes(gzip.compress(rows.encode()))
    run = ran(server.target, path)
    assert run.returncode == 2
    assert run.stdout.startswith("8 rows: 2 paid, 6 rejected (")
    for said in (
        "the nearest is 1.00",
        "is not a finite number",
        "amount must be text or a number",
        "a key stands there twice",
        "is no JSON object",
        "no JSON: Invalid control character",
    ):
        assert said in run.stderr, run.stderr
    amounts = {amount for _, amount, _ in listed(server.target)}
    assert amounts == {"1234567890123.45", "5"}
    with subprocess.Popen(
        [sys.executable, "-m", "paycli", "pay", "--from", "-", "--target", server.target],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=tmp_path,
    ) as piped:
        shown, _ = piped.communicate(rows.splitlines()[0].encode(), timeout=30)
    assert shown.startswith(b"1 row: 1 paid before (")


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        ("", (), "rows.csv:1: the file is empty"),
        ("id,amount\n", (), "no column is called order_id or idempotency_key; there are id, amount."),
        ("order_id,betrag\n", (), "no column is called amount; there are order_id, betrag."),
        ("order_id,amount,amount\n", (), "two columns are called 'amount'"),
        ("order_id,amount,betrag\n", ("--map", "amount=betrag"), "two columns are the amount"),
        ("order_id,amount\n", ("--map", "amount=x"), "there is no column 'x' to map"),
        ("order_id,amount\n", ("--map", "amont=x"), "there is no field 'amont'; did you mean"),
        ("order_id,amount\n", ("--map", "amount"), "write FIELD=COLUMN"),
        ("order_id,amount\n", ("--decimal", ";"), "--decimal is . or ,"),
        ("order_id,amount\n", ("--rejects", "rows.csv"), "rows.csv is what is read"),
        ("order_id,amount\n", ("--order-id", "x"), "make that a column"),
        ("order_id,amount\n", ("--amount", "1"), "Give one of"),
        ("x" * 1_100_000, (), "rows.csv:1: this line has over 1,000,000 characters"),
        ("order_id,amount\n", ("--rejects", "no/where.csv"), "there is no folder no"),
        ("order_id,amount\n", ("--rejects", "x.txt"), "call it .csv or .ndjson"),
        ("order_id,amount\n", ("--rejects", "other.csv"), "and no file that a run left"),
        ("order_id,amount\n", ("--rejects", "pipe.csv"), "pipe.csv is no file"),
        ("order_id,amount\n", ("--unknown", "pipe.csv"), "pipe.csv is no file"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_whole_is_one_sentence(
    server: Server, tmp_path: Path, text: str, words: tuple[str, ...], said: str
) -> None:
    (tmp_path / "rows.csv").write_text(text)
    (tmp_path / "other.csv").write_text("order_id,amount\nprecious,1\n")
    os.mkfifo(tmp_path / "pipe.csv")
    run = ran(server.target, "rows.csv", *words, cwd=tmp_path)
    assert (run.returncode, run.stdout) == (2, "")
    assert said in run.stderr
    assert run.stderr.count("\n") == 1


def test_bytes_that_are_no_text_are_told(server: Server, tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes(HEADER.encode() + b"a,1,EUR,Z\xfcrich\nb,2,EUR,u\n")
    code, counts = counted(server.target, tmp_path / "latin.csv")
    assert (code, counts) == (2, {"rows": 2, "paid": 1, "rejected": 1})
    (tmp_path / "wide.csv").write_bytes((HEADER + "c,1,EUR,u\n").encode("utf-16"))
    wide = ran(server.target, tmp_path / "wide.csv")
    assert (wide.returncode, wide.stdout) == (2, "")
    assert "this is UTF-16; save the file as UTF-8" in wide.stderr
    cut = gzip.compress((HEADER + "d,1,EUR,u\n" * 5000).encode())
    (tmp_path / "cut.csv.gz").write_bytes(cut[:-20])
    short = ran(server.target, tmp_path / "cut.csv.gz")
    assert short.returncode == 2
    assert "cannot be read to its end: it ends too early" in short.stderr
    (tmp_path / "long.csv").write_text(f"{HEADER}e,1,EUR,u\n{'x' * 1_100_000}\nf,1,EUR,u\n")
    long = ran(server.target, tmp_path / "long.csv")
    assert long.returncode == 2
    assert long.stdout.startswith("1 row: 1 paid (")
    assert "long.csv:3: this line has over" in long.stderr


def test_it_ends_where_it_is_told_to(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text(HEADER + "".join(f"w{n},x,EUR,u\n" for n in range(50)))
    run = ran(server.target, path, "--max-failures", "3")
    assert run.stdout.startswith("3 rows: 3 rejected (")
    assert "It ended early: 3 rows failed or were rejected" in run.stderr
    assert counted(server.target, path)[1] == {"rows": 50, "rejected": 50}
    told = ran(server.target, path)
    assert told.stderr.count("is not an amount") == 10
    assert "40 more went wrong; --rejects FILE keeps them all." in told.stderr


def test_rows_come_no_faster_than_they_may(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    many(path, 40)
    began = time.monotonic()
    assert counted(server.target, path, "--rate", "20")[1] == {"rows": 40, "paid": 40}
    assert time.monotonic() - began > 1.5


def test_a_row_of_a_slow_pipe_is_paid_before_the_next_one_comes(
    server: Server, tmp_path: Path
) -> None:
    line = [sys.executable, "-m", "paycli", "pay", "--from", "-", "--target", server.target]
    with subprocess.Popen(
        [*line, "--json", "--max-failures", "1", "--unknown", "unknown.ndjson"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=tmp_path,
    ) as paying:
        assert paying.stdin is not None
        for number, row in enumerate(("a,1,EUR,u\n", "b,2,EUR,u\nc,3,EUR,u\n")):
            paying.stdin.write((HEADER * (number == 0) + row).encode())
            paying.stdin.flush()
            while listed(server.target).total() < 2 * number + 1:
                assert paying.poll() is None
        # An end that an answer brings needs no row after it either.
        paying.stdin.write(b"a,9,EUR,u\n")
        paying.stdin.flush()
        assert paying.stdout is not None
        counts = json.loads(paying.stdout.readline())
        assert paying.wait(20) == 1
    assert (counts["rows"], counts["paid"], counts["failed"]) == (4, 3, 1)
    assert counts["ended_because"].startswith("1 rows failed")


def killed_in_turns(start_server: StartServer, tmp_path: Path, count: int, rounds: int) -> None:
    path = tmp_path / "rows.csv"
    many(path, count)
    port = free_port()
    target = f"localhost:{port}"
    server = start_server(port=port)
    line = [sys.executable, "-m", "paycli", "pay", "--from", str(path), "--target", target]
    dice = random.Random(3)
    for turn in range(rounds):
        with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as paying:
            time.sleep(dice.uniform(0.5, 1.2))
            (server.process if turn % 2 else paying).kill()
            if turn % 2:
                server.process.wait()
                server = start_server(port=port)
                time.sleep(dice.uniform(0.0, 0.6))
                paying.kill()
    code, counts = counted(target, path, timeout_s=600)
    assert code == 0
    assert counts.get("paid", 0) + counts["paid_before"] == counts["rows"] == count
    rows = (line.split(",") for line in path.read_text().splitlines()[1:])
    assert listed(target) == Counter((order, amount, "CAPTURED") for order, amount, *_ in rows)
    assert server.stop() == 0
    verified = run_paycli("db", "verify", "--store", f"sqlite:///{server.store}")
    assert verified.returncode == 0, verified.stderr


def test_every_row_is_paid_once_whoever_is_killed(
    start_server: StartServer, tmp_path: Path
) -> None:
    killed_in_turns(start_server, tmp_path, count=12_000, rounds=4)


@pytest.mark.chaos
@pytest.mark.timeout(1200)
def test_every_row_of_many_is_paid_once_whoever_is_killed(
    start_server: StartServer, tmp_path: Path
) -> None:
    killed_in_turns(start_server, tmp_path, count=200_000, rounds=24)


def test_a_server_that_starts_again_costs_no_row(start_server: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    many(path, 30_000)
    port = free_port()
    server = start_server(port=port)
    line = [sys.executable, "-m", "paycli", "pay", "--from", str(path)]
    with subprocess.Popen(
        [*line, "--target", f"localhost:{port}", "--json"], stdout=subprocess.PIPE, text=True
    ) as paying:
        with client_of(server.target) as client:
            while not client.call("ListPayments", {}).payments:
                time.sleep(0.02)
        server.process.kill()
        server.process.wait()
        time.sleep(0.5)
        start_server(port=port)
        shown, _ = paying.communicate(timeout=90)
    counts = json.loads(shown)
    assert paying.returncode == 0
    assert counts["paid"] + counts["paid_before"] == counts["rows"] == 30_000


def test_what_is_cut_off_is_kept_and_settled(server: Server, tmp_path: Path) -> None:
    """Of a service that does not answer nothing is known."""
    path = tmp_path / "rows.csv"
    arrived = threading.Semaphore(0)

    def answer(request: payment_pb2.PaymentRequest, context: grpc.ServicerContext) -> None:
        arrived.release()
        odd_service.never(request, context)

    path.write_text(HEADER + "".join(f"o{n},{n + 1},EUR,u\n" for n in range(20)))
    with odd_service.service(answer) as target:
        line = [sys.executable, "-m", "paycli", "pay", "--from", str(path), "--target", target]
        with subprocess.Popen(
            [*line, "--concurrency", "5"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as paying:
            for _ in range(5):
                assert arrived.acquire(timeout=20)
            paying.send_signal(signal.SIGINT)
            paying.send_signal(signal.SIGINT)
            shown, said = paying.communicate(timeout=30)
    assert paying.returncode == 5
    assert re.match(r"\d+ rows: 5 unknown", shown)
    unknown = tmp_path / "rows.csv.unknown.ndjson"
    assert f"'paycli pay settle --target {target} {unknown}' tells" in said
    assert f"'paycli pay --from {unknown} --target {target}' sends them again." in said
    kept = {json.loads(line)["order_id"] for line in unknown.read_text().splitlines()}
    assert kept == {f"o{n}" for n in range(5)}
    assert counted(server.target, unknown) == (0, {"rows": 5, "paid": 5})
    assert counted(server.target, path)[1] == {"rows": 20, "paid": 15, "paid_before": 5}


def test_a_service_of_the_seed_contract_is_called_once_for_each_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(HEADER + "".join(f"o{n},{n + 1},EUR,u\n" for n in range(200)))
    seen: Counter[str] = Counter()

    def answer(
        request: payment_pb2.PaymentRequest, context: grpc.ServicerContext
    ) -> payment_pb2.PaymentResponse:
        seen[request.order_id] += 1
        if request.order_id == "o7":
            context.abort(grpc.StatusCode.INTERNAL, "who knows")
        status = {"o8": "FAILED", "o9": "OK"}.get(request.order_id, "SUCCESS")
        return payment_pb2.PaymentResponse(payment_id="12345", status=status)

    with odd_service.service(answer) as target:
        run = ran(target, path, "--json")
        counts = json.loads(run.stdout)
    assert "Whether it knows a payment that comes a second time is up to it" in run.stderr
    assert run.returncode == 5
    assert (counts["paid"], counts["declined"], counts["unknown"]) == (197, 1, 2)
    assert set(seen.values()) == {1}
    assert len(seen) == 200


def test_nobody_there_is_told_before_anything_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    many(path, 3)
    run = ran(f"localhost:{free_port()}", path)
    assert (run.returncode, run.stdout) == (3, "")


def test_one_row_that_has_no_answer_does_not_keep_others_from_being_paid(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server("--processor-timeout", "0.5")
    path = tmp_path / "rows.csv"
    path.write_text(
        HEADER + "a,1,EUR,u\nb,1,EUR,sim_hang\nc,1,EUR,u\nd,1,EUR,sim_unavailable_once\n"
    )
    code, counts = counted(server.target, path, "--retry", "4")
    assert (code, counts) == (5, {"rows": 4, "paid": 3, "unknown": 1})


def test_what_is_refused_at_first_is_asked_again(start_server: StartServer, tmp_path: Path) -> None:
    faults = tmp_path / "chaos.yaml"
    faults.write_text("faults: [{do: unavailable, method: Batch*, times: 2}]")
    server = start_server("--chaos", str(faults))
    path = tmp_path / "rows.csv"
    many(path, 5)
    assert counted(server.target, path) == (0, {"rows": 5, "paid": 5})


def test_a_later_refusal_does_not_undo_what_an_earlier_try_may_have_done(
    start_server: StartServer, tmp_path: Path
) -> None:
    """The first batch is done and its answer lost, the second try is told that nothing was done."""
    faults = tmp_path / "chaos.yaml"
    faults.write_text(
        "faults:\n"
        "- {do: drop, method: Batch*, after: 1, times: 1}\n"
        "- {do: unavailable, method: Batch*, after: 1}\n"
    )
    server = start_server("--chaos", str(faults))
    path = tmp_path / "rows.csv"
    many(path, 5)
    code, counts = counted(server.target, path, "--retry", "3")
    assert (code, counts) == (5, {"rows": 5, "unknown": 5})
    assert listed(server.target).total() == 5


def test_closed_streams_change_nothing(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(HEADER + "a,x,EUR,u\nb,1,EUR,u\n")
    line = shlex.join([sys.executable, "-m", "paycli", "pay", "--target", server.target, "--from"])
    for redirected, code in ((f"{path} 2>&-", 2), ("- <&-", 2), (f"{path} >&-", 2)):
        run = subprocess.run(["/bin/sh", "-c", f"{line} {redirected}"], capture_output=True)
        assert run.returncode == code
        assert b"Traceback" not in run.stdout + run.stderr
