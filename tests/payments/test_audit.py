"""The auditor passes every history that the rules made, and none that was touched afterwards."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from paycli.errors import PaymentError
from paycli.payments import commands, decide
from paycli.payments.audit import violation
from paycli.payments.commands import Change
from paycli.payments.payment import CaptureMethod, Entry, Payment
from paycli.payments.states import Action

changes = st.builds(
    Change,
    request_key=st.just("k"),
    payment_id=st.just("pay_1"),
    action=st.sampled_from(Action),
    now_us=st.integers(2, 99),
    amount=st.integers(0, 60),
    final=st.booleans(),
)


def history(
    wanted: list[Change], method: CaptureMethod, declined: str
) -> tuple[Payment, list[Entry]]:
    """A payment and the entries of those changes that the rules allowed."""
    create = commands.create(
        payment_id="pay_1",
        order_id="o",
        customer_id="ada",
        currency="EUR",
        amount=100,
        now_us=1,
        capture_method=method,
        expires_us=50,
    )
    payment, first = decide.create(create, declined, 1)
    entries = [first]
    for change in wanted:
        try:
            payment, entry = decide.change(payment, change, len(entries) + 1)
        except PaymentError:
            continue
        entries.append(entry)
    return payment, entries


histories = st.builds(
    history,
    st.lists(changes, max_size=12),
    st.sampled_from(CaptureMethod),
    st.sampled_from(["", "", "LOST_CARD"]),
)


@given(histories)
def test_what_the_rules_made_is_right(made: tuple[Payment, list[Entry]]) -> None:
    payment, entries = made
    assert violation(payment, entries) is None


@given(histories, st.data())
def test_one_number_changed_anywhere_is_found(
    made: tuple[Payment, list[Entry]], data: st.DataObject
) -> None:
    payment, entries = made
    numbers = (
        "amount", "released", "captured", "voided", "refunded", "kind", "version", "seq",
    )  # fmt: skip
    place = data.draw(st.integers(0, len(entries) - 1))
    field = data.draw(st.sampled_from(numbers))
    by = data.draw(st.sampled_from([-1, 1, 7]))
    if field == "seq" and place > 0:  # the number of a later entry is the journal's to check
        field = "captured"
    touched = entries[place]._replace(**{field: getattr(entries[place], field) + by})
    assert violation(payment, [*entries[:place], touched, *entries[place + 1 :]]) is not None


@given(histories, st.sampled_from(["authorized", "captured", "voided", "refunded", "version"]))
def test_a_payment_that_stands_elsewhere_is_found(
    made: tuple[Payment, list[Entry]], field: str
) -> None:
    payment, entries = made
    touched = payment._replace(**{field: getattr(payment, field) + 1})
    assert violation(touched, entries) is not None


@given(histories)
def test_a_missing_entry_is_found(made: tuple[Payment, list[Entry]]) -> None:
    payment, entries = made
    for place in range(len(entries)):
        assert violation(payment, entries[:place] + entries[place + 1 :]) is not None
