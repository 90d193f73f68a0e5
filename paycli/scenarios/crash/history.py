"""What a server was asked and what it answered, and whether all of that can be true at once. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from paycli.client.charges import Charge


class Check(StrEnum):
    """What a server must have kept."""

    ANSWERS = "every payment gets an answer in the end"
    KEPT = "no payment that was acknowledged is lost"
    ONE = "no payment is doubled"
    SAME = "no answer changes"
    READS = "reads never go back"
    LIST = "the list has each payment once"
    BOOKS = "balance and postings are what was paid"


class Broken(NamedTuple):
    """A check that failed, and by which payment; "" where it is none of its own."""

    check: Check
    key: str
    said: str


class Answer(NamedTuple):
    """What a service said became of a payment."""

    payment_id: str
    status: str


@dataclass(slots=True)
class History:
    """Payments by their key, and the first answer that each got: the one for ever."""

    sent: dict[str, Charge] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    """By key: the highest version that was read of the payment."""
    broken: list[Broken] = field(default_factory=list)

    def heard(self, key: str, answer: Answer) -> None:
        """An answer to a payment that was sent, for the first time or again."""
        first = self.answers.setdefault(key, answer)
        if answer.payment_id != first.payment_id:
            said = f"was {first.payment_id}, and is {answer.payment_id} when it is sent again"
            self._break(Check.ONE, key, said)
        elif answer.status != first.status:
            said = f"was {first.status}, and is {answer.status} when it is sent again"
            self._break(Check.SAME, key, said)

    def unanswered(self, key: str, why: str) -> None:
        """A payment that was sent again and again, and got no answer."""
        check = Check.KEPT if key in self.answers else Check.ANSWERS
        self._break(check, key, f"gets no answer any more: {why}")

    def read(self, key: str, record: Mapping[str, Any] | None) -> None:
        """A payment as it was read, or that it was not found, after it had been acknowledged."""
        if record is None:
            self._break(Check.READS, key, f"{self.answers[key].payment_id} is not found any more")
            return
        version = int(record["version"])
        if version < self.versions.get(key, 0):
            said = f"was read in version {self.versions[key]}, and then in {version}"
            self._break(Check.READS, key, said)
        self.versions[key] = max(version, self.versions.get(key, 0))
        charge = self.sent[key]
        asked = (Decimal(charge.decimal_amount), charge.currency)
        there = (Decimal(record["amount"]), record["currency"])
        if there != asked:
            said = f"{asked[0]} {asked[1]} was asked for, and {there[0]} {there[1]} is on record"
            self._break(Check.SAME, key, said)

    def listed(self, keys: Iterable[str], records: Sequence[Mapping[str, Any]]) -> None:
        """All payments on record of those who sent these, once none is under way."""
        known = [key for key in keys if key in self.answers]
        ids = Counter(str(each["payment_id"]) for each in records)
        orders = Counter(str(each["order_id"]) for each in records)
        for key in known:
            payment_id = self.answers[key].payment_id
            if ids[payment_id] != 1:
                said = f"{payment_id} stands {ids[payment_id]} times in the list"
                self._break(Check.LIST, key, said)
            order = self.sent[key].order_id
            if orders[order] > 1:
                self._break(Check.ONE, key, f"order {order} is on record {orders[order]} times")
        for order in sorted(orders.keys() - {self.sent[key].order_id for key in known}):
            self._break(Check.LIST, "", f"order {order} is on record, and nobody sent it")

    def booked(
        self,
        records: Iterable[Mapping[str, Any]],
        balance: Iterable[Mapping[str, Any]],
        postings: Iterable[Mapping[str, Any]],
    ) -> None:
        """What was captured of the customer, against the account's balance and its postings."""
        paid = _sums((each["currency"], each["captured_amount"]) for each in records)
        held = _sums((each["currency"], each["amount"]) for each in balance)
        posted = _sums((each["currency"], each["amount"]) for each in postings)
        for currency in sorted({*paid, *held, *posted}):
            if not -paid[currency] == held[currency] == posted[currency]:
                said = (
                    f"{paid[currency]} {currency} was captured, the customer's balance is "
                    f"{held[currency]}, and the postings are {posted[currency]}"
                )
                self._break(Check.BOOKS, "", said)

    def _break(self, check: Check, key: str, said: str) -> None:
        self.broken.append(Broken(check, key, said))


def _sums(amounts: Iterable[tuple[str, str]]) -> dict[str, Decimal]:
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for currency, amount in amounts:
        sums[currency] += Decimal(amount)
    return sums
