"""Flights at a processor whose answers the test gives: nobody acts on what was true a moment ago."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path

import pytest

from paycli.engine import engine as engine_module
from paycli.engine import upkeep as upkeep_module
from paycli.engine.engine import Engine, now_us
from paycli.engine.places import Places
from paycli.engine.upkeep import upkeep
from paycli.errors import (
    KeyReused,
    OutcomeOpen,
    Overloaded,
    PaymentBusy,
    PaymentError,
    ProcessorDeclined,
    ProcessorUnavailable,
)
from paycli.payments import commands
from paycli.payments.batch import Receipt
from paycli.payments.commands import Change, Create, Intend, Operation
from paycli.payments.payment import CaptureMethod, Payment
from paycli.payments.processor import Answer
from paycli.payments.queries import PaymentFilter
from paycli.payments.states import Action
from paycli.payments.store import Store
from paycli.storage.stores import open_store

DOWN = ProcessorUnavailable("The processor is down; nothing was paid.")


class Processor:
    """Asks the test: each question waits for `answer`."""

    def __init__(self) -> None:
        self.questions: list[tuple[Operation, asyncio.Future[Answer]]] = []

    def instant(self, operation: Operation, customer_id: str) -> Answer | None:
        return None if customer_id.startswith("slow") else Answer()

    async def ask(self, operation: Operation, customer_id: str) -> Answer:
        asked: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.questions.append((operation, asked))
        return await asked

    async def asked(self, number: int) -> asyncio.Future[Answer]:
        """Question `number`, from 1, once it has come."""
        async with asyncio.timeout(10):
            while len(self.questions) < number:  # noqa: ASYNC110 - it comes from elsewhere
                await asyncio.sleep(0.005)
        return self.questions[number - 1][1]


def opened(path: Path) -> AbstractAsyncContextManager[Store]:
    return open_store(f"sqlite:///{path}", lambda _: None)


async def paced() -> AsyncIterator[None]:
    while True:
        await asyncio.sleep(0.01)
        yield


def engine_of(store: Store, processor: Processor, timeout_s: float = 10) -> Engine:
    return Engine(store, processor, authorization_ttl_s=60, processor_timeout_s=timeout_s)


def creation(key: str, customer: str = "slow", amount: int = 100) -> Create:
    return commands.create(
        order_id="", customer_id=customer, currency="EUR", amount=amount, request_id=key
    )


async def stored(store: Store) -> list[Payment]:
    """All payments."""
    found, _ = await store.payments(PaymentFilter(), "", 1000)
    return found


async def outcome(engine: Engine, create: Create) -> Receipt | PaymentError:
    (found,) = await engine.create_all([create], None)
    return found


def test_a_store_that_refuses_after_the_caller_gave_up_is_no_fault(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with opened(tmp_path / "s.db") as store:
            engine = engine_of(store, Processor())
            paying = asyncio.ensure_future(engine.create_all([creation("k")], timeout_s=1e-9))
            await asyncio.sleep(0)
            paying.cancel()
            await asyncio.wait((paying,))
        await asyncio.sleep(0.05)
        gc.collect()  # asyncio tells of what nobody heard when it goes

    asyncio.run(main())
    assert caplog.messages == []


def test_upkeep_tells_once_that_it_is_put_off_and_again_the_next_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep_module, "_EVERY_S", 0.01)

    async def main() -> None:
        with closing(sqlite3.connect(tmp_path / "s.db")) as others:
            async with (
                opened(tmp_path / "s.db") as store,
                upkeep(store, engine_of(store, Processor())),
            ):
                for _ in range(2):
                    others.execute("ALTER TABLE intent RENAME TO away")
                    await asyncio.sleep(0.2)
                    others.execute("ALTER TABLE away RENAME TO intent")
                    await asyncio.sleep(0.2)

    asyncio.run(main())
    assert [each.startswith("upkeep was put off") for each in caplog.messages] == [True, True]


def test_what_the_processor_did_not_do_is_not_done_later_either(tmp_path: Path) -> None:
    """Settling with a key that was read before its intent was withdrawn."""

    async def main() -> None:
        processor = Processor()
        async with opened(tmp_path / "s.db") as store:
            engine = engine_of(store, processor)
            create = creation("k")
            paying = asyncio.ensure_future(outcome(engine, create))
            (await processor.asked(1)).set_exception(DOWN)
            assert isinstance(await paying, ProcessorUnavailable)
            await engine.settle(create.request_key)
            assert len(processor.questions) == 1
            assert await stored(store) == []
            assert await store.open_intents(2**62, 10) == []
            await engine.close()

    asyncio.run(main())


def test_of_two_engines_only_the_holder_asks_and_withdraws(tmp_path: Path) -> None:
    async def main() -> None:
        first, second = Processor(), Processor()
        async with opened(tmp_path / "s.db") as store:
            one, two = engine_of(store, first), engine_of(store, second)
            create = creation("k")
            paying = asyncio.ensure_future(outcome(one, create))
            answer = await first.asked(1)
            assert await store.open_intents(now_us(), 10) == []
            await two.settle(create.request_key)
            with pytest.raises(OutcomeOpen, match="Another server"):
                await two.create(creation("k"), None)
            assert isinstance(await outcome(two, creation("k", amount=5)), KeyReused)
            assert second.questions == []
            answer.set_result(Answer())
            paid = await paying
            assert isinstance(paid, Receipt)
            again = await two.create(creation("k"), None)
            assert again == paid._replace(replayed=True)
            for engine in (one, two):
                await engine.close()

    asyncio.run(main())


def test_a_changed_retry_hears_so_while_the_first_is_with_the_processor(tmp_path: Path) -> None:
    async def main() -> None:
        processor = Processor()
        async with opened(tmp_path / "s.db") as store:
            engine = engine_of(store, processor)
            paying = asyncio.ensure_future(outcome(engine, creation("k")))
            answer = await processor.asked(1)
            changed = await asyncio.wait_for(outcome(engine, creation("k", amount=5)), 5)
            assert isinstance(changed, KeyReused)
            same = asyncio.ensure_future(outcome(engine, creation("k")))
            await asyncio.sleep(0.05)
            answer.set_result(Answer())
            paid = await paying
            assert isinstance(paid, Receipt)
            assert await same == paid._replace(replayed=True)
            assert len(processor.questions) == 1
            await engine.close()

    asyncio.run(main())


def test_the_items_of_a_batch_count_in_their_order(tmp_path: Path) -> None:
    async def main() -> None:
        processor = Processor()
        async with opened(tmp_path / "s.db") as store:
            engine = engine_of(store, processor)
            slow, quick = creation("k"), creation("k", "ada")
            batch = asyncio.ensure_future(engine.create_all([slow, quick], None))
            (await processor.asked(1)).set_result(Answer())
            first, second = await batch
            assert isinstance(first, Receipt)
            assert isinstance(second, KeyReused)
            assert first.payment.customer_id == "slow"
            await engine.close()

    asyncio.run(main())


def test_what_may_have_been_done_is_never_withdrawn(tmp_path: Path) -> None:
    """A lost answer, then a processor that is down: the first question may have paid."""

    async def main() -> None:
        processor = Processor()
        async with opened(tmp_path / "s.db") as store:
            engine = engine_of(store, processor)
            create = creation("k")
            paying = asyncio.ensure_future(outcome(engine, create))
            (await processor.asked(1)).set_exception(OutcomeOpen("The answer was lost."))
            assert isinstance(await paying, OutcomeOpen)
            again = asyncio.ensure_future(outcome(engine, creation("k")))
            (await processor.asked(2)).set_exception(DOWN)
            open_still = await again
            assert isinstance(open_still, OutcomeOpen)
            assert "asked about this payment before" in str(open_still)
            assert await store.open_intents(2**62, 10) == [create.request_key]
            settling = asyncio.ensure_future(engine.settle(create.request_key))
            assert not settling.done()
            await engine.close()

    asyncio.run(main())


def test_a_flight_ends_on_record_though_its_caller_has_gone(tmp_path: Path) -> None:
    async def main() -> None:
        processor = Processor()
        async with opened(tmp_path / "s.db") as store:
            engine = engine_of(store, processor)
            create = creation("k")
            paying = asyncio.ensure_future(outcome(engine, create))
            answer = await processor.asked(1)
            paying.cancel()
            await asyncio.gather(paying, return_exceptions=True)
            answer.set_result(Answer())
            again = await asyncio.wait_for(outcome(engine, creation("k")), 5)
            assert isinstance(again, Receipt)
            assert len(processor.questions) == 1
            await engine.close()

    asyncio.run(main())


def test_one_customer_cannot_take_all_places() -> None:
    places = Places(10)
    for number in range(5):
        places.take(f"c{number}", "hangs")
    with pytest.raises(Overloaded):
        places.take("c5", "hangs")
    places.take("g1", "grace")
    places.leave("c0")
    places.take("g2", "grace")
    places.leave("g1")
    places.leave("g2")
    places.take("c5", "hangs")


def test_a_capture_flies_and_no_other_change_passes_it(tmp_path: Path) -> None:
    async def main() -> None:
        processor = Processor()
        async with opened(tmp_path / "s.db") as store:
            engine = engine_of(store, processor)
            held = creation("k")._replace(capture_method=CaptureMethod.MANUAL)
            paying = asyncio.ensure_future(outcome(engine, held))
            (await processor.asked(1)).set_result(Answer())
            authorized = await paying
            assert isinstance(authorized, Receipt)
            payment_id = authorized.payment.payment_id
            capture = Change("capture", payment_id, Action.CAPTURE, 0, 60)
            capturing = asyncio.ensure_future(engine.change(capture, None))
            await processor.asked(2)
            stamped, _ = processor.questions[1]
            assert stamped == capture._replace(now_us=stamped.now_us)
            assert authorized.payment.created_us < stamped.now_us <= now_us()
            void = Change("void", payment_id, Action.VOID, 0)
            with pytest.raises(PaymentBusy):
                await engine.change(void, None)
            capturing.cancel()
            await engine.close()  # as a server that ends
        async with opened(tmp_path / "s.db") as store:
            engine = engine_of(store, processor)
            settling = asyncio.ensure_future(engine.settle("capture"))
            assert (await processor.asked(3)) is processor.questions[2][1]
            assert processor.questions[2][0] == stamped
            processor.questions[2][1].set_result(Answer())
            await settling
            again = await engine.change(capture, None)
            assert (again.replayed, again.payment.captured) == (True, 60)
            voiding = asyncio.ensure_future(engine.change(void, None))
            (await processor.asked(4)).set_result(Answer("NO"))
            with pytest.raises(ProcessorDeclined):
                await voiding
            assert await store.open_intents(2**62, 10) == []
            await engine.close()

    asyncio.run(main())


def test_a_place_is_free_again_however_the_question_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "FLIGHTS_MAX", 1)

    async def main() -> None:
        processor = Processor()
        async with opened(tmp_path / "s.db") as store:
            engine = engine_of(store, processor)
            paying = asyncio.ensure_future(outcome(engine, creation("k")))
            answer = await processor.asked(1)
            assert isinstance(await outcome(engine, creation("other")), Overloaded)
            answer.set_result(Answer())
            assert isinstance(await paying, Receipt)
            assert isinstance(await outcome(engine, creation("k", amount=5)), KeyReused)
            replayed = await outcome(engine, creation("k"))
            assert isinstance(replayed, Receipt)
            assert replayed.replayed
            down = asyncio.ensure_future(outcome(engine, creation("down")))
            (await processor.asked(2)).set_exception(DOWN)
            assert isinstance(await down, ProcessorUnavailable)
            last = asyncio.ensure_future(outcome(engine, creation("last")))
            (await processor.asked(3)).set_result(Answer())
            assert isinstance(await last, Receipt)
            await engine.close()

    asyncio.run(main())


def test_many_open_payments_are_settled_though_some_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep_module, "_SETTLED_AT_ONCE_MAX", 20)

    async def main() -> None:
        async with opened(tmp_path / "s.db") as store:
            processor = Processor()
            engine = engine_of(store, processor)
            creates = [creation(f"hang-{n}", "slow hang") for n in range(15)]
            creates += [creation(f"k{n}", f"slow {n}") for n in range(60)]
            for create in creates:
                asking = asyncio.ensure_future(outcome(engine, create))
                await processor.asked(len(processor.questions) + 1)
                asking.cancel()
            await engine.close()  # as a server that ends
        async with opened(tmp_path / "s.db") as store:
            processor = Processor()
            engine = engine_of(store, processor)
            async with upkeep(store, engine), asyncio.timeout(20):
                settled = 0
                while settled < 60:
                    for asked, answer in processor.questions:
                        hangs = isinstance(asked, Create) and asked.customer_id == "slow hang"
                        if not hangs and not answer.done():
                            answer.set_result(Answer())
                            settled += 1
                    await asyncio.sleep(0.005)
            await engine.close()
        async with opened(tmp_path / "s.db") as store:
            assert len(await store.open_intents(2**62, 100)) == 15

    asyncio.run(main())


def test_an_expiry_that_is_refused_has_its_next_turn_later(tmp_path: Path) -> None:
    async def main() -> None:
        processor = Processor()
        async with opened(tmp_path / "s.db") as store:
            engine = Engine(store, processor, authorization_ttl_s=0.001, processor_timeout_s=10)
            held = creation("k", "ada")._replace(capture_method=CaptureMethod.MANUAL)
            payment_id = (await engine.create(held, None)).payment.payment_id
            busy = Change("c", payment_id, Action.CAPTURE, 1, 60)
            await store.execute_all([Intend(busy, "somebody", 2**62)])
            await asyncio.sleep(0.01)
            async with asyncio.timeout(10):
                await upkeep_module._expire(store)
            found = await store.payment(payment_id)
            assert found is not None
            assert not found.expired
            await engine.close()

    asyncio.run(main())


def test_upkeep_goes_on_after_an_overload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep_module, "_EVERY_S", 0.01)

    async def main() -> None:
        async with opened(tmp_path / "s.db") as store:
            engine = Engine(store, Processor(), authorization_ttl_s=0.001, processor_timeout_s=10)
            held = creation("k", "ada")._replace(capture_method=CaptureMethod.MANUAL)
            payment_id = (await engine.create(held, None)).payment.payment_id
            with pytest.MonkeyPatch.context() as full:
                full.setattr("paycli.storage.group_commit.WAITING_MAX", 0)
                async with upkeep(store, engine), asyncio.timeout(10):
                    await asyncio.sleep(0.2)
                    full.undo()
                    async for _ in paced():
                        found = await store.payment(payment_id)
                        if found is not None and found.expired:
                            break

    asyncio.run(main())
