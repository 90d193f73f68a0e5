"""Money: whole minor units and an ISO 4217 code. The only module that meets a double.

Amounts come in three spellings, and each is taken exactly or refused:

* the seed contract's `double`, in major units,
* the decimal text that people type (`99.99`),
* `google.type.Money`, units and nanos.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

from paycli.errors import InvalidPayment
from paycli.payments.currencies import EXPONENTS

# Above this, neighbouring decimals share one double, so an amount could silently change.
MINOR_UNITS_MAX = 10**15 - 1
_SCALES: dict[str, int] = {code: 10**exponent for code, exponent in EXPONENTS.items()}
_DECIMAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_TEXT_MAX = 64
_NANOS_PER_UNIT = 10**9
_SHOWN_MAX = 20  # of a text that is no currency


def _near(code: str) -> list[str]:
    """What a code looks like with one letter wrong (`EU?`), and with one too many; last ones first."""
    each_without = [(code[:n], code[n + 1 :]) for n in reversed(range(len(code)))]
    return [f"{a}?{b}" for a, b in each_without] + [a + b for a, b in each_without]


_NEAREST = {spelling: code for code in reversed(EXPONENTS) for spelling in (*_near(code)[:3], code)}


def exponent_of(currency: str) -> int:
    """Digits of the currency's minor unit: 2 for EUR, 0 for JPY. Raises InvalidPayment."""
    try:
        return EXPONENTS[currency]
    except KeyError:
        raise _unknown_currency(currency) from None


def minor_from_double(amount: float, currency: str) -> int:
    """Minor units of a double that is the one nearest to a whole number of them.

    IEEE division rounds correctly, so `minor / scale == amount` says exactly that.
    """
    scale = _SCALES.get(currency)
    if scale is None:
        raise _unknown_currency(currency)
    if not math.isfinite(amount):
        raise _not_finite(amount)
    if amount <= 0:
        raise _not_positive(f"{amount:g}")
    if amount * scale > MINOR_UNITS_MAX:
        raise _too_large(f"{amount:g}", currency)
    minor = round(amount * scale)
    if minor / scale != amount:
        raise _not_representable(repr(amount), currency, minor)
    return minor


def minor_from_decimal(text: str, currency: str) -> int:
    """Minor units of a decimal number as people type it; no digit is rounded away."""
    exponent = exponent_of(currency)
    written = text.strip()
    if written.lower().lstrip("+-") in ("nan", "inf", "infinity"):
        raise _not_finite(written)
    if not _DECIMAL.fullmatch(written):
        raise _not_a_number(written)
    if len(written) > _TEXT_MAX:
        raise _too_long(written)
    whole, _, fraction = written.partition(".")
    digits = fraction.rstrip("0")
    if len(digits) <= exponent:
        minor = int(whole + digits.ljust(exponent, "0"))
        if 0 < minor <= MINOR_UNITS_MAX:
            return minor
    exact = Decimal(f"{whole}.{fraction or 0}")
    if exact <= 0:
        raise _not_positive(written)
    if exact * 10**exponent > MINOR_UNITS_MAX:
        raise _too_large(written, currency)
    nearest = int((exact * 10**exponent).to_integral_value())
    raise _not_representable(written, currency, nearest)


def minor_from_units_nanos(units: int, nanos: int, currency: str) -> int:
    """Minor units of a `google.type.Money`."""
    scale = _SCALES.get(currency)
    if scale is None:
        raise _unknown_currency(currency, "amount.currency_code")
    minor, rest = divmod(units * _NANOS_PER_UNIT + nanos, _NANOS_PER_UNIT // scale)
    if 0 <= nanos < _NANOS_PER_UNIT and 0 < minor <= MINOR_UNITS_MAX and not rest:
        return minor
    if not -_NANOS_PER_UNIT < nanos < _NANOS_PER_UNIT or units * nanos < 0:
        raise InvalidPayment(
            "amount",
            "amount.nanos must lie within ±999999999 and carry the sign of amount.units.",
        )
    total = Decimal(units) + Decimal(nanos).scaleb(-9)
    return minor_from_decimal(f"{total:f}", currency)


def units_nanos_from_minor(minor: int, currency: str) -> tuple[int, int]:
    """The `google.type.Money` spelling (units, nanos) of an amount >= 0."""
    scale = _SCALES[currency]
    units, rest = divmod(minor, scale)
    return units, rest * (_NANOS_PER_UNIT // scale)


def double_from_minor(minor: int, currency: str) -> float:
    """The double nearest to the amount in major units, as the seed contract carries it."""
    return minor / _SCALES[currency]


def decimal_from_minor(minor: int, currency: str) -> str:
    """The amount in major units with all its digits: `99.90`.

    Of a currency that nobody knows, which only a damaged store has, in whole minor units.
    """
    exponent = EXPONENTS.get(currency, 0)
    return f"{Decimal(minor).scaleb(-exponent):.{exponent}f}"


def decimal_from_units_nanos(units: int, nanos: int, currency: str) -> str:
    """A `google.type.Money`, of either sign, in major units with all digits of the currency.

    Whatever a service sends is shown in full: more digits than that, also of unknown currencies.
    """
    total = Decimal(units * _NANOS_PER_UNIT + nanos).scaleb(-9)
    whole, _, fraction = f"{total:.9f}".partition(".")
    digits = fraction.rstrip("0").ljust(EXPONENTS.get(currency, 0), "0")
    return f"{whole}.{digits}" if digits else whole


def _unknown_currency(currency: str, field: str = "currency") -> InvalidPayment:
    shown = currency[:_SHOWN_MAX]
    if not currency:
        message = "currency is missing; give an ISO 4217 code such as EUR."
    elif shown.upper() in EXPONENTS:
        message = f"'{shown}' is not a currency code; write {shown.upper()} in upper case."
    else:
        # Looked up, not compared with each: a batch may be wrong a thousand times.
        close = [_NEAREST[near] for near in _near(shown.upper()) if near in _NEAREST]
        instead = f"did you mean {close[0]}?" if close else "give one such as EUR, USD or JPY."
        message = f"'{shown}' is not an ISO 4217 currency that can be paid in; {instead}"
    return InvalidPayment(field, message, reason="CURRENCY_UNKNOWN", currency=shown)


def _not_a_number(written: str) -> InvalidPayment:
    hint = "99.99"
    if re.fullmatch(r"[0-9]+,[0-9]+", written):
        hint = written.replace(",", ".")
    return InvalidPayment(
        "amount",
        f"'{written[:40]}' is not an amount; write digits with a point, such as {hint}.",
        reason="AMOUNT_NOT_A_NUMBER",
    )


def _too_long(written: str) -> InvalidPayment:
    return InvalidPayment(
        "amount",
        f"amount {written[:40]}... has {len(written)} characters; the most is {_TEXT_MAX}.",
        reason="AMOUNT_NOT_A_NUMBER",
    )


def _not_finite(amount: object) -> InvalidPayment:
    return InvalidPayment(
        "amount", f"amount {amount} is not a finite number.", reason="AMOUNT_NOT_FINITE"
    )


def _not_positive(written: str) -> InvalidPayment:
    return InvalidPayment(
        "amount",
        f"amount {written[:40]} is not positive; a payment moves more than 0.",
        reason="AMOUNT_NOT_POSITIVE",
    )


def _too_large(written: str, currency: str) -> InvalidPayment:
    limit = decimal_from_minor(MINOR_UNITS_MAX, currency)
    return InvalidPayment(
        "amount",
        f"amount {written[:40]} is too large; the most is {limit} {currency}.",
        reason="AMOUNT_TOO_LARGE",
        maximumMinor=MINOR_UNITS_MAX,
    )


def _not_representable(written: str, currency: str, nearest: int) -> InvalidPayment:
    exponent = EXPONENTS[currency]
    digits = f"{exponent} decimal{'' if exponent == 1 else 's'}" if exponent else "no decimals"
    nearest = max(nearest, 1)
    return InvalidPayment(
        "amount",
        f"amount {written[:40]} is no exact amount of {currency}, which has {digits}; "
        f"the nearest is {decimal_from_minor(nearest, currency)}.",
        reason="AMOUNT_NOT_REPRESENTABLE",
        exponent=exponent,
        nearestMinor=nearest,
    )
