"""What an agent can do, and what it cannot: the SDK's client, `paycli mcp` and a real service."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from paycli.mcp.keys import key_of_order, key_of_refund
from tests.conftest import Server, StartServer, run_paycli
from tests.mcp.agent import Agent, Mode, Person, agent

ALL = ("get", "list", "settle", "pay", "refund")
YES = {"confirm": True}


@pytest.fixture
def payer(server: Server) -> Iterator[Agent]:
    """An agent that may pay up to 100.00 EUR by itself."""
    with agent(server.target, "--allow-payments", "--limit", "EUR=100.00") as one:
        yield one


def order(order_id: str, amount: str = "5.00", **more: str) -> dict[str, str]:
    return {"order_id": order_id, "amount": amount, "currency": "EUR", **more}


def payments(server: Server) -> list[dict[str, Any]]:
    listed = run_paycli("payments", "list", "--target", server.target).stdout
    return [json.loads(line) for line in listed.splitlines()]


def test_without_being_told_it_only_reads(server: Server) -> None:
    with agent(server.target) as reader:
        tools = reader.tools()
        assert [each.name for each in tools] == ["get", "list", "settle"]
        assert all(each.annotations and each.annotations.read_only_hint for each in tools)
        refused = reader.fail("pay", **order("o"))
    assert "paycli mcp --allow-payments" in refused["message"]
    assert refused["retry"] == "no"
    assert payments(server) == []


def test_no_tool_takes_a_key_or_anything_it_does_not_know(payer: Agent, server: Server) -> None:
    tools = payer.tools()
    assert tuple(each.name for each in tools) == ALL
    for each in tools:
        assert each.input_schema["additionalProperties"] is False
        assert not [name for name in each.input_schema["properties"] if "key" in name]
    refused = payer.fail("pay", **order("o", idempotency_key="mine"))
    assert refused["message"].startswith("idempotency_key: ")
    assert payments(server) == []


def test_the_page_has_each_tool_and_its_parameters(payer: Agent) -> None:
    page = (Path(__file__).parents[2] / "docs/mcp.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \|", page, re.MULTILINE)
    documented = {tool: re.findall(r"`(\w+)`", parameters) for tool, parameters in rows}
    assert documented == {
        each.name: list(each.input_schema["properties"]) for each in payer.tools()
    }


def test_an_order_is_paid_once(payer: Agent, server: Server) -> None:
    first = payer.call("pay", **order("o", customer_id="ada"))
    assert (first["status"], first["replayed"]) == ("SUCCESS", False)
    again = payer.call("pay", **order("o", "5", customer_id="ada"))
    assert again == {**first, "replayed": True, "idempotency_key": None}
    for other in (order("o", "6", customer_id="ada"), order("o", customer_id="bob")):
        refused = payer.fail("pay", **other)
        assert refused["reason"] == "IDEMPOTENCY_KEY_REUSED"
        assert refused["retry"] == "no"
        assert refused["next"] == f'get {{"payment_id": "{first["payment_id"]}"}}'
    assert [each["payment_id"] for each in payments(server)] == [first["payment_id"]]


def test_two_at_once_pay_an_order_once(payer: Agent, server: Server) -> None:
    answers: list[Any] = []
    asked = order("o", customer_id="sim_slow_300")
    calls = [
        threading.Thread(target=lambda: answers.append(payer.call("pay", **asked)))
        for _ in range(5)
    ]
    for each in calls:
        each.start()
    for each in calls:
        each.join()
    assert len({each["payment_id"] for each in answers}) == 1
    assert len(answers) == 5
    assert len(payments(server)) == 1


def test_what_somebody_else_paid_is_not_paid_again(payer: Agent, server: Server) -> None:
    line = ("pay", "--order-id", "o", "--amount", "5", "--target", server.target, "--json")
    paid = json.loads(run_paycli(*line).stdout)
    answer = payer.call("pay", **order("o"))
    assert (answer["payment_id"], answer["replayed"]) == (paid["payment_id"], True)
    assert len(payments(server)) == 1


def test_a_declined_payment_is_an_answer(payer: Agent) -> None:
    declined = payer.call("pay", **order("o", customer_id="sim_decline_lost_card"))
    assert (declined["status"], declined["decline_reason"]) == ("FAILED", "LOST_CARD")
    assert payer.call("settle", order_id="o")["outcome"] == "declined"


def test_what_is_wrong_is_said_with_the_names_of_the_tool(payer: Agent) -> None:
    assert payer.fail("pay", **order(""))["message"] == "order_id is empty."
    assert (
        "customer_id begins or ends" in payer.fail("pay", **order("o", customer_id=" a"))["message"]
    )
    assert "nearest is 5.00" in payer.fail("pay", **order("o", "4.999"))["message"]
    assert payer.fail("settle", order_id="")["message"] == "order_id is empty."
    assert payer.fail("get", payment_id="none")["reason"] == "PAYMENT_NOT_FOUND"


def test_it_looks_at_payments(payer: Agent) -> None:
    paid = [payer.call("pay", **order(f"o-{n}", customer_id="ada"))["payment_id"] for n in range(3)]
    listed = payer.call("list", limit=2)
    assert [each["payment_id"] for each in listed["payments"]] == [paid[2], paid[1]]
    assert listed["more"]
    one = payer.call("list", order_id="o-0", state="CAPTURED", customer_id="ada")
    assert [each["payment_id"] for each in one["payments"]] == [paid[0]]
    assert not one["more"]
    assert payer.call("get", payment_id=paid[0]) == {**one["payments"][0], "refunds": []}
    assert payer.call("settle", order_id="o-0") == {"outcome": "paid", "payments": one["payments"]}
    assert payer.call("settle", order_id="other")["outcome"] == "unknown"


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_above_the_limit_a_person_is_asked(server: Server, mode: Mode) -> None:
    person = Person("accept", YES)
    words = ("--allow-payments", "--limit", "EUR=100", "--limit", "JPY=1000")
    with agent(server.target, *words, person=person, mode=mode) as payer:
        payer.call("pay", **order("small", "100.00"))
        payer.call("pay", **{**order("yen", "1000"), "currency": "JPY"})
        assert person.asked == []
        payer.call("pay", **order("large", "100.01", customer_id="ada"))
        payer.call("pay", **{**order("dollar", "0.01"), "currency": "USD"})
    assert person.asked == [
        f"Pay 100.01 EUR for order 'large', customer 'ada'? At {server.target}.",
        f"Pay 0.01 USD for order 'dollar'? At {server.target}.",
    ]
    assert len(payments(server)) == 4


@pytest.mark.parametrize(
    ("mode", "person"),
    [
        ("auto", Person("decline")),
        ("legacy", Person("cancel")),
        ("auto", Person("accept", {"confirm": False})),
        ("legacy", Person("accept", {})),
        ("auto", Person("accept")),
        ("auto", None),
        ("legacy", None),
    ],
    ids=["declined", "cancelled", "no tick", "empty", "no form", "nobody", "nobody, as before"],
)
def test_without_a_yes_nothing_is_paid(server: Server, mode: Mode, person: Person | None) -> None:
    with agent(server.target, "--allow-payments", person=person, mode=mode) as payer:
        refused = payer.fail("pay", **order("o"))
    wanted = "NOT_CONFIRMED" if person is not None else "CONFIRMATION_UNSUPPORTED"
    assert (refused["reason"], refused["exit_code"], refused["retry"]) == (wanted, 4, "no")
    assert "Nothing was done" in refused["message"]
    assert payments(server) == []


def test_a_refund_is_made_once_for_each_reference(payer: Agent) -> None:
    paid = payer.call("pay", **order("o"))["payment_id"]
    refund = {"payment_id": paid, "reference": "return-1", "amount": "1.00"}
    first = payer.call("refund", **refund)
    assert (first["amount"], first["reason"], first["replayed"]) == ("1.00", "return-1", False)
    again = payer.call("refund", **{**refund, "payment_id": f"payments/{paid}"})
    assert again == {**first, "replayed": True}
    twice = payer.fail("refund", **{**refund, "payment_id": f"payments/payments/{paid}"})
    assert (twice["reason"], twice["retry"]) == ("INVALID_INPUT", "no")
    other = payer.fail("refund", **{**refund, "amount": "2"})
    assert (other["reason"], other["retry"]) == ("IDEMPOTENCY_KEY_REUSED", "no")
    payer.call("refund", **{**refund, "reference": "return-2"})
    too_much = payer.fail("refund", **{**refund, "reference": "return-3", "amount": "3.01"})
    assert too_much["next"] == f'get {{"payment_id": "{paid}"}}'
    shown = payer.call("get", payment_id=paid)
    assert shown["refunded_amount"] == "2.00"
    assert [each["reason"] for each in shown["refunds"]] == ["return-1", "return-2"]
    assert payer.fail("refund", **{**refund, "reference": ""})["message"] == "reference is empty."


def test_a_refund_has_the_limit_of_its_payments_currency(server: Server) -> None:
    person = Person("decline")
    words = ("--allow-payments", "--limit", "JPY=1000")
    paid = json.loads(
        run_paycli("pay", "--amount", "9", "--target", server.target, "--json").stdout
    )
    refund = {"payment_id": paid["payment_id"], "reference": "r", "amount": "9"}
    with agent(server.target, *words, person=person) as payer:
        assert payer.fail("refund", **refund)["reason"] == "NOT_CONFIRMED"
    what = f"payment {paid['payment_id']}, order '{paid['order_id']}', as 'r'"
    assert person.asked == [f"Refund 9.00 EUR of {what}? At {server.target}."]
    assert [each["refunded_amount"] for each in payments(server)] == ["0.00"]


def test_a_lost_answer_is_unknown_until_it_is_settled(payer: Agent, server: Server) -> None:
    asked = order("o", customer_id="sim_lost_answer")
    lost = payer.fail("pay", **asked)
    assert (lost["retry"], lost["next"]) == ("unknown", 'settle {"order_id": "o"}')
    assert payer.call("pay", **asked)["status"] == "SUCCESS"
    assert payer.call("settle", order_id="o")["outcome"] == "paid"
    assert len(payments(server)) == 1


def test_a_service_that_dies_and_comes_back(start_server: StartServer) -> None:
    server = start_server()
    asked = order("o", customer_id="sim_slow_1000")
    failed: list[Any] = []
    with agent(server.target, "--allow-payments", "--limit", "EUR=9") as payer:
        paying = threading.Thread(target=lambda: failed.append(payer.fail("pay", **asked)))
        paying.start()
        while not server.payments_in_flight():
            time.sleep(0.01)
        server.stop(9)
        paying.join()
        assert (failed[0]["reason"], failed[0]["retry"]) == ("OUTCOME_UNKNOWN", "unknown")
        assert failed[0]["next"] == 'settle {"order_id": "o"}'
        gone = payer.fail("pay", **asked)
        assert (gone["reason"], gone["retry"]) == ("UNREACHABLE", "same-key")
        assert gone["next"] == f"pay {json.dumps(asked)}"
        back = start_server(port=server.port)
        assert payer.call("pay", **asked)["status"] == "SUCCESS"
        assert len(payments(back)) == 1


def test_keys_are_made_of_what_is_paid_for() -> None:
    assert key_of_order("caf\u00e9") == key_of_order("cafe\u0301")
    keys = {
        key_of_order("a"),
        key_of_order("b"),
        key_of_refund("a", "b"),
        key_of_refund("a", "c"),
        key_of_refund('a", "b', "c"),
        key_of_refund("a", 'b", "c'),
    }
    assert len(keys) == 6
