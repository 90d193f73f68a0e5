"""Fixtures: exact amounts, wrong entries beside unharmed neighbours."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from paycli.client.charges import Paid
from paycli.client.fixture_payments import PAYMENT_KEYS, FixtureEntry, FixturePayment, Mistaken
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
        ("{order_id: o, amount: 5, currency: EUR, expect: AUTHORIZED}", "and no other, is AUTH"),
        (
            "{order_id: o, amount: 5, currency: EUR, expect: SUCCESS, capture_method: MANUAL}",
            "and no other, is AUTH",
        ),
        (
            "{order_id: o, amount: 5, currency: EUR, expect: {decline_reason: X, status: SUCCESS}}",
            "only FAILED has",
        ),
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


def test_every_mistake_of_a_file_is_found_at_once(tmp_path: Path) -> None:
    text = """
defaults: {currency: EU, user_id: "a\\x07"}
payments:
  - {order_id: "${nope}", amount: x, expect: MAYBE, capture_method: BY_HAND, then: [fly, capture: -1]}
  - {order_id: fine, amount: 1, currency: EUR, user_id: u, then: {refund: 1}}
  - {order_id: odd, amont: 1, currency: EU, user_id: u, repeat: many}
  - {order_id: late, amount: 0.001, currency: EUR, user_id: u, expect: FAILED, then: [refund]}
"""
    found = read(tmp_path, text)
    said = [line for entry in found for line in _said(entry)]
    assert [each.partition("f.yaml:")[2].partition(" ")[0] for each in said] == [
        "4:16:", "2:22:", "4:35:", "2:35:", "4:69:", "4:46:", "4:85:", "4:90:",
        "5:66:", "6:21:", "6:65:", "6:41:", "7:30:", "7:86:",
    ]  # fmt: skip


def _said(entry: FixtureEntry) -> list[str]:
    assert isinstance(entry, Mistaken)
    return [str(each) for each in entry.problems]


def test_what_is_referred_to_stands_above(tmp_path: Path) -> None:
    text = """
defaults: {currency: EUR}
payments:
  - {order_id: "x-${payments.b.payment_id}", amount: 1}
  - {name: b, order_id: b, amount: 2}
  - {name: b, order_id: c, amount: 2}
  - {name: 1, order_id: d, amount: 2}
  - {name: r, order_id: "r${n}", amount: 2, repeat: 2}
  - {order_id: "y-${payments.b.order_id}-${payments.b.amount}-${payments.b.status}", amount: 1}
  - {order_id: "z-${payments.b.paymentid}", amount: 1}
"""
    early, _, twice, digit, many, right, wrong = read(tmp_path, text)
    assert "nothing fills ${payments.b.payment_id}; nothing above is called 'b'." in _said(early)[0]
    assert "'b' is the name of a payment above" in _said(twice)[0]
    assert "'1' is no name" in _said(digit)[0]
    assert "it has no name" in _said(many)[0]
    assert isinstance(right, FixturePayment)
    assert right.charge.order_id == "y-b-2.00-status-of-b"
    assert "did you mean 'payments.b.payment_id'?" in _said(wrong)[0]


def test_to_send_needs_the_answers_of_those_above(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(
        "defaults: {currency: EUR}\n"
        "payments:\n"
        "  - {name: a, order_id: a, amount: 1}\n"
        "  - {order_id: 'b-${payments.a.payment_id}', amount: 1}\n"
        "  - {order_id: 'c-${payments.a.payment_id}', amount: 1}\n"
    )
    entries = Fixture(path).to_send()
    first = next(entries)
    assert isinstance(first, FixturePayment)
    assert "which got no answer" in _said(next(entries))[0]
    first.answered(Paid(first.charge, "p1", "SUCCESS", replayed=False, decline_reason=""))
    last = next(entries)
    assert isinstance(last, FixturePayment)
    assert last.charge.order_id == "c-p1"


def test_a_file_that_changes_while_it_is_sent_is_read_no_further(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    entries = "".join(f"- {{order_id: o{n}, amount: 1, currency: EUR}}\n" for n in range(20))
    path.write_text(f"payments:\n{entries}")
    fixture = Fixture(path)
    assert len(list(fixture)) == 20
    sending = fixture.to_send()
    assert isinstance(next(sending), FixturePayment)
    path.write_text(f"payments:\n{entries.replace('amount: 1', 'amount: 7')}")
    (changed,) = sending
    assert "the file was changed meanwhile; nothing more is read of it" in _said(changed)[0]
    assert fixture.is_broken


def test_a_file_that_breaks_off_says_so_after_what_stands_before(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    head = "defaults: {currency: EUR}\npayments:\n"
    path.write_text(f"{head}  - {{order_id: a, amount: 1}}\n  - {{order_id: b,\n")
    fixture = Fixture(path)
    whole, broken = fixture
    assert isinstance(whole, FixturePayment)
    assert "f.yaml:5:1: not YAML" in _said(broken)[0]
    assert fixture.is_broken


_KEYS = st.sampled_from([*PAYMENT_KEYS, "capture", "refund", "void", "final", "status", "x"])
_SCALARS = st.one_of(
    st.sampled_from(["EUR", "5", "MANUAL", "SUCCESS", "${n}", "${payments.a.status}", "a", "2"]),
    st.text(max_size=8),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(
    defaults=st.dictionaries(_KEYS, _VALUES, max_size=4),
    payments=st.lists(st.dictionaries(_KEYS, _VALUES, max_size=7), max_size=4),
)
def test_any_fixture_gives_payments_or_mistakes(
    tmp_path_factory: pytest.TempPathFactory, defaults: object, payments: object
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(
        yaml.safe_dump({"defaults": defaults, "payments": payments}, allow_unicode=True), "utf-8"
    )
    try:
        entries = list(islice(Fixture(path), 100))
    except DocumentError as problem:
        entries = [Mistaken(path, 1, (problem,))]
    for entry in entries:
        if isinstance(entry, Mistaken):
            assert entry.problems
            assert all(str(each).startswith(str(path)) for each in entry.problems)
        else:
            assert entry.charge.amount > 0


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=300), is_in_payments=st.booleans())
def test_any_bytes_are_a_fixture_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, is_in_payments: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.yaml"
    path.write_bytes((b"payments:\n- {amount: 5}\n" if is_in_payments else b"") + data)
    with suppress(DocumentError):
        for entry in islice(Fixture(path), 100):
            assert isinstance(entry, FixturePayment) or entry.problems
