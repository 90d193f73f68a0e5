"""A page costs the same in a store that holds twice as much, whatever shape it holds it in.

Cost is counted in steps of SQLite's virtual machine: the same on every machine, at every load.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import pytest

from paycli.payments.commands import Command
from paycli.payments.payment import CaptureMethod, Kind, State
from paycli.payments.queries import Due, EntryCursor, EventFilter, Found, PaymentFilter
from paycli.payments.states import Action
from paycli.storage.sqlite import reads
from paycli.storage.stores import open_store
from tests.storage.test_conformance import T0, do, make

FEW = 600
PAGE = 20
STEPS_COUNTED = 10  # the machine tells of every tenth
EXPIRY = T0 * 2

Page = Callable[[apsw.Connection, Any], tuple[int, Any]]  # how many were found, where to go on


def spread(number: int) -> Command:
    return make(number, customer_id=f"customer-{number}")


def one_order(number: int) -> Command:
    return make(number, order_id="the", request_id=f"k{number}")


def held(number: int) -> Command:
    return make(number, capture_method=CaptureMethod.MANUAL, expires_us=EXPIRY)


def one_payment(number: int) -> Command:
    first = make(1, 10**9, order_id="the")
    return first if number == 1 else do(first, Action.REFUND, 1, key=f"r{number}", at=number)


def captured_bit_by_bit(number: int) -> Command:
    first = make(1, 10**9, order_id="the", capture_method=CaptureMethod.MANUAL)
    return first if number == 1 else do(first, Action.CAPTURE, 1, key=f"c{number}", at=number)


SHAPES = (spread, one_order, held, one_payment, captured_bit_by_bit)


def event_page(wanted: EventFilter, connection: apsw.Connection, after: Any) -> tuple[int, Any]:
    found, reached = reads.events(connection, after or 0, wanted, PAGE)
    return len(found), reached if reached < reads.last_seq(connection) else None


def list_page(wanted: PaymentFilter, connection: apsw.Connection, after: Any) -> tuple[int, Any]:
    found, cursor = reads.payments(connection, wanted, after or "", PAGE)
    return len(found), cursor or None


def journal_page(
    read: Callable[[apsw.Connection, EntryCursor, int], list[Found]],
    connection: apsw.Connection,
    after: Any,
) -> tuple[int, Any]:
    found = read(connection, after or EntryCursor(), PAGE)
    full = len(found) == PAGE
    last = found[-1].entry if full else None
    return len(found), EntryCursor(last.payment_id, last.version) if last else None


def of_ada(connection: apsw.Connection, after: EntryCursor, limit: int) -> list[Found]:
    return reads.journal_of_customer(connection, "ada", after, limit)


def of_the_payment(connection: apsw.Connection, after: EntryCursor, limit: int) -> list[Found]:
    return reads.journal_of_payment(connection, THE_PAYMENT, after.version, limit)


def due_page(connection: apsw.Connection, after: Any) -> tuple[int, Any]:
    found = reads.due(connection, EXPIRY, after or Due(), PAGE)
    return len(found), found[-1] if len(found) == PAGE else None


THE_PAYMENT = make(1).payment_id
PAGES: dict[str, Page] = {
    "events": partial(event_page, EventFilter()),
    "events of an order": partial(event_page, EventFilter(order_id="the")),
    "events of a payment": partial(event_page, EventFilter(payment_id=THE_PAYMENT)),
    "events of a customer": partial(event_page, EventFilter(customer_id="ada")),
    "events of a kind": partial(event_page, EventFilter(kinds=frozenset({Kind.VOIDED}))),
    "payments": partial(list_page, PaymentFilter()),
    "payments of an order": partial(list_page, PaymentFilter(order_id="the")),
    "payments of an order in a state": partial(
        list_page, PaymentFilter(order_id="the", state=State.DECLINED)
    ),
    "payments of a customer": partial(list_page, PaymentFilter(customer_id="ada")),
    "payments in a state": partial(list_page, PaymentFilter(state=State.AUTHORIZED)),
    "the payment of a key": partial(list_page, PaymentFilter(request_key="key\x1fk5")),
    "payments captured": partial(list_page, PaymentFilter(state=State.CAPTURED)),
    "payments declined": partial(list_page, PaymentFilter(state=State.DECLINED)),
    "payments of a day": partial(list_page, PaymentFilter(created_from_us=T0)),
    "postings": partial(journal_page, reads.journal),
    "postings of a customer": partial(journal_page, of_ada),
    "postings of a payment": partial(journal_page, of_the_payment),
    "authorizations that ran out": due_page,
}


@pytest.fixture(scope="module", params=SHAPES, ids=lambda shape: shape.__name__)
def grown(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[apsw.Connection, apsw.Connection]]:
    """Two stores of one shape; the second holds twice as much."""
    folder = tmp_path_factory.mktemp("grown")
    with contextlib.ExitStack() as stack:
        opened = []
        for count in (FEW, 2 * FEW):
            path = folder / f"{count}.db"
            asyncio.run(fill(path, [request.param(number) for number in range(1, count + 1)]))
            connection = apsw.Connection(str(path), apsw.SQLITE_OPEN_READONLY)
            opened.append(stack.enter_context(contextlib.closing(connection)))
        yield opened[0], opened[1]


async def fill(path: Path, commands: list[Command]) -> None:
    async with open_store(f"sqlite:///{path}", lambda _: None) as store:
        for start in range(0, len(commands), 1000):
            await store.execute_all(commands[start : start + 1000])


@pytest.fixture
def few_rows_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bounds of a page, small enough to be met by small stores."""
    monkeypatch.setattr(reads, "_LOOKED_AT_MAX", 200)
    monkeypatch.setattr(reads, "_WATCHED_MAX", 50)


@pytest.mark.usefixtures("few_rows_a_page")
@pytest.mark.parametrize("page", PAGES)
def test_no_page_costs_more_when_more_is_stored(
    page: str, grown: tuple[apsw.Connection, apsw.Connection]
) -> None:
    (few, few_dearest), (many, many_dearest) = (walk(PAGES[page], each) for each in grown)
    assert many_dearest <= 1.5 * few_dearest
    assert many in (few, 2 * few) or abs(many - 2 * few) <= PAGE  # the walk itself is whole


def walk(page: Page, connection: apsw.Connection) -> tuple[int, int]:
    """How much all pages found, and the steps of the dearest."""
    steps = found = dearest = 0

    def step() -> bool:
        nonlocal steps
        steps += STEPS_COUNTED
        return False

    connection.set_progress_handler(step, STEPS_COUNTED)
    after: Any = None
    while True:
        steps = 0
        count, after = page(connection, after)
        found += count
        dearest = max(dearest, steps)
        if after is None:
            return found, dearest
