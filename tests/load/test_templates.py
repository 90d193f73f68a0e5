"""Requests of a template."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from paycli.errors import InputError
from paycli.generated import payment_pb2
from paycli.load.templates import Template

KIND: Any = payment_pb2.PaymentRequest.DESCRIPTOR


def requests(document: object, calls: int, *, step: int = 1) -> list[payment_pb2.PaymentRequest]:
    template = Template(KIND, KIND.file.pool, [document], count(1, step))
    return [payment_pb2.PaymentRequest.FromString(template()[0]) for _ in range(calls)]


@pytest.mark.parametrize("more", ["", "-${n}"])
def test_each_uuid_is_a_fresh_one(more: str) -> None:
    document = {"order_id": "${uuid}+${uuid}" + more, "user_id": "${uuid}", "amount": 1}
    made = requests(document, 20)
    uuids = {each for one in made for each in (*one.order_id[:73].split("+"), one.user_id)}
    assert len(uuids) == 60
    assert {each.amount for each in made} == {1}


def test_numbers_count_calls() -> None:
    made = requests({"order_id": "o-${n}", "amount": "${n}"}, 3, step=2)
    assert [(each.order_id, each.amount) for each in made] == [("o-1", 1), ("o-3", 3), ("o-5", 5)]


@pytest.mark.parametrize("text", ["${env:PAYCLI_NOT_SET}", "${m}"])
def test_what_nothing_fills_is_told_of(text: str) -> None:
    with pytest.raises(InputError, match="DATA"):
        requests({"order_id": text}, 1)
