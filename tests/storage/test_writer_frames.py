"""Whatever goes to the writer process, or comes from it, arrives as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paycli.errors import (
    InvalidPayment,
    KeyReused,
    OutcomeOpen,
    PaymentError,
    PaymentNotFound,
    StateForbids,
    StoreUnavailable,
)
from paycli.payments.batch import (
    Claimed,
    NotOnRecord,
    OnRecord,
    Outcome,
    Receipt,
    Stored,
    Withdrawn,
    apply,
)
from paycli.payments.commands import (
    Change,
    Command,
    Create,
    Declined,
    Intend,
    Release,
    Resolve,
    Resume,
    Withdraw,
)
from paycli.payments.payment import CaptureMethod, Entry, Kind, Payment
from paycli.payments.states import Action
from paycli.storage.failures import CommitFailed, CommitRefused
from paycli.storage.sqlite.writer_frames import (
    answer_from_bytes,
    answer_to_bytes,
    commands_from_bytes,
    commands_to_bytes,
)

texts = st.text(max_size=20)
numbers = st.integers(-(2**63), 2**63 - 1)
methods = st.sampled_from([*CaptureMethod, 1, 2])
creates = st.builds(Create, texts, texts, texts, texts, texts, numbers, numbers, methods, numbers)
changes = st.builds(
    Change, texts, texts, st.sampled_from(Action), numbers, numbers, st.booleans(), texts, texts
)
operations = st.one_of(creates, changes)
commands = st.one_of(
    operations,
    st.builds(Intend, operations, texts, numbers),
    st.builds(Declined, operations, texts),
    st.builds(Resume, texts, texts, numbers, numbers),
    st.builds(Resolve, texts, texts, texts),
    st.builds(Withdraw, texts, texts),
    st.builds(Release, texts, texts, numbers),
)

payments = st.builds(
    Payment, texts, numbers, texts, texts, texts, numbers, methods, texts, *[numbers] * 9
)
kinds = st.sampled_from([*Kind, 7])
entries = st.builds(
    Entry, texts, texts, numbers, kinds, *[numbers] * 6, st.booleans(), texts, texts, numbers
)
outcomes = st.one_of(
    st.builds(Receipt, payments, entries, st.booleans()),
    st.builds(Claimed, operations, texts, st.booleans()),
    st.builds(OnRecord, texts),
    st.just(Withdrawn()),
    st.just(NotOnRecord()),
)


@given(st.lists(commands, max_size=5))
def test_commands_arrive_as_they_were(batch: list[Command]) -> None:
    arrived = commands_from_bytes(commands_to_bytes(batch))
    assert arrived == batch
    assert [type(each) for each in arrived] == [type(each) for each in batch]
    for command in arrived:
        if isinstance(command, Change):
            assert isinstance(command.action, Action)


@given(st.lists(st.tuples(changes, outcomes), max_size=5), numbers)
def test_outcomes_arrive_as_they_were(answered: list[tuple[Command, Outcome]], last: int) -> None:
    batch, sent = [each for each, _ in answered], [each for _, each in answered]
    arrived, seq = answer_from_bytes(batch, answer_to_bytes(batch, (sent, last)))
    assert (arrived, seq) == (sent, last)
    assert [type(each) for each in arrived] == [type(each) for each in sent]


keys = st.sampled_from(["key-1", "key-2", "key-3"])
few = creates.flatmap(lambda each: keys.map(lambda key: each._replace(request_key=key)))


@given(st.lists(st.one_of(few, st.builds(Declined, few, st.just("LOST_CARD"))), max_size=6))
def test_what_creations_made_arrives_as_the_writer_made_it(batch: list[Command]) -> None:
    sent = apply(batch, Stored(), range(7, 20)).outcomes
    arrived, _ = answer_from_bytes(batch, answer_to_bytes(batch, (sent, 20)))
    for there, here in zip(sent, arrived, strict=True):
        assert type(there) is type(here)
        assert there == here or vars(there) == vars(here)  # errors are equal by what they say


@pytest.mark.parametrize(
    "error",
    [
        InvalidPayment("amount", "Too much.", reason="CURRENCY_MISMATCH", currency="EUR"),
        KeyReused("pay_1", ["amount", "currency"]),
        PaymentNotFound("pay_2"),
        StateForbids("No.", metadata={"state": "VOIDED"}),
        StoreUnavailable("Busy."),
        OutcomeOpen("Lost.", reason="STORE_OUTCOME_UNKNOWN"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_refusal_arrives_with_all_that_the_caller_is_told(error: PaymentError) -> None:
    batch = [Withdraw("key-1", "a/1")]
    ((arrived,), _) = answer_from_bytes(batch, answer_to_bytes(batch, ([error], 7)))
    assert type(arrived) is type(error)
    assert vars(arrived) == vars(error)
    assert str(arrived) == str(error)


@pytest.mark.parametrize("kind", [CommitFailed, CommitRefused])
def test_a_failure_arrives_as_one(kind: type[CommitFailed | CommitRefused]) -> None:
    with pytest.raises(kind, match="The disk is full"):
        answer_from_bytes([], answer_to_bytes([], kind("The disk is full.")))
