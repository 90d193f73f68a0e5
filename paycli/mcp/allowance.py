"""How much an agent may move by itself; above that, a person has to agree."""

from __future__ import annotations

from collections.abc import Iterable

from paycli.errors import InputError
from paycli.payments.money import minor_from_decimal


class Allowance:
    """Amounts up to which each payment and each refund needs nobody's word, one for a currency."""

    def __init__(self, limits: Iterable[str] = ()) -> None:
        """`limits` as they are typed, EUR=100.00. Raises InputError, InvalidPayment."""
        self._limits: dict[str, int] = {}
        for each in limits:
            currency, equals, amount = each.partition("=")
            if not equals:
                raise InputError(
                    f"'{each}' is no limit; write CURRENCY=AMOUNT, such as EUR=100.00."
                )
            if currency in self._limits:
                raise InputError(f"{currency} has two limits; give it one.")
            self._limits[currency] = minor_from_decimal(amount, currency)

    def covers(self, amount: int, currency: str) -> bool:
        """Whether so many minor units need nobody's word; never without a limit for the currency."""
        return amount <= self._limits.get(currency, 0)
