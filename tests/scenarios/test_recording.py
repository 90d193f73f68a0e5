"""Suites made of calls that were seen: whatever texts were in them, they are read, and hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from paycli.cli.schemas import local_schema
from paycli.client.calls import find_method
from paycli.scenarios.recording.forms import has_card, is_new, only_asks, pattern_within, stem
from paycli.scenarios.recording.seen import Seen, Unfit, data_of
from paycli.scenarios.recording.suite import Made, make_suite
from paycli.scenarios.recording.text import suite_text
from paycli.scenarios.secret_names import is_secret
from paycli.scenarios.steps import CallStep
from paycli.scenarios.suite import Suite, read_suite

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
CREATE = find_method("paycli.payments.v1.Payments/CreatePayment")
NAME = f"payments/pay_{'0a' * 16}"


def suite_of(folder: Path, *seen: Seen) -> tuple[Suite, str]:
    text = suite_text(make_suite(seen, 1.8e9), "a\nb")
    path = folder / "suite.yaml"
    path.write_text(text, encoding="utf-8")
    return read_suite(path), text


def unmet(step: Any, response: dict[str, Any]) -> list[str]:
    assert isinstance(step, CallStep)
    full = {field.name: None for field in CREATE.output_type.fields} | {
        "order_id": "",
        "decline_reason": "",
        "customer_id": "",
        "state": "PAYMENT_STATE_UNSPECIFIED",
        "capture_method": "CAPTURE_METHOD_UNSPECIFIED",
        "version": "0",
    }
    return list(step.expect.unmet("", full | response, {}))


@given(TEXTS, TEXTS, TEXTS)
def test_texts_of_any_kind_hold(
    tmp_path_factory: pytest.TempPathFactory, customer: str, reason: str, order: str
) -> None:
    request = {"customer_id": customer, "order_id": order}
    response = {"name": NAME, "decline_reason": reason, **request}
    assume("${" not in customer + order)
    assume(not order or order not in reason + customer)  # what stands again is meant again
    suite, _ = suite_of(tmp_path_factory.getbasetemp(), Seen(CREATE, (), [request], [response]))
    (step,) = suite.steps
    sent: Any = step
    assert not unmet(step, response | dict(sent.requests[0]))
    assert unmet(step, response | dict(sent.requests[0]) | {"name": "payments/x"})
    if order:
        assert sent.requests[0]["order_id"] != order


def test_what_stands_in_quotes_and_comments_cannot_become_yaml(tmp_path: Path) -> None:
    odd = "a\"b\\ \u0085\u2028\ufeff\x00\t#: {[&*!|>'%@`\r\n- x: y"
    suite, text = suite_of(tmp_path, Seen(CREATE, (("x-a", "b: {c"),), [{"customer_id": odd}]))
    (step,) = suite.steps
    sent: Any = step
    assert sent.requests[0] == {"customer_id": odd}
    assert sent.metadata == {"x-a": "b: {c"}
    assert text.startswith("# a?b\nsteps:\n")


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        (NAME, "payments/pay_[0-9a-f]{32}"),
        ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "[0-9A-Z]{26}"),
        ("ch_3Nw2x9Lk0qZt", "ch_[0-9A-Za-z_-]+"),
        ("u9-zz8-gb_1mFPtwUk0", "[0-9A-Za-z_-]+"),
        ("(V1StGXR8_Z5jdHi6B-myT)", r"\([0-9A-Za-z_-]+\)"),
        ("sk_live_0ujsswThIGTUYm2K8FjOOfXtY1K", "sk_live_[0-9A-Za-z_-]+"),
        ("k3j4h5k6j7", "[0-9A-Za-z]+"),
        ("(no. 123456789)", r"\(no\. [0-9]+\)"),
        ("at 2026-01-31T12:00:00.5Z", "at [0-9]{4}-[0-9]{2}-[0-9]{2}.[0-9:.]+(Z|[+-][0-9:]+)?"),
    ],
)
def test_ids_and_times_by_their_form(text: str, pattern: str) -> None:
    assert (is_new(text), pattern_within(text)) == (True, pattern)


@pytest.mark.parametrize(
    "text",
    [
        *("INSUFFICIENT_FUNDS", "EUR", "ada", "order-17", "sim_slow_500", "2026"),
        *("USB-C-Cable-2m", "PaymentIntentSucceeded", "Basic-Plan-2024", "Visa-Debit-Card"),
    ],
)
def test_words_are_no_ids(text: str) -> None:
    assert not is_new(text)


def test_cards() -> None:
    assert has_card("4111 1111-1111 1111")
    assert has_card("paid by 378282246310005")
    assert not has_card("4111111111111112")
    assert not has_card("1735689600000")


@pytest.mark.parametrize(("method", "asks"), [("Check", True), ("GetX", True), ("Checkout", False)])
def test_what_only_asks(method: str, asks: bool) -> None:
    assert only_asks(method) is asks


def test_the_stem_of_a_key() -> None:
    keys = ("order-17", NAME, "books", "a b", "A1", "17", f"AED-{'0af3' * 8}", f"EUR-{uuid4()}")
    assert [stem(each) for each in keys] == [
        *("order-", "", "books-", "", "A-", "", "AED-", "EUR-"),
    ]


@pytest.mark.parametrize(
    "part",
    [
        "a-",
        "a ",
        "4-",
        "4 4",
        "aF0",
        "2026-01-01T",
        "a1",
        " ",
        "pay_",
        "'",
        "aA-",
        "b9A_",
        "abcdefab-",
    ],
)
def test_long_texts_take_no_time(tmp_path: Path, part: str) -> None:
    text = part * (60_000 // len(part)) + "!"
    request = {"customer_id": text, "order_id": f"o{text}"}
    suite, _ = suite_of(tmp_path, Seen(CREATE, (), [request], [{"name": text, "order_id": text}]))
    assert len(suite.steps) == 1


def test_a_long_recording_takes_no_time(tmp_path: Path) -> None:
    calls = [
        Seen(
            CREATE,
            (("authorization", f"Bearer {n:032x}"),),
            [{"order_id": f"order-{n:032x}", "customer_id": f"c-{n % 7}"}],
            [{"name": f"payments/pay_{n:032x}", "order_id": f"order-{n:032x}"}],
        )
        for n in range(10_000)
    ]
    made = make_suite(calls, 1.8e9)
    assert len(made.variables) == 10_000


def test_secrets_of_any_type_are_masked(tmp_path: Path) -> None:
    (tmp_path / "a.proto").write_text(
        'syntax = "proto3"; package a; import "google/protobuf/struct.proto";\n'
        "message M { google.protobuf.Struct free = 1; double pin = 2; int32 cvv = 3; int64 n = 4;\n"
        "map<string, string> labels = 5; bytes secret = 6; Card card_number = 7; string page_token = 8; }\n"
        "message Card { string a = 1; } service B { rpc C(M) returns (M); }"
    )
    schema = local_schema([tmp_path], None)
    assert schema is not None
    data = {
        "free": {"card": 4111111111111111.0, "x": 1.5, "in": [{"password": "hunter2x"}]},
        "pin": 1234.0,
        "cvv": 987,
        "n": "378282246310005",
        "labels": {"api-key": "k3y", "a": "hunter2x again"},
        "secret": "c2VjcmV0",
        "card_number": {"a": "inside"},
        "page_token": "next",
    }
    made = make_suite([Seen(schema.method("a.B/C"), (), [data], [data])], 1.8e9)
    text = suite_text(made, "")
    assert made.count == 1
    secrets = ("4111", "hunter", "1234", "987", "3782", "k3y", "c2V", "inside")
    assert not [each for each in secrets if each in text]
    assert "x: 1.5" in text
    assert "page_token: next" in text


PROTO = """syntax = "proto3"; package a;
message M { int64 account_id = 1; int64 amount = 2; int64 order_id = 3; map<string, string> labels = 4; }
message Made { int64 id = 1; }
service B { rpc C(M) returns (Made); }
"""


def made_of(folder: Path, *calls: tuple[Any, ...]) -> Made:
    """The suite of calls: metadata, request and answer of each."""
    (folder / "a.proto").write_text(PROTO)
    schema = local_schema([folder], None)
    assert schema is not None
    method = schema.method("a.B/C")
    return make_suite([Seen(method, pairs, [asked], [told]) for pairs, asked, told in calls], 1.8e9)


def test_an_answer_that_is_no_text_is_left_out(tmp_path: Path) -> None:
    """In proto2 a string may be any bytes."""
    (tmp_path / "a.proto").write_text(
        'syntax = "proto2"; package a; message M { optional string s = 1; }'
    )
    schema = local_schema([tmp_path], None)
    assert schema is not None
    with pytest.raises(Unfit, match="its answer cannot be shown as JSON"):
        data_of(schema.message("a.M"), b"\x0a\x01\xff", "answer")


def test_an_amount_stays_what_it_was_whatever_id_it_looks_like(tmp_path: Path) -> None:
    made = made_of(
        tmp_path,
        ((), {"amount": "5"}, {"id": "10000000"}),
        ((), {"account_id": "10000000", "amount": "10000000"}, {"id": "10000001"}),
    )
    assert 'request: {account_id: "${made}", amount: 10000000}' in suite_text(made, "")


def test_a_word_that_was_sent_is_expected_wherever_it_stands(tmp_path: Path) -> None:
    response = {"name": NAME, "order_id": "order-1", "customer_id": "ada"}
    seen = Seen(find_method("payment.PaymentService/ProcessPayment"), (), [{"user_id": "ada"}])
    _, text = suite_of(tmp_path, seen, Seen(CREATE, (), [{"order_id": "order-1"}], [response]))
    assert "customer_id: ada" in text


@pytest.mark.parametrize(
    ("key", "reason", "said"),
    [
        ("my-order", "of my-order", 'decline_reason: "of ${order_id}"'),
        ("A-1", "(A-1)", 'decline_reason: "(${order_id})"'),
        ("books", "books", 'decline_reason: "${order_id}"'),
        ("17", "17", 'decline_reason: "17"'),
    ],
)
def test_a_key_of_the_run_in_other_fields(tmp_path: Path, key: str, reason: str, said: str) -> None:
    response = {"name": NAME, "order_id": key, "decline_reason": reason}
    _, text = suite_of(tmp_path, Seen(CREATE, (), [{"order_id": key}], [response]))
    assert 'order_id: "${order_id}"' in text
    assert said in text


@pytest.mark.parametrize(
    ("pairs", "asked", "why"),
    [
        ((), {"labels": {"4111 1111 1111 1111": "v"}}, "a key of a map in it is new each time"),
        ((("x-role", "a"), ("x-role", "b")), {"amount": "5"}, "its metadata has x-role twice"),
        ((), {"order_id": "4711"}, "its order_id is a number, and suites make no new ones"),
    ],
)
def test_what_would_be_another_call_is_left_out(
    tmp_path: Path, pairs: Any, asked: dict[str, Any], why: str
) -> None:
    made = made_of(tmp_path, (pairs, asked, {}))
    assert made.count == 0
    (left_out,) = made.left_out
    assert why in left_out.why
    assert "4111" not in suite_text(made, "")


def test_a_variable_of_the_environment_is_none_that_is_there_already(tmp_path: Path) -> None:
    made = made_of(tmp_path, ((("path", "4111111111111111"),), {"amount": "5"}, {}))
    assert list(made.environment) == ["PATH_2"]


@pytest.mark.parametrize(
    "name",
    ["x-jwt", "X-Session", "db_pwd", "passphrase", "x-access-key", "private_key", "otp", "x-pass"],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name", ["author", "page_token", "passenger", "key", "compass", "option", "session_id"]
)
def test_names_of_no_secrets(name: str) -> None:
    assert not is_secret(name)
