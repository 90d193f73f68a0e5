"""`paycli watch`: each event once and in order, and a command for each at least once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.client import odd_service
from tests.conftest import Server, StartServer, run_paycli
from tests.host.test_metrics import free_port
from tests.wire import Client, client_of, creation


def told(server: Server, *words: str) -> list[dict[str, Any]]:
    """The events that it prints into a pipe before it ends by itself."""
    run = run_paycli("watch", *words, "--target", server.target)
    assert (run.returncode, run.stderr) == (0, "")
    return [json.loads(line) for line in run.stdout.splitlines()]


@contextmanager
def watching(*words: str, cwd: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """Somebody who watches, until the end of the block."""
    with subprocess.Popen(
        [sys.executable, "-m", "paycli", "watch", *words],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def paid(client: Client, *orders: str, customer: str = "ada") -> None:
    for order in orders:
        client.call("CreatePayment", creation(order_id=order, customer_id=customer))


def orders_of(process: subprocess.Popen[str], count: int) -> list[str]:
    """Of the next events."""
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(count)]
    return [json.loads(line)["payment"]["order_id"] for line in lines]


def test_it_begins_where_it_is_told(server: Server) -> None:
    with client_of(server.target) as client:
        paid(client, "a", "b", "c")
        first, *_ = told(server, "--after", "0", "--limit", "3")
        assert (first["event"], first["amount"], first["currency"]) == ("CHARGED", "10.00", "EUR")
        assert first["payment"]["payment_id"].startswith("pay_")
        (after,) = told(server, "--after", str(first["sequence"]), "--limit", "1")
        assert after["payment"]["order_id"] == "b"
        (since,) = told(server, "--since", after["create_time"], "--limit", "1")
        assert since == after
        with watching("--target", server.target) as process:
            time.sleep(1.5)
            paid(client, "new")
            assert orders_of(process, 1) == ["new"]
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=20) == ("", "")
            assert process.returncode == 130


def test_it_shows_only_what_is_asked_for(server: Server) -> None:
    with client_of(server.target) as client:
        paid(client, "a", "b")
        paid(client, "c", customer="bob")
        payment = client.call("CreatePayment", creation(order_id="d")).name
        client.call("RefundPayment", {"request_id": "r", "name": payment})
    begin = ("--after", "0", "--limit", "1")
    for words, order, kind in (
        (("--customer-id", "bob"), "c", "CHARGED"),
        (("--user-id", "bob"), "c", "CHARGED"),
        (("--order-id", "b"), "b", "CHARGED"),
        (("--payment", payment.removeprefix("payments/")), "d", "CHARGED"),
        (("--event", "refunded", "--event", "voided"), "d", "REFUNDED"),
    ):
        (shown,) = told(server, *begin, *words)
        assert (shown["payment"]["order_id"], shown["event"]) == (order, kind)


def test_nothing_is_lost_or_doubled_when_the_server_is_killed(start_server: StartServer) -> None:
    port = free_port()
    target = f"localhost:{port}"
    orders = [f"o-{number}" for number in range(60)]
    server = start_server(port=port)
    with watching("--after", "0", "--target", target) as process:
        with client_of(target) as client:
            paid(client, "first")
        assert orders_of(process, 1) == ["first"]
        for part in range(3):
            with client_of(target) as client:
                paid(client, *orders[part * 20 : part * 20 + 20])
            server.process.kill()
            server.process.wait()
            time.sleep(0.3)
            server = start_server(port=port)
        assert orders_of(process, len(orders)) == orders
        process.terminate()
        assert process.stderr is not None
        said = process.stderr.read()
    assert "The stream broke (" in said
    assert "it is resumed after event" in said
    assert "It is there again." in said


def test_a_command_deals_with_each_event_whoever_is_killed(server: Server, tmp_path: Path) -> None:
    """The command fails now and then, and who runs it is killed in the middle of it."""
    orders = [f"o-{number}" for number in range(12)]
    with client_of(server.target) as client:
        paid(client, *orders)
    (tmp_path / "deal.py").write_text(
        "import json, pathlib, sys, time\n"
        "order = json.load(sys.stdin)['payment']['order_id']\n"
        "with open('dealt', 'a') as file: print(order, file=file)\n"
        "mark = pathlib.Path(order)\n"
        "if order in ('o-3', 'o-7') and not mark.exists():\n"
        "    mark.touch()\n"
        "    time.sleep(60 if order == 'o-7' else 0)\n"
        "    sys.exit(4)\n"
    )
    words = ["--exec", f"{sys.executable} deal.py", "--position", "position"]
    line = [*words, "--target", server.target]

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return run_paycli("watch", *line, *more, cwd=tmp_path)

    failed = run("--after", "0")
    assert failed.returncode == 1
    assert "The command ended with 4 for event 4; watch again" in failed.stderr
    with watching(*line, cwd=tmp_path) as process:
        until = time.monotonic() + 20
        while not (tmp_path / "o-7").exists():
            assert time.monotonic() < until
            time.sleep(0.02)
        process.kill()
    # The number of the one that fails next is kept, not where this says to begin.
    assert run("--after", "0", "--limit", "5").returncode == 0
    dealt = (tmp_path / "dealt").read_text().split()
    assert dealt == [*orders[:4], *orders[3:8], *orders[7:]]
    assert (tmp_path / "position").read_text().startswith(f"{12:020d} ")


def test_a_new_position_is_kept_before_anything_happens(server: Server, tmp_path: Path) -> None:
    words = ["--exec", "cat >> dealt", "--position", "position", "--target", server.target]
    with client_of(server.target) as client:
        paid(client, "before")
        with watching(*words, cwd=tmp_path) as process:
            until = time.monotonic() + 20
            while not (tmp_path / "position").exists() or not (tmp_path / "position").read_text():
                assert time.monotonic() < until
                time.sleep(0.02)
            other = run_paycli("watch", *words, cwd=tmp_path)
            assert (other.returncode, other.stdout) == (2, "")
            assert "position is in use" in other.stderr
            process.kill()
        paid(client, "meanwhile")
    assert run_paycli("watch", *words, "--limit", "1", cwd=tmp_path).returncode == 0
    (event,) = (tmp_path / "dealt").read_text().splitlines()
    assert json.loads(event)["payment"]["order_id"] == "meanwhile"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--after", "7"), "There is no event 7 yet; the newest is 0"),
        (("--after", "1", "--since", "1h"), "either --after or --since"),
        (("--exec", "cat"), "belong together"),
        (("--position", "p"), "belong together"),
        (("--exec", "cat", "--position", "p", "--since", "1h"), "--exec begins after a number"),
        (("--exec", "cat", "--position", "text"), "text:1: this is no position"),
        (("--exec", "cat", "--position", "no/where"), "no/where cannot keep the position"),
        (("--exec", "cat", "--position", "pipe"), "pipe cannot keep the position: it is no file"),
        (("--exec", "cat", "--position", "far"), "far:1: this is no position"),
        (("--after", "99999999999999999999"), "is not in the range"),
        (("--event", "lost"), "'lost' is not one of"),
        (("--payment", "no/name"), "is not a payment"),
    ],
)
def test_a_mistake_is_told(
    server: Server, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    (tmp_path / "text").write_text("12\n")
    (tmp_path / "far").write_text(f"{'9' * 20} {'a' * 16}\n")
    os.mkfifo(tmp_path / "pipe")
    run = run_paycli("watch", *words, "--target", server.target, cwd=tmp_path)
    assert (run.returncode, run.stdout) == (2, "")
    assert said in run.stderr
    assert (tmp_path / "text").read_text() == "12\n"


def test_who_is_not_there_at_first_is_not_waited_for() -> None:
    assert run_paycli("watch", "--target", f"localhost:{free_port()}").returncode == 3
    with odd_service.service(odd_service.never) as target:
        plain = run_paycli("watch", "--target", target)
    assert (plain.returncode, plain.stdout) == (1, "")
    assert "does not offer paycli.payments.v1.Payments/WatchEvents" in plain.stderr


def test_another_history_is_not_taken_for_what_follows(
    start_server: StartServer, tmp_path: Path
) -> None:
    """A store that was restored and has grown past the position again: its events were never seen."""
    port, store = free_port(), tmp_path / "m.db"
    target, url = f"localhost:{port}", f"sqlite:///{tmp_path / 'm.db'}"
    server = start_server(port=port, store=store)
    words = ("--exec", "cat >> dealt", "--position", "position", "--target", target)
    with client_of(target) as client:
        paid(client, "a")
        assert run_paycli("db", "backup", tmp_path / "copy", "--store", url).returncode == 0
        paid(client, "b", "c")
    first = run_paycli("watch", *words, "--after", "0", "--limit", "3", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    with watching("--after", "2", "--target", target) as seeing:
        assert orders_of(seeing, 1) == ["c"]
        assert server.stop() == 0
        for each in tmp_path.glob("m.db*"):
            each.unlink()
        assert run_paycli("db", "restore", tmp_path / "copy", "--store", url).returncode == 0
        # Behind the back of whoever watches: it is back only when it is past where they were.
        other = start_server(store=store)
        with client_of(other.target) as client:
            paid(client, "x", "y", "z")
        assert other.stop() == 0
        start_server(port=port, store=store)
        shown, said = seeing.communicate(timeout=60)
    assert (seeing.returncode, shown) == (2, "")
    assert "Event 3 is another one than was seen before: the store was restored" in said
    again = run_paycli("watch", *words, "--limit", "1", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (2, "")
    assert "Event 3 is another one" in again.stderr
    assert len((tmp_path / "dealt").read_text().splitlines()) == 3
