"""The chaos file and its dice: exact, reproducible, and its mistakes told with their line."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from paycli.chaos.dice import Dice, Fault
from paycli.chaos.plan import Kind, Plan, Subject, read_plan
from paycli.chaos.subjects import subjects_of
from paycli.errors import DocumentError
from paycli.generated import payment_pb2
from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from tests.wire import creation

PAY = "/payment.PaymentService/ProcessPayment"


def plan_of(folder: Path, text: str) -> Plan:
    path = folder / "chaos.yaml"
    path.write_text(text, encoding="utf-8")
    return read_plan(path)


def throws(plan: Plan, count: int, subject: Subject | None = None) -> list[Fault | None]:
    throw = Dice(plan).for_method(PAY, list(Kind))
    subjects: Sequence[Subject] = (subject,) if subject else ()
    return [throw(lambda: subjects) if throw else None for _ in range(count)]


def test_a_seed_makes_the_dice_fall_alike(tmp_path: Path) -> None:
    text = "seed: {}\nfaults: [{{do: delay, for: 1ms..1s, probability: 0.5}}, {{do: drop, probability: 0.3}}]"
    first, again, other = (throws(plan_of(tmp_path, text.format(n)), 200) for n in (7, 7, 8))
    assert first == again != other
    kinds = [each.kind if each else None for each in first]
    assert 70 < kinds.count(Kind.DELAY) < 130
    assert 10 < kinds.count(Kind.DROP) < 60
    spans = [each.seconds for each in first if each and each.kind is Kind.DELAY]
    assert len(set(spans)) == len(spans)
    assert all(0.001 <= each <= 1 for each in spans)


def test_without_a_seed_chance_chooses_one_that_is_told(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "faults: [{do: drop}]")
    assert len({Dice(plan).seed for _ in range(20)}) > 1


def test_some_calls_are_let_through_first_and_only_so_many_are_hit(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path, "faults: [{do: drop, after: 2, times: 3}, {do: unavailable, times: 1}]"
    )
    kinds = [each.kind if each else None for each in throws(plan, 8)]
    assert kinds == [Kind.UNAVAILABLE, None, *[Kind.DROP] * 3, None, None, None]


@pytest.mark.parametrize(
    ("method", "fits"),
    [
        ("ProcessPayment", True),
        ("Process*", True),
        ("PaymentService/*", True),
        ("payment.PaymentService/ProcessPayment", True),
        ("payment.*", True),
        ("processpayment", False),
        ("Payment", False),
        ("/ProcessPayment", False),
    ],
)
def test_a_method_is_named_in_short_or_in_full(tmp_path: Path, method: str, fits: bool) -> None:
    plan = plan_of(tmp_path, f"faults: [{{do: drop, method: '{method}'}}]")
    assert (Dice(plan).for_method(PAY, list(Kind)) is not None) is fits


@pytest.mark.parametrize(
    ("rule", "subject", "fits"),
    [
        ("order: 'A-*'", Subject("A-1"), True),
        ("order: 'A-*'", Subject("a-1"), False),
        ("order: '*'", Subject(None, "ada"), False),
        ("customer: ada", Subject("A-1", "ada"), True),
        ("order: A-1, customer: bob", Subject("A-1", "ada"), False),
        ("amount: 7.50", Subject(amount=Decimal("7.5")), True),
        ("amount: 0.1", Subject(amount=Decimal("0.1")), True),
        ("amount: 0.1", Subject(amount=Decimal("0.10000000000000001")), False),
    ],
)
def test_a_request_is_looked_into(tmp_path: Path, rule: str, subject: Subject, fits: bool) -> None:
    plan = plan_of(tmp_path, f"faults: [{{do: drop, {rule}}}]")
    assert (throws(plan, 1, subject) != [None]) is fits


def test_what_requests_are_about() -> None:
    seed = payment_pb2.PaymentRequest(order_id="o", amount=0.1, currency="EUR", user_id="ada")
    assert next(iter(subjects_of(seed))) == Subject("o", "ada", Decimal("0.1"))
    one = creation("9.99", order_id="p")
    batch = pb.BatchCreatePaymentsRequest(requests=[one, creation("1", order_id="q")])
    found = [(each.order, each.amount) for each in subjects_of(batch)]
    assert found == [(None, None), ("p", Decimal("9.99")), ("q", Decimal(1))]
    assert subjects_of(b"raw") == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("faults: []", ":1:9: 'faults' is empty."),
        ("seed: 1", ":1:1: there are no 'faults:'."),
        ("faults:\n- {do: dorp}", ":2:8: there is no fault 'dorp'; did you mean 'drop'?"),
        ("faults:\n- {method: x}", ":2:3: a fault needs 'do:', one of delay, "),
        ("faults:\n- {do: drop, ordre: x}", ":2:14: unknown key 'ordre' in a fault; did you mean"),
        ("faults:\n- do: delay", ":2:3: 'delay' needs 'for:', such as 200ms or 100ms..2s."),
        ("faults:\n- do: drop\n  for: 1s", ":3:8: 'drop' takes no 'for:'."),
        ("faults:\n- do: delay\n  for: 5", ":3:8: 'for': '5' is not a time of at most an hour"),
        ("faults:\n- do: delay\n  for: 2s..1s", ":3:8: 'for': '2s..1s' ends before it begins."),
        ("faults:\n- do: delay\n  for: 61m", ":3:8: 'for': '61m' is not a time of at most an hour"),
        ("faults:\n- do: drop\n  probability: 1.1", ":3:16: 'probability': 1.1 is not between"),
        ("faults:\n- do: drop\n  probability: nan", ":3:16: 'probability': nan is not between"),
        ("faults:\n- do: drop\n  probability: often", ":3:16: 'probability': often is not between"),
        ("faults:\n- do: drop\n  times: -1", ":3:10: 'times': '-1' is not a whole number"),
        ("faults:\n- do: drop\n  after: 1.5", ":3:10: 'after': '1.5' is not a whole number"),
        ("faults:\n- do: drop\n  amount: nan", ":3:11: 'amount': 'nan' is not an amount"),
        ("faults:\n- do: drop\n  amount: 1,50", ":3:11: 'amount': '1,50' is not an amount"),
        ("seed: x\nfaults: [{do: drop}]", ":1:7: 'seed': 'x' is not a whole number"),
        ("faults: {do: drop}", ":1:9: 'faults' must be a list"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DocumentError) as raised:
        plan_of(tmp_path, text)
    assert str(raised.value).startswith(f"{tmp_path}/chaos.yaml{said}")


def test_rules_are_told_in_words(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        "faults:\n- {do: delay, for: 100ms..2s, probability: 0.25}\n"
        "- {do: drop, method: Create*, order: A-*, amount: 7.50, after: 3, times: 1}\n",
    )
    assert [str(rule) for rule in plan.rules] == [
        "delay (0.1 to 2 s) in 25 % of all methods",
        "drop Create* with order A-* with amount 7.50 after 3 calls at most 1 times",
    ]


def test_the_shipped_file_is_right() -> None:
    assert read_plan(Path("configs/chaos.yaml")).rules
