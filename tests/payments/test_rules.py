"""The invariants of DESIGN hold for any sequence of commands."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paycli.errors import KeyReused, PaymentNotFound, StateForbids
from paycli.payments import commands, decide
from paycli.payments.batch import Outcome, Receipt, Stored, apply
from paycli.payments.commands import Change, Command, Create
from paycli.payments.payment import CaptureMethod, Entry, Payment, State
from paycli.payments.postings import HOLD, postings_of
from paycli.payments.states import ALLOWED, Action, state_of


def make(
    order: str = "o1",
    amount: int = 100,
    *,
    method: CaptureMethod = CaptureMethod.MANUAL,
    payment_id: str = "pay_1",
) -> Create:
    return commands.create(
        payment_id=payment_id,
        order_id=order,
        customer_id="ada",
        currency="EUR",
        amount=amount,
        now_us=1,
        capture_method=method,
    )


def seqs(first: int) -> range:
    return range(first, first + 100)


changes = st.builds(
    Change,
    request_key=st.integers(0, 30).map(str),
    payment_id=st.sampled_from(["pay_1", "pay_2"]),
    action=st.sampled_from(Action),
    now_us=st.integers(2, 1000),
    amount=st.integers(0, 120),
    final=st.booleans(),
)


@given(
    st.lists(changes, max_size=25),
    st.lists(st.integers(0, 25), max_size=4),
    st.sampled_from(CaptureMethod),
)
def test_every_history_keeps_the_books(
    history: list[Change], cuts: list[int], method: CaptureMethod
) -> None:
    """However commands are cut into batches: I1 counters, I2 entries, I4 holds, I5 versions."""
    everything: list[Command] = [
        make("o1", 100, method=method, payment_id="pay_1"),
        make("o2", 70, payment_id="pay_2"),
        *history,
    ]
    stored = Stored()
    entries: list[Entry] = []
    outcomes = []
    bounds = [0, *sorted(cuts), len(everything)]
    for start, end in pairwise(bounds):
        batch = apply(everything[start:end], stored, seqs(len(entries) + 1))
        entries += batch.entries
        outcomes += batch.outcomes
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    balances: Counter[str] = Counter()
    for entry in entries:
        postings = postings_of(stored.payments[entry.payment_id], entry)
        assert len(postings) in (2, 4)
        assert all(posting.amount for posting in postings)
        assert sum(posting.amount for posting in postings) == 0
        for posting in postings:
            balances[posting.account] += posting.amount
    for payment in stored.payments.values():
        assert 0 <= payment.captured + payment.voided <= payment.authorized
        assert 0 <= payment.refunded <= payment.captured
        own = [entry.version for entry in entries if entry.payment_id == payment.payment_id]
        assert own == list(range(1, payment.version + 1))
        still_open = payment.authorized - payment.captured - payment.voided
        assert balances[HOLD + payment.payment_id] == still_open
    whole = apply(everything, Stored(), seqs(1))
    assert [_told(each) for each in whole.outcomes] == [_told(each) for each in outcomes]


def _told(outcome: Outcome) -> object:
    return outcome.payment if isinstance(outcome, Receipt) else str(outcome)


def _change(payment: Payment, action: Action, amount: int = 0, *, final: bool = False) -> Payment:
    command = Change("key", payment.payment_id, action, 5, amount, final)
    return decide.change(payment, command, 2)[0]


def test_a_payment_walks_through_all_states() -> None:
    payment, _ = decide.create(make(), "", 1)
    assert state_of(payment) is State.AUTHORIZED
    part = _change(payment, Action.CAPTURE, 30)
    assert state_of(part) is State.PARTIALLY_CAPTURED
    assert state_of(_change(part, Action.CAPTURE)) is State.CAPTURED
    final = _change(part, Action.CAPTURE, 20, final=True)
    assert (final.captured, final.voided) == (50, 50)
    assert state_of(final) is State.CAPTURED
    assert state_of(_change(final, Action.REFUND, 1)) is State.PARTIALLY_REFUNDED
    assert state_of(_change(final, Action.REFUND)) is State.REFUNDED
    assert state_of(_change(payment, Action.VOID)) is State.VOIDED
    assert state_of(_change(payment, Action.EXPIRE)) is State.EXPIRED
    assert state_of(decide.create(make(), "EXPIRED_CARD", 1)[0]) is State.DECLINED


def test_a_state_without_an_edge_refuses_every_action() -> None:
    payment, _ = decide.create(make(), "", 1)
    ended = [
        _change(payment, Action.VOID),
        _change(payment, Action.EXPIRE),
        _change(_change(payment, Action.CAPTURE), Action.REFUND),
        decide.create(make(), "LOST_CARD", 1)[0],
    ]
    assert {state_of(each) for each in ended} == {s for s in State if not ALLOWED[s]}
    for each in ended:
        for action in Action:
            with pytest.raises(StateForbids, match="cannot"):
                _change(each, action)


def test_more_than_is_left_is_refused_with_the_rest() -> None:
    payment, _ = decide.create(make(amount=100), "", 1)
    with pytest.raises(StateForbids, match=r"1\.00 EUR left to capture, not 1\.01") as refusal:
        _change(payment, Action.CAPTURE, 101)
    assert refusal.value.reason == "CAPTURE_EXCEEDS_AUTHORIZED"
    assert refusal.value.metadata["leftMinor"] == "100"


def test_a_refund_gives_nothing_back_from_the_authorization() -> None:
    captured = _change(decide.create(make(), "", 1)[0], Action.CAPTURE)
    assert _change(captured, Action.REFUND, final=True).voided == 0


def test_a_replay_answers_what_was_answered_then() -> None:
    stored = Stored()
    first = apply([make()], stored, seqs(1)).outcomes[0]
    apply([Change("k", "pay_1", Action.CAPTURE, 5)], stored, seqs(2))
    again = apply([make(payment_id="pay_other")], stored, seqs(3))
    assert isinstance(first, Receipt)
    assert again.outcomes == [first._replace(replayed=True)]
    assert not again.entries


def test_a_reused_key_names_what_differs() -> None:
    reused = apply([make(amount=100), make(amount=101)], Stored(), seqs(1)).outcomes[1]
    assert isinstance(reused, KeyReused)
    assert reused.metadata == {"firstPaymentId": "pay_1", "differingFields": "amount"}


def test_one_key_means_one_operation_across_methods() -> None:
    change = Change(make().request_key, "pay_1", Action.VOID, 5)
    outcome = apply([make(), change], Stored(), seqs(1)).outcomes[1]
    assert isinstance(outcome, KeyReused)


def test_a_refusal_leaves_its_neighbours_unharmed() -> None:
    unknown = Change("k", "pay_9", Action.VOID, 5)
    batch = apply(
        [make("a", payment_id="a"), unknown, make("b", payment_id="b")], Stored(), seqs(1)
    )
    assert [type(outcome) for outcome in batch.outcomes] == [Receipt, PaymentNotFound, Receipt]
    assert [entry.seq for entry in batch.entries] == [1, 2]


def test_a_key_made_from_an_order_is_no_key_that_a_caller_can_send() -> None:
    assert commands.request_key("o1") != make("o1").request_key


def test_an_order_of_another_customer_has_another_key() -> None:
    keys = {
        commands.create(order_id=order, customer_id=who, currency="EUR", amount=1).request_key
        for order in ("o", "op")
        for who in ("ada", "pada", "")
    }
    assert len(keys) == 6
