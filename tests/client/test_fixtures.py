"""Fixtures: exact amounts, wrong entries beside unharmed neighbours."""

from __future__ import annotations

from pathlib import Path

import pytest

from paycli.client.fixture_payments import FixtureEntry, FixturePayment, Mistaken
from paycli.client.fixtures import Fixture
from paycli.errors import DocumentError

FIXTURES = Path(__file__).parents[2] / "configs/fixtures"


def read(tmp_path: Path, text: str) -> list[FixtureEntry]:
    path = tmp_path / "f.yaml"
    path.write_text(text, encoding="utf-8")
    return list(Fixture(path))


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.yaml")), ids=lambda p: p.stem)
def test_the_shipped_fixtures_are_right(path: Path) -> None:
    payments = list(Fixture(path))
    assert payments
    assert all(isinstance(payment, FixturePayment) for payment in payments)


def test_defaults_repeat_and_placeholders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHO", "grace")
    text = """
defaults: {currency: KWD, user_id: ada}
payments:
  - {order_id: "o-${n}", amount: 3.125, repeat: 2}
  - {order_id: "${uuid}", amount: "0.001", user_id: "${env:WHO}", expect: FAILED}
"""
    first, second, third = (
        item for item in read(tmp_path, text) if isinstance(item, FixturePayment)
    )
    assert [p.charge.order_id for p in (first, second)] == ["o-1", "o-2"]
    assert (first.charge.amount, first.charge.currency, first.charge.user_id) == (
        3125,
        "KWD",
        "ada",
    )
    assert (third.charge.user_id, third.charge.amount, str(third.expect)) == ("grace", 1, "FAILED")
    assert len(third.charge.order_id) == 36


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{order_id: o, currency: EUR}", "amount is missing"),
        ("{order_id: o, amount: nan, currency: EUR}", "finite"),
        ("{order_id: o, amount: .inf, currency: EUR}", "not an amount"),
        ("{order_id: o, amount: 0.001, currency: EUR}", "nearest is 0.01"),
        ('{order_id: o, amount: "12,50", currency: EUR}', "12.50"),
        ("{order_id: o, amount: 12,50, currency: EUR}", "write 12.50"),
        ("{order_id: o, amount: -1, currency: EUR}", "not positive"),
        ("{order_id: o, amount: 0, currency: EUR}", "not positive"),
        ("{order_id: o, amount: 1e300, currency: EUR}", "not an amount"),
        ("{order_id: o, amount: 5, currency: XXX}", "not an ISO 4217 currency"),
        ("{order_id: o, amount: 5, currency: ''}", "currency is missing"),
        ('{order_id: "a\\x9bb", amount: 5, currency: EUR}', "control character"),
        ("{order_id: o, amount: 5, currency: EUR, idempotency_key: ü}", "printable ASCII"),
        ("{order_id: o, amount: 5, currency: EUR, repeat: ٣}", "repeat"),
        ("{order_id: o, amount: [1], currency: EUR}", "single value"),
        ("{order_id: o, amount: , currency: EUR}", "empty"),
        ("{order_id: o, amount: 5, currency: eur}", "upper case"),
        ("{order_id: o, amount: 5}", "currency is missing"),
        ("{amount: 5, currency: EUR}", "order_id is missing"),
        ("{order_id: o, amont: 5, currency: EUR}", "did you mean 'amount'"),
        ("{order_id: o, amount: 5, amount: 6, currency: EUR}", "duplicate key"),
        ("{order_id: o, amount: 5, currency: EUR, repeat: 0}", "repeat"),
        ("{order_id: o, amount: 5, currency: EUR, expect: MAYBE}", "is not a status"),
        ("{order_id: '${env:NOT_SET_ANYWHERE}', amount: 5, currency: EUR}", "is not set"),
        ("{order_id: '${nonsense}', amount: 5, currency: EUR}", "nothing fills ${nonsense}"),
        (f"{{order_id: {'x' * 256}, amount: 5, currency: EUR}}", "256 characters"),
        ("just words", "must be a mapping"),
    ],
)
def test_a_wrong_entry_is_named_and_its_neighbours_stay(
    tmp_path: Path, entry: str, said: str
) -> None:
    good = "{order_id: good, amount: 5, currency: EUR}"
    other = good.replace("good", "other")
    before, wrong, after = read(tmp_path, f"payments:\n  - {good}\n  - {entry}\n  - {other}\n")
    assert isinstance(before, FixturePayment)
    assert isinstance(after, FixturePayment)
    assert isinstance(wrong, Mistaken)
    (problem,) = wrong.problems
    assert said in str(problem)
    assert "f.yaml:3:" in str(problem)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{order_id: a, amount: 5, currency: EUR}", "order a stands in line 2 already"),
        ("{order_id: a, amount: 6, currency: CHF}", "order a stands in line 2 already"),
        ('{order_id: "caf\\u00e9", amount: 5, currency: EUR}', "stands in line 3 already"),
        ("{idempotency_key: k, amount: 5, currency: EUR}", "key k stands in line 4 already"),
        ("{order_id: r, amount: 5, currency: EUR, repeat: 2}", "write ${n} into its order_id"),
    ],
)
def test_the_same_payment_twice_is_named(tmp_path: Path, entry: str, said: str) -> None:
    text = (
        "payments:\n"
        "  - {order_id: a, amount: 5, currency: EUR}\n"
        '  - {order_id: "cafe\\u0301", amount: 5, currency: EUR}\n'
        "  - {order_id: b, idempotency_key: k, amount: 5, currency: EUR}\n"
        "  - {order_id: a, user_id: ada, amount: 5, currency: EUR}\n"
    )
    *others, wrong = read(tmp_path, f"{text}  - {entry}\n")
    assert isinstance(wrong, Mistaken)
    (problem,) = wrong.problems
    assert "f.yaml:6:5: " in str(problem)
    assert said in str(problem)
    assert all(isinstance(each, FixturePayment) for each in others)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("- a\n", "mapping"),
        ("payment: []\n", "did you mean 'payments'"),
        ("defaults: {}\n", "needs 'payments:'"),
        ("payments: []\n", "payments is empty"),
        ("payments: {a: 1}\n", "must be a list"),
        ("payments:\n", "must be a list"),
        ("defaults: {amout: 1}\npayments: [{}]\n", "unknown key 'amout' in defaults"),
    ],
)
def test_a_file_that_is_no_fixture_is_refused_whole(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DocumentError, match=r"f\.yaml") as refusal:
        read(tmp_path, text)
    assert said in str(refusal.value)
