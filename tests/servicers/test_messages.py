"""Messages are made of whatever a store holds: one bad row does not break those beside it."""

from __future__ import annotations

import contextlib
import sqlite3

from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from paycli.payments import commands, decide
from paycli.servicers.messages import payment_message
from tests.conftest import Server
from tests.wire import client_of, refused


def test_a_payment_in_an_unknown_currency_has_no_amount_and_breaks_nothing() -> None:
    create = commands.create(
        payment_id="pay_1",
        order_id="o",
        customer_id="ada",
        currency="EUR",
        amount=100,
        now_us=1,
    )
    payment, _ = decide.create(create, "", 1)
    message = payment_message(payment._replace(currency="ZZZ"))
    assert (message.amount.currency_code, message.amount.units) == ("ZZZ", 0)
    assert message.name == "payments/pay_1"


def test_one_damaged_row_takes_no_page_with_it(server: Server) -> None:
    with client_of(server.target) as client:
        paid = [client.create("5.00", order_id=f"o{n}") for n in range(3)]
        with contextlib.closing(sqlite3.connect(server.store, timeout=20)) as other:
            other.execute("UPDATE payment SET currency = 'ZZZ' WHERE order_id = 'o1'")
            other.commit()
        found = client.call("ListPayments", {}).payments
        assert [each.order_id for each in found] == ["o2", "o1", "o0"]
        assert [each.amount.currency_code for each in found] == ["EUR", "ZZZ", "EUR"]
        assert client.get(paid[1].name).amount.units == 0  # nobody knows how much it is
        assert client.call("ListPostings", {"account": "merchant"}).postings
        stream = client.payments.WatchEvents(pb.WatchEventsRequest(), timeout=30)
        assert [next(stream).sequence for _ in range(3)] == [1, 2, 3]
        stream.cancel()
        with refused("STATE_FORBIDS"):
            client.capture(paid[1].name)
        with refused("CURRENCY_MISMATCH"):
            client.refund(paid[1].name, "6.00")
        assert client.refund(paid[2].name).amount.units == 5
