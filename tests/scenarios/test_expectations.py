"""What a step may expect: every matcher is met by something, and fails for something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from paycli import documents
from paycli.errors import DocumentError
from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from paycli.scenarios.expect import read_expect
from paycli.scenarios.references import Scope


def response() -> dict[str, Any]:
    """Three payments, as a call gives them."""
    page = pb.ListPaymentsResponse(next_page_token="next")
    for number, state in enumerate((1, 4, 4), 1):
        payment = page.payments.add(name=f"payments/p{number}", order_id=f"order-{number}")
        payment.state = state  # type: ignore[assignment]  # what the wire has
        payment.version = number
        payment.amount.currency_code = "EUR"
        payment.amount.units = number * 10
        payment.create_time.FromJsonString(f"2026-01-0{number}T00:00:00Z")
    return json_format.MessageToDict(
        page, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def unmet(text: str, *, is_exact: bool = False) -> list[str]:
    (node,) = documents.read_text(text, "expect")
    expect = read_expect(
        node,
        pb.DESCRIPTOR.message_types_by_name["ListPaymentsResponse"],
        Scope({}),
        is_exact=is_exact,
    )
    return list(expect.unmet("", response(), {}))


def of_first(text: str) -> str:
    return f"payments: [{{{text}}}, {{}}, {{}}]"


@pytest.mark.parametrize(
    ("met", "failing", "said"),
    [
        ("next_page_token: next", "next_page_token: last", "next_page_token: expected 'last'"),
        ("next_page_token: {matches: 'n.x'}", "next_page_token: {matches: y}", "to match 'y'"),
        ("next_page_token: {contains: ex}", "next_page_token: {contains: EX}", "to contain 'EX'"),
        ("next_page_token: {length: 4}", "next_page_token: {length: 5}", "length of next_page_token"),
        ("next_page_token: {one_of: [a, next]}", "next_page_token: {one_of: [a, b]}", "one of 2"),
        ("next_page_token: {not: a}", "next_page_token: {not: next}", "expected not next"),
        (
            "next_page_token: {not: {matches: ^a}, length: {gte: 4, lt: 5}}",
            "next_page_token: {not: {matches: ^a}, length: {gt: 4}}",
            "expected gt 4, got 4",
        ),
        ("payments: {length: 3}", "payments: {length: {lte: 2}}", "expected lte 2, got 3"),
        (
            "payments: {contains: {order_id: order-2, state: 4}}",
            "payments: {contains: {order_id: order-1, state: 4}}",
            "expected an item that is {'order_id'",
        ),
        (
            "payments: {each: {amount: {currency_code: EUR}}}",
            "payments: {each: {version: {lt: 3}}}",
            "payments[2].version: expected lt 3, got '3'",
        ),
        (
            # The first two fit the first item too: each needs one of its own.
            "payments: {unordered: [{}, {state: 4}, {order_id: order-2}]}",
            "payments: {unordered: [{order_id: order-2}, {version: 2}, {}]}",
            "payments: expected item 2 in any place",
        ),
        ("payments: {unordered: [{}, {}, {}]}", "payments: {unordered: [{}]}", "expected 1 item"),
        (of_first("version: {gte: 1, lte: 1}"), of_first("version: {gt: 1}"), "got '1'"),
        (
            of_first("amount: {units: {gt: 9.99, lt: 10.01}}"),
            of_first("amount: {units: {gt: 10}}"),
            "payments[0].amount.units: expected gt 10, got '10'",
        ),
        (
            of_first("create_time: {gte: 2026-01-01T01:00:00+01:00}"),
            of_first("create_time: {lt: 2026-01-01T00:00:00Z}"),
            "create_time: expected lt 2026-01-01T00:00:00Z",
        ),
        (of_first("expire_time: null"), of_first("create_time: null"), "expected nothing"),
        (of_first("state: {one_of: [1, 2]}"), of_first("state: {not: 1}"), "expected not 1"),
        (of_first("expire_time: {not: 2026-01-01T00:00:00Z}"), of_first("expire_time: {gt: 2026-01-01T00:00:00Z}"), "got nothing"),
    ],
)  # fmt: skip
def test_each_matcher_is_met_and_fails(met: str, failing: str, said: str) -> None:
    assert unmet(met) == []
    (problem,) = unmet(failing)
    assert said in problem


def test_exactly_allows_nothing_that_is_not_named() -> None:
    money = "amount: {currency_code: EUR, units: %d}"
    payment = (
        "{name: payments/p%d, order_id: order-%d, state: %d, version: %d, " + money + ","
        " create_time: {gt: 2020-01-01T00:00:00Z}}"
    )
    payments = [payment % (n, n, state, n, n * 10) for n, state in ((1, 1), (2, 4), (3, 4))]
    whole = f"{{next_page_token: next, payments: [{', '.join(payments)}]}}"
    assert unmet(whole, is_exact=True) == []
    assert unmet("next_page_token: next", is_exact=True)[0].startswith("payments: expected not to")
    less = whole.replace("units: 10", "nanos: 0")
    assert unmet(less) == []
    (problem,) = unmet(less, is_exact=True)
    assert problem == "payments[0].amount.units: expected not to be set, got '10'"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "next_page_token: {match: x}",
            "unknown matcher 'match' for next_page_token (text); did you",
        ),
        ("next_page_token: {gt: a}", "gt: next_page_token is text, which has no order"),
        ("next_page_token: {one_of: []}", "one_of is empty"),
        ("next_page_token: {length: many}", "'many' is no number"),
        ("next_page_token: {length: {}}", "length must be a number or a comparison"),
        ("next_page_token: {length: {matches: x}}", "unknown key 'matches' in length"),
        ("next_page_token: {}", "must be text or a matcher"),
        ("payments: {}", "payments must be a list or a matcher"),
        ("payments: {any: {}}", "unknown matcher 'any' for the list payments"),
        ("payments: {unordered: {}}", "unordered must be a list"),
        (of_first("version: {gt: x}"), "'x' is no number"),
        (of_first("version: {gt: nan}"), "NaN is neither"),
        (of_first("create_time: {gt: yesterday}"), "gt: "),
        (of_first("state: {gt: 1}"), "which has no order"),
    ],
)
def test_a_matcher_that_nothing_can_meet_is_a_mistake(text: str, said: str) -> None:
    with pytest.raises(DocumentError) as mistake:
        unmet(text)
    assert said in str(mistake.value)
    assert str(mistake.value).startswith("expect:1:")


def test_a_suite_can_expect_exactly(tmp_path: Path) -> None:
    from paycli.scenarios.steps import CallStep
    from paycli.scenarios.suite import read_suite

    path = tmp_path / "s.yaml"
    call = "name: a, call: payment.PaymentService/ProcessPayment"
    path.write_text(f"steps: [{{{call}, expect_exactly: {{status: SUCCESS}}}}]\n")
    (step,) = read_suite(path).steps
    assert isinstance(step, CallStep)
    got = {"status": "SUCCESS", "payment_id": "p"}
    assert list(step.expect.unmet("", got, {})) == ["payment_id: expected not to be set, got 'p'"]
    path.write_text(f"steps: [{{{call}, expect: {{}}, expect_exactly: {{}}}}]\n")
    with pytest.raises(DocumentError, match="a step has expect or expect_exactly, not both"):
        read_suite(path)
