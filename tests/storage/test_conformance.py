"""What every store promises, in domain words: one suite, whatever is behind the URL."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from enum import Enum, auto
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from paycli.errors import (
    DeadlinePassed,
    KeyReused,
    OutcomeOpen,
    Overloaded,
    PaymentBusy,
    PaymentError,
    PaymentNotFound,
    ProcessorDeclined,
    StateForbids,
    StoreError,
)
from paycli.payments import commands
from paycli.payments.audit import violation
from paycli.payments.batch import (
    Claimed,
    NotOnRecord,
    OnRecord,
    Outcome,
    Receipt,
    Withdrawn,
)
from paycli.payments.commands import (
    Change,
    Command,
    Create,
    Declined,
    Intend,
    Operation,
    Release,
    Resolve,
    Resume,
    Withdraw,
)
from paycli.payments.money import MINOR_UNITS_MAX
from paycli.payments.payment import CaptureMethod, Kind, State
from paycli.payments.postings import HOLD, postings_of
from paycli.payments.queries import Due, EntryCursor, EventFilter, PaymentFilter
from paycli.payments.states import Action, state_of
from paycli.payments.store import Store
from paycli.storage.stores import open_store
from tests import postgres

MANUAL = CaptureMethod.MANUAL
T0 = 1_800_000_000_000_000


def make(number: int, amount: int = 100, **changes: object) -> Create:
    """Creation number `number`, made a millisecond after the one before."""
    now_us = T0 + number * 1000
    fields: dict[str, object] = {
        "payment_id": f"pay_{now_us // 1000:012x}{number:020x}",
        "order_id": f"order-{number}",
        "customer_id": "ada",
        "currency": "EUR",
        "amount": amount,
        "now_us": now_us,
    }
    return commands.create(**(fields | changes))  # type: ignore[arg-type] # plain keyword data


def do(create: Create, action: Action, amount: int = 0, *, key: str, at: int = 9) -> Change:
    return Change(key, create.payment_id, action, create.now_us + at, amount)


class Second(Enum):
    """What becomes of a store that is opened while another one is open on the same URL."""

    WRITES_TOO = auto()
    IS_REFUSED = auto()
    IS_ANOTHER = auto()


class Backend(NamedTuple):
    """All that this suite knows of a kind of store."""

    url_in: Callable[[Path], str]
    second: Second


BACKENDS: Final = {
    "file": Backend(lambda folder: f"sqlite:///{folder}/s.db", Second.IS_REFUSED),
    "memory": Backend(lambda _: "sqlite:///:memory:", Second.IS_ANOTHER),
    "postgres": Backend(lambda _: postgres.new_store(), Second.WRITES_TOO),
}


@pytest.fixture(params=BACKENDS.values(), ids=list(BACKENDS))
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each in turn."""
    found: Backend = request.param
    return found


@pytest.fixture
def url(backend: Backend, tmp_path: Path) -> str:
    """The URL of an empty store."""
    return backend.url_in(tmp_path)


@pytest.fixture
def url_of_one(backend: Backend, url: str) -> str:
    """The same, of a backend that lets one store be open at a time."""
    if backend.second is not Second.IS_REFUSED:
        pytest.skip("the backend does not keep a second store out")
    return url


@pytest.fixture
def url_of_several(backend: Backend, url: str) -> str:
    """The same, of a backend that lets several write at a time."""
    if backend.second is not Second.WRITES_TOO:
        pytest.skip("the backend lets one store write at a time")
    return url


def opened(url: str) -> AbstractAsyncContextManager[Store]:
    return open_store(url, lambda _: None)


async def everything(store: Store) -> list[str]:
    """Ids of all payments, in pages of three."""
    ids: list[str] = []
    cursor = ""
    while True:
        page, cursor = await store.payments(PaymentFilter(), cursor, 3)
        ids += [payment.payment_id for payment in page]
        if not cursor:
            return ids


def test_many_at_once_each_get_their_own_answer(url: str) -> None:
    async def main() -> None:
        async with opened(url) as store:
            creates = [make(1), make(1, 101), make(1), make(2)]
            outcomes = await store.execute_all(creates)
            assert [type(each) for each in outcomes] == [Receipt, KeyReused, Receipt, Receipt]
            assert isinstance(outcomes[2], Receipt)
            assert outcomes[2].replayed
            assert await store.balances("merchant") == [("EUR", 200)]

    asyncio.run(main())


def test_a_command_that_the_database_refuses_does_not_fail_its_batch(url: str) -> None:
    """The balance of an account is a 64-bit number; the command that would pass it is to blame."""

    async def main() -> None:
        async with opened(url) as store:
            full = (2**63 - 1) // MINOR_UNITS_MAX
            huge = [make(n, MINOR_UNITS_MAX) for n in range(full)]
            for start in range(0, full, 1000):
                await store.execute_all(huge[start : start + 1000])
            outcomes = await asyncio.gather(
                store.execute(make(10_001)),
                store.execute(make(10_002, MINOR_UNITS_MAX)),
                store.execute(make(10_003)),
                return_exceptions=True,
            )
            assert [type(each) for each in outcomes] == [Receipt, StateForbids, Receipt]
            assert isinstance(outcomes[1], StateForbids)
            assert outcomes[1].reason == "BALANCE_LIMIT"
            assert "2^63" in str(outcomes[1])
            assert await store.payment(make(10_002).payment_id) is None
            assert (await store.payment(make(10_003).payment_id)) is not None

    asyncio.run(main())


def test_lists_are_paged_newest_first_and_filtered(url: str) -> None:
    async def main() -> None:
        async with opened(url) as store:
            creates = [
                make(
                    n,
                    customer_id=f"c{n % 3}",
                    order_id=f"o{n % 5}",
                    request_id=f"r{n}",
                    capture_method=MANUAL if n % 4 == 0 else CaptureMethod.AUTOMATIC,
                )
                for n in range(40)
            ]
            await store.execute_all(creates)
            await store.execute(do(creates[8], Action.VOID, key="v"))
            assert await everything(store) == [c.payment_id for c in reversed(creates)]

            async def found(**wanted: Any) -> list[int]:
                numbers: list[int] = []
                cursor = ""
                while True:
                    page, cursor = await store.payments(
                        PaymentFilter(**wanted),
                        cursor,
                        2,
                    )
                    numbers += [int(each.payment_id[-20:], 16) for each in page]
                    if not cursor:
                        return numbers

            assert await found(customer_id="c1") == [n for n in range(39, -1, -1) if n % 3 == 1]
            assert await found(order_id="o2") == [37, 32, 27, 22, 17, 12, 7, 2]
            assert await found(order_id="o2", customer_id="c1") == [37, 22, 7]
            assert await found(state=State.VOIDED) == [8]
            assert await found(state=State.AUTHORIZED, customer_id="c0") == [36, 24, 12, 0]
            assert await found(state=State.CAPTURED, order_id="o0") == [35, 30, 25, 15, 10, 5]
            at = creates[20].now_us
            assert await found(created_from_us=at, created_before_us=at + 2000) == [21, 20]
            assert await found(created_from_us=at + 1, created_before_us=at + 1001) == [21]
            assert await found(created_before_us=creates[1].now_us) == [0]
            key = creates[8].request_key
            assert await found(request_key=key) == [8]
            assert await found(request_key=key, state=State.VOIDED, customer_id="c2") == [8]
            for other in (
                {"state": State.AUTHORIZED},
                {"order_id": "o2"},
                {"created_before_us": creates[8].now_us},
            ):
                assert await found(request_key=key, **other) == []
            assert await found(request_key="v") == []  # a change's: it created nothing
            assert await found(request_key="r8") == []

    asyncio.run(main())


def test_the_journal_is_paged_in_the_middle_of_a_payment(url: str) -> None:
    async def main() -> None:
        async with opened(url) as store:
            first, second = make(1, capture_method=MANUAL), make(2, customer_id="grace")
            await store.execute_all([first, second])
            for n in range(5):
                await store.execute(do(first, Action.CAPTURE, 10, key=f"c{n}"))
            await store.execute(do(first, Action.REFUND, 7, key="r"))
            whole: list[tuple[str, int]] = []
            cursor = EntryCursor()
            while page := await store.journal(cursor, 2):
                whole += [(each.payment.order_id, each.entry.version) for each in page]
                cursor = EntryCursor(page[-1].payment.payment_id, page[-1].entry.version)
            assert whole == [("order-1", n) for n in range(1, 8)] + [("order-2", 1)]
            ada = await store.journal_of_customer("ada", EntryCursor(), 100)
            assert {each.payment.order_id for each in ada} == {"order-1"}
            (refund,) = await store.refunds(first.payment_id, 0, 10)
            assert (refund.amount, refund.version) == (7, 7)
            assert await store.refunds(first.payment_id, 7, 10) == []
            assert await store.entry(first.payment_id, 7) == refund
            assert await store.entry(first.payment_id, 8) is None
            payment = await store.payment(first.payment_id)
            assert payment is not None
            assert violation(payment, [each.entry for each in ada]) is None

    asyncio.run(main())


def test_balances_are_the_sums_of_the_postings(url: str) -> None:
    async def main() -> None:
        async with opened(url) as store:
            held = make(1, 500, capture_method=MANUAL, customer_id="grace")
            await store.execute_all([held, make(2, 70), make(3, 30, currency="USD")])
            await store.execute(Change("f", held.payment_id, Action.CAPTURE, 1, 200, final=True))
            await store.execute(do(held, Action.REFUND, 50, key="r"))
            sums: Counter[tuple[str, str]] = Counter()
            for found in await store.journal(EntryCursor(), 100):
                for account, amount, currency in postings_of(*found):
                    sums[account, currency] += amount
            accounts = ("merchant", "customer/ada", "customer/grace")
            stored = {
                (account, currency): amount
                for account in accounts
                for currency, amount in await store.balances(account)
            }
            assert sums.pop((HOLD + held.payment_id, "EUR")) == 0
            assert stored == dict(sums)
            assert await store.balances("customer/nobody") == []

    asyncio.run(main())


def test_events_come_in_order_and_a_watcher_is_told_of_news(url: str) -> None:
    async def main() -> None:
        async with opened(url) as store:
            watched = asyncio.ensure_future(store.news(0))
            await asyncio.sleep(0)
            assert not watched.done()
            held = make(1, capture_method=MANUAL)
            await store.execute(held)
            await asyncio.wait_for(watched, 5)
            await store.execute_all([make(n, customer_id="grace") for n in range(2, 12)])
            await store.execute(do(held, Action.VOID, key="v"))
            assert await store.newest_seq() == 12

            async def seen(**wanted: Any) -> list[int]:
                seqs: list[int] = []
                after = 0
                while after < await store.newest_seq():
                    found, after = await store.events(
                        after,
                        EventFilter(**wanted),
                        3,
                    )
                    seqs += [each.entry.seq for each in found]
                return seqs

            assert await seen() == list(range(1, 13))
            assert await seen(customer_id="grace") == list(range(2, 12))
            assert await seen(payment_id=held.payment_id) == [1, 12]
            assert await seen(order_id="order-1") == [1, 12]
            assert await seen(kinds=frozenset({Kind.VOIDED, Kind.AUTHORIZED})) == [1, 12]
            assert await seen(order_id="order-1", kinds=frozenset({Kind.CHARGED})) == []

    asyncio.run(main())


def test_what_ran_out_is_due_once(url: str) -> None:
    async def main() -> None:
        async with opened(url) as store:
            soon = make(1, capture_method=MANUAL, expires_us=T0 + 50_000)
            later = make(2, capture_method=MANUAL, expires_us=T0 + 90_000)
            await store.execute_all([soon, later, make(3)])
            assert await store.due(T0 + 49_999, Due(), 10) == []
            assert await store.due(T0 + 50_000, Due(), 10) == [Due(T0 + 50_000, soon.payment_id)]
            late = do(soon, Action.CAPTURE, key="late", at=49_000)
            with pytest.raises(StateForbids, match="ran out") as refusal:
                await store.execute(late)
            assert refusal.value.reason == "AUTHORIZATION_EXPIRED"
            receipt = await store.execute(commands.expire(soon.payment_id, T0 + 50_001))
            assert state_of(receipt.payment) is State.EXPIRED
            assert await store.due(T0 + 99_999, Due(), 10) == [Due(T0 + 90_000, later.payment_id)]

    asyncio.run(main())


async def outcome(store: Store, command: Command) -> Outcome:
    """What comes of one command, refusals too."""
    (found,) = await store.execute_all([command])
    return found


def intend(operation: Operation, claim: str = "c1", lease_us: int = T0 + 10**9) -> Intend:
    return Intend(operation, claim, lease_us)


def test_an_intent_is_its_holders_until_it_is_resolved_or_withdrawn(url: str) -> None:
    async def main() -> None:
        async with opened(url) as store:
            first = make(1, request_id="k")
            key = first.request_key
            assert await outcome(store, intend(first)) == Claimed(first, "ada", resumed=False)
            retry = first._replace(payment_id="pay_other", now_us=first.now_us + 5)
            assert await outcome(store, intend(retry, "c2")) == OnRecord("c1")
            changed = await outcome(store, intend(first._replace(amount=101), "c2"))
            assert isinstance(changed, KeyReused)
            assert changed.metadata["differingFields"] == "amount"
            other = Change(key, "pay_x", Action.VOID, 1)
            assert isinstance(await outcome(store, other), KeyReused)
            # An answer that needed no asking does not pass by somebody who asks.
            assert isinstance(await outcome(store, retry), OutcomeOpen)
            assert isinstance(await outcome(store, retry._replace(amount=101)), KeyReused)
            for not_theirs in (
                Resume(key, "c2", T0, T0 + 10**9),
                Resolve(key, "c2", ""),
                Withdraw(key, "c2"),
                Release(key, "c2", 0),
            ):
                assert await outcome(store, not_theirs) == OnRecord("c1")
            receipt = await outcome(store, Resolve(key, "c1", "LOST_CARD"))
            assert isinstance(receipt, Receipt)
            assert receipt.payment.payment_id == first.payment_id
            assert state_of(receipt.payment) is State.DECLINED
            for too_late in (Resolve(key, "c1", ""), Resume(key, "c3", 2 * T0, 3 * T0)):
                assert await outcome(store, too_late) == NotOnRecord()
            assert await outcome(store, intend(first, "c4")) == receipt._replace(replayed=True)
            await store.execute_all([intend(make(2))])
            assert await outcome(store, Withdraw(make(2).request_key, "c1")) == Withdrawn()
            assert await outcome(store, Withdraw(make(2).request_key, "c1")) == NotOnRecord()
            assert await store.payment(make(2).payment_id) is None

    asyncio.run(main())


def test_a_change_can_be_asked_about_too_one_at_a_time(url: str) -> None:
    async def main() -> None:
        async with opened(url) as store:
            held = make(1, capture_method=MANUAL)
            await store.execute(held)
            before = do(held, Action.CAPTURE, 10, key="before")
            await store.execute(before)
            capture = do(held, Action.CAPTURE, 40, key="capture")
            assert await outcome(store, intend(capture)) == Claimed(capture, "ada", resumed=False)
            assert await outcome(store, intend(capture, "c2")) == OnRecord("c1")
            for changed in (capture._replace(amount=41), capture._replace(final=True)):
                assert isinstance(await outcome(store, intend(changed, "c2")), KeyReused)
            void = do(held, Action.VOID, key="void")
            for other in (
                void,
                intend(void, "c2"),
                Declined(void, "NO"),
                commands.expire(held.payment_id, T0),
            ):
                assert isinstance(await outcome(store, other), PaymentBusy)
            with pytest.raises(OutcomeOpen):
                await store.execute(capture)
            assert (await store.execute(before)).replayed
            receipt = await outcome(store, Resolve(capture.request_key, "c1", ""))
            assert isinstance(receipt, Receipt)
            assert (receipt.payment.captured, receipt.entry.amount) == (50, 40)
            assert await outcome(store, intend(capture)) == receipt._replace(replayed=True)
            assert await store.open_intents(2**62, 10) == []
            await store.execute(void)

    asyncio.run(main())


def test_a_change_that_the_processor_declines_moves_nothing_and_may_be_asked_again(
    url: str,
) -> None:
    async def main() -> None:
        async with opened(url) as store:
            paid = make(1)
            await store.execute(paid)
            refund = do(paid, Action.REFUND, 40, key="r")
            await store.execute_all([intend(refund)])
            for declined in (Resolve(refund.request_key, "c1", "NO"), Declined(refund, "NO")):
                refused = await outcome(store, declined)
                assert isinstance(refused, ProcessorDeclined)
                assert refused.metadata["action"] == "refund"
                assert refused.metadata["declineReason"] == "NO"
            assert await store.open_intents(2**62, 10) == []
            assert await store.refunds(paid.payment_id, 0, 10) == []
            receipt = await store.execute(refund)
            assert receipt.payment.refunded == 40
            assert (await store.execute(Declined(refund, "NO"))).replayed

    asyncio.run(main())


def test_nobody_is_asked_for_a_change_that_cannot_be(url: str) -> None:
    async def main() -> None:
        async with opened(url) as store:
            paid = make(1)
            await store.execute(paid)
            too_much = do(paid, Action.REFUND, 101, key="r")
            assert isinstance(await outcome(store, intend(too_much)), StateForbids)
            void = do(paid, Action.VOID, key="v")
            assert isinstance(await outcome(store, intend(void)), StateForbids)
            missing = do(make(2), Action.VOID, key="m")
            assert isinstance(await outcome(store, intend(missing)), PaymentNotFound)
            assert await store.open_intents(2**62, 10) == []

    asyncio.run(main())


def test_an_intent_is_taken_up_once_it_is_let_go_or_its_lease_is_over(url: str) -> None:
    async def main() -> None:
        async with opened(url) as store:
            first = make(1)
            key = first.request_key
            await store.execute_all([intend(first, "c1", T0 + 50_000)])
            assert await store.open_intents(T0 + 49_999, 10) == []
            assert await outcome(store, Resume(key, "c2", T0 + 49_999, T0)) == OnRecord("c1")
            assert await store.open_intents(T0 + 50_000, 10) == [key]
            taken = await outcome(store, Resume(key, "c2", T0 + 50_000, T0 + 90_000))
            assert taken == Claimed(first, "ada", resumed=True)
            assert await outcome(store, Withdraw(key, "c1")) == OnRecord("c2")
            assert await outcome(store, Resolve(key, "c1", "")) == OnRecord("c2")
            assert await outcome(store, Release(key, "c2", T0 + 70_000)) == OnRecord("")
            assert await store.open_intents(T0 + 69_999, 10) == []
            assert await store.open_intents(T0 + 70_000, 10) == [key]
            # Whoever asks for this payment again need not wait.
            retry = first._replace(payment_id="pay_other")
            assert await outcome(store, intend(retry, "c3")) == Claimed(first, "ada", resumed=True)

    asyncio.run(main())


def test_commands_of_one_key_take_effect_in_their_order(url: str) -> None:
    async def main() -> None:
        async with opened(url) as store:
            slow, quick = make(1, request_id="k"), make(2, request_id="k")
            outcomes = await store.execute_all([intend(slow), quick])
            assert [type(each) for each in outcomes] == [Claimed, KeyReused]
            slow, quick = make(3, request_id="l"), make(4, request_id="l")
            outcomes = await store.execute_all([quick, intend(slow)])
            assert [type(each) for each in outcomes] == [Receipt, KeyReused]

    asyncio.run(main())


def test_open_intents_come_customer_by_customer(url: str) -> None:
    async def main() -> None:
        async with opened(url) as store:
            many = [make(n) for n in range(20)]
            one = make(99, customer_id="grace")
            await store.execute_all([intend(each, lease_us=T0) for each in (*many, one)])
            keys = await store.open_intents(T0, 3)
            assert keys[:1] == [many[0].request_key] or keys[:1] == [one.request_key]
            assert one.request_key in keys
            assert len(await store.open_intents(T0, 100)) == 21

    asyncio.run(main())


def test_intents_survive_a_restart_and_their_holders_do_not(url_of_one: str) -> None:
    paid = make(5)
    refund = do(paid, Action.REFUND, 40, key="r")._replace(reason="broken", currency="EUR")

    async def main() -> None:
        async with opened(url_of_one) as store:
            await store.execute(paid)
            await store.execute_all([intend(make(1)), intend(refund)])
            assert await store.open_intents(T0, 10) == []
        async with opened(url_of_one) as store:
            key = make(1).request_key
            assert set(await store.open_intents(T0, 10)) == {key, refund.request_key}
            resume = Resume(refund.request_key, "c2", T0, T0)
            assert await outcome(store, resume) == Claimed(refund, "ada", resumed=True)
            assert await outcome(store, Resume(key, "c2", T0, T0)) == Claimed(
                make(1), "ada", resumed=True
            )

    asyncio.run(main())


def test_a_deadline_that_passed_is_not_begun(url: str) -> None:
    async def main() -> None:
        async with opened(url) as store:
            with pytest.raises(DeadlinePassed):
                await store.execute(make(1), timeout_s=0)
            late = asyncio.ensure_future(store.execute(make(2), timeout_s=1e-9))
            with pytest.raises(DeadlinePassed):
                await late
            await store.execute(make(3), timeout_s=60)
            assert await everything(store) == [make(3).payment_id]

    asyncio.run(main())


def test_more_than_the_bounds_is_refused_and_the_rest_is_carried_out(url: str) -> None:
    async def main() -> None:
        async with opened(url) as store:
            crowd = [
                asyncio.ensure_future(store.execute_all([make(i * 1000 + n) for n in range(1000)]))
                for i in range(25)
            ]
            outcomes = await asyncio.gather(*crowd, return_exceptions=True)
            refused = [each for each in outcomes if isinstance(each, PaymentError)]
            assert {type(each) for each in refused} == {Overloaded}
            assert len(refused) == 5
            assert len(await everything(store)) == 20_000

    asyncio.run(main())


def test_the_bound_counts_bytes_too(url: str) -> None:
    async def main() -> None:
        async with opened(url) as store:
            long = "x" * 255
            crowd = [
                asyncio.ensure_future(
                    store.execute_all(
                        [
                            make(
                                n,
                                order_id=f"{long[:240]}{i}-{n}",
                                request_id=f"{long[:240]}{i}-{n}",
                                payment_id=f"pay_{i}-{n}",
                                customer_id=long,
                            )
                            for n in range(1000)
                        ]
                    )
                )
                for i in range(40)
            ]
            outcomes = await asyncio.gather(*crowd, return_exceptions=True)
            assert any(isinstance(each, Overloaded) for each in outcomes)
            assert sum(isinstance(each, list) for each in outcomes) < 20

    asyncio.run(main())


def test_reads_go_on_beside_writes_and_see_what_was_answered(url: str) -> None:
    async def main() -> None:
        async with opened(url) as store:

            async def write_then_read(number: int) -> None:
                create = make(number)
                await store.execute(create)
                assert await store.payment(create.payment_id) is not None

            await asyncio.gather(*(write_then_read(n) for n in range(300)))

    asyncio.run(main())


def test_an_unknown_payment_cannot_be_changed(url: str) -> None:
    async def main() -> None:
        async with opened(url) as store:
            with pytest.raises(PaymentNotFound):
                await store.execute(do(make(1), Action.CAPTURE, key="k"))

    asyncio.run(main())


# -- two stores at once on one database


def test_a_second_store_is_refused_and_changes_nothing(url_of_one: str) -> None:
    async def main() -> None:
        async with opened(url_of_one) as store:
            paid = await store.execute(make(1))
            await store.execute_all([intend(make(2))])
            with pytest.raises(StoreError, match="is using the store"):
                async with opened(url_of_one):
                    pytest.fail("it was opened")
            theirs = Resume(make(2).request_key, "c2", T0, T0 + 10**9)
            assert await outcome(store, theirs) == OnRecord("c1")
            assert await store.execute(make(1)) == paid._replace(replayed=True)
            await store.execute(make(3))
            assert await everything(store) == [make(3).payment_id, make(1).payment_id]

    asyncio.run(main())


def test_one_key_through_two_stores_at_once_is_one_payment(url_of_several: str) -> None:
    async def main() -> None:
        async with opened(url_of_several) as one, opened(url_of_several) as two:
            numbers = range(100)

            async def pay(store: Store, name: str) -> list[Receipt]:
                creates = [make(n, payment_id=f"pay_{name}_{n}") for n in numbers]
                return await asyncio.gather(*map(store.execute, creates))

            for first, second in zip(
                *await asyncio.gather(pay(one, "1"), pay(two, "2")), strict=True
            ):
                assert first.payment == second.payment
                assert {first.replayed, second.replayed} == {False, True}
            for store in (one, two):
                assert await store.balances("merchant") == [("EUR", 100 * len(numbers))]
                assert len(await everything(store)) == len(numbers)
                changed = await outcome(store, make(7, 101))
                assert isinstance(changed, KeyReused)

    asyncio.run(main())


def test_an_intent_claimed_through_one_store_is_not_open_for_another(url_of_several: str) -> None:
    async def main() -> None:
        async with opened(url_of_several) as one:
            first = make(1)
            key = first.request_key
            taken = await outcome(one, intend(first, "c1", T0 + 50_000))
            assert taken == Claimed(first, "ada", resumed=False)
            async with opened(url_of_several) as two:  # whose start frees nobody's claim
                assert await two.open_intents(T0 + 49_999, 10) == []
                for not_theirs in (
                    intend(first, "c2"),
                    Resume(key, "c2", T0 + 49_999, T0 + 90_000),
                    Resolve(key, "c2", ""),
                    Withdraw(key, "c2"),
                ):
                    assert await outcome(two, not_theirs) == OnRecord("c1")
                assert await two.open_intents(T0 + 50_000, 10) == [key]
                resume = Resume(key, "c2", T0 + 50_000, T0 + 90_000)
                assert await outcome(two, resume) == Claimed(first, "ada", resumed=True)
                assert await outcome(one, Resolve(key, "c1", "")) == OnRecord("c2")
                receipt = await outcome(two, Resolve(key, "c2", ""))
                assert isinstance(receipt, Receipt)
                assert await outcome(one, intend(first, "c3")) == receipt._replace(replayed=True)

    asyncio.run(main())


def test_of_two_stores_that_take_up_one_intent_at_once_one_has_it(url_of_several: str) -> None:
    async def main() -> None:
        async with opened(url_of_several) as one, opened(url_of_several) as two:
            for number in range(20):
                asked = [intend(make(number), claim) for claim in ("c1", "c2")]
                outcomes = await asyncio.gather(*map(outcome, (one, two), asked))
                (claimed,) = (each for each in outcomes if isinstance(each, Claimed))
                (refused,) = (each for each in outcomes if each is not claimed)
                assert refused == OnRecord(asked[outcomes.index(claimed)].claim)

    asyncio.run(main())


def test_each_store_sees_what_the_other_committed(url_of_several: str) -> None:
    async def main() -> None:
        async with opened(url_of_several) as one, opened(url_of_several) as two:
            for writes, reads, number in ((one, two, 1), (two, one, 2), (one, two, 3)):
                receipt = await writes.execute(make(number))
                assert await reads.payment(receipt.payment.payment_id) == receipt.payment
                async with asyncio.timeout(10):
                    await reads.news(receipt.entry.seq - 1)
                    while await reads.newest_seq() < receipt.entry.seq:  # noqa: ASYNC110 - it comes from elsewhere
                        await asyncio.sleep(0.01)

    asyncio.run(main())


def test_a_watcher_of_two_stores_gets_each_event_once_and_in_order(url_of_several: str) -> None:
    async def main() -> None:
        async with opened(url_of_several) as one, opened(url_of_several) as two:
            creates = [make(n) for n in range(400)]

            async def watch(store: Store) -> list[tuple[int, str]]:
                seen: list[tuple[int, str]] = []
                after = 0
                while len(seen) < len(creates):
                    await store.news(after)
                    found, after = await store.events(after, EventFilter(), 7)
                    seen += [(each.entry.seq, each.entry.payment_id) for each in found]
                return seen

            async def pay(store: Store, mine: list[Create]) -> None:
                for start in range(0, len(mine), 10):
                    await asyncio.gather(*map(store.execute, mine[start : start + 10]))

            async with asyncio.timeout(60), asyncio.TaskGroup() as together:
                watching = [together.create_task(watch(store)) for store in (one, two)]
                together.create_task(pay(one, creates[::2]))
                together.create_task(pay(two, creates[1::2]))
            of_one, of_two = (each.result() for each in watching)
            assert of_one == of_two == sorted(set(of_one))
            assert {payment_id for _, payment_id in of_one} == {each.payment_id for each in creates}

    asyncio.run(main())
