"""Messages are made of whatever a store holds: one bad row does not break those beside it."""

from __future__ import annotations

from paycli.payments import commands, decide
from paycli.servicers.messages import payment_message


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
