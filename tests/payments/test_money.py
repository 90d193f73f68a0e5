"""Money is taken exactly or refused."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paycli.errors import InvalidPayment
from paycli.payments import money
from paycli.payments.currencies import EXPONENTS

currencies = st.sampled_from(sorted(EXPONENTS))
minors = st.integers(1, money.MINOR_UNITS_MAX)


@given(minors, currencies)
def test_every_amount_round_trips_through_every_spelling(minor: int, currency: str) -> None:
    double = money.double_from_minor(minor, currency)
    assert money.minor_from_double(double, currency) == minor
    assert money.minor_from_decimal(money.decimal_from_minor(minor, currency), currency) == minor
    units, nanos = money.units_nanos_from_minor(minor, currency)
    assert money.minor_from_units_nanos(units, nanos, currency) == minor


@given(minors, currencies)
def test_the_neighbouring_doubles_of_an_amount_are_refused(minor: int, currency: str) -> None:
    exact = money.double_from_minor(minor, currency)
    for direction in (0.0, math.inf):
        near = math.nextafter(exact, direction)
        with pytest.raises(InvalidPayment):
            money.minor_from_double(near, currency)


@given(st.floats(), currencies)
def test_any_double_is_an_amount_or_refused(value: float, currency: str) -> None:
    try:
        minor = money.minor_from_double(value, currency)
    except InvalidPayment:
        return
    assert 0 < minor <= money.MINOR_UNITS_MAX
    assert money.double_from_minor(minor, currency) == value


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6), currencies)
def test_a_decimal_is_taken_iff_it_is_a_whole_number_of_minor_units(
    value: Decimal, currency: str
) -> None:
    scaled = value * 10 ** EXPONENTS[currency]
    representable = scaled == scaled.to_integral_value() and 0 < scaled <= money.MINOR_UNITS_MAX
    try:
        minor = money.minor_from_decimal(f"{value:f}", currency)
    except InvalidPayment:
        assert not representable
    else:
        assert representable
        assert minor == scaled


@given(st.text(max_size=80))
def test_any_text_is_an_amount_or_refused(text: str) -> None:
    try:
        minor = money.minor_from_decimal(text, "EUR")
    except InvalidPayment:
        return
    assert money.minor_from_decimal(money.decimal_from_minor(minor, "EUR"), "EUR") == minor


@given(st.integers(), st.integers(), currencies)
def test_any_units_and_nanos_are_an_amount_or_refused(
    units: int, nanos: int, currency: str
) -> None:
    try:
        minor = money.minor_from_units_nanos(units, nanos, currency)
    except InvalidPayment:
        return
    assert money.units_nanos_from_minor(minor, currency) == (units, nanos)


@pytest.mark.parametrize(
    ("amount", "currency", "reason", "said"),
    [
        ("nan", "EUR", "AMOUNT_NOT_FINITE", "finite"),
        ("-inf", "EUR", "AMOUNT_NOT_FINITE", "finite"),
        ("-1", "EUR", "AMOUNT_NOT_POSITIVE", "not positive"),
        ("0", "EUR", "AMOUNT_NOT_POSITIVE", "not positive"),
        ("0.001", "EUR", "AMOUNT_NOT_REPRESENTABLE", "nearest is 0.01"),
        ("1.005", "USD", "AMOUNT_NOT_REPRESENTABLE", "nearest is 1.00"),
        ("1.5", "JPY", "AMOUNT_NOT_REPRESENTABLE", "no decimals"),
        ("1e300", "EUR", "AMOUNT_NOT_A_NUMBER", "digits"),
        ("1" * 30, "EUR", "AMOUNT_TOO_LARGE", "9999999999999.99"),
        ("12,50", "EUR", "AMOUNT_NOT_A_NUMBER", "12.50"),
        ("٣", "EUR", "AMOUNT_NOT_A_NUMBER", "digits"),
        ("", "EUR", "AMOUNT_NOT_A_NUMBER", "digits"),
        ("5", "eur", "CURRENCY_UNKNOWN", "EUR"),
        ("5", "XXX", "CURRENCY_UNKNOWN", "XXX"),
        ("5", "EUE", "CURRENCY_UNKNOWN", "did you mean EUR"),
        ("5", "", "CURRENCY_UNKNOWN", "missing"),
    ],
)
def test_a_refusal_says_what_and_what_instead(
    amount: str, currency: str, reason: str, said: str
) -> None:
    with pytest.raises(InvalidPayment) as refusal:
        money.minor_from_decimal(amount, currency)
    assert refusal.value.reason == reason
    assert said in str(refusal.value)


def test_the_currency_table_has_the_exceptional_exponents() -> None:
    assert {EXPONENTS[code] for code in ("JPY", "KRW", "CLP", "UGX")} == {0}
    assert {EXPONENTS[code] for code in ("BHD", "KWD", "TND")} == {3}
    assert {EXPONENTS[code] for code in ("CLF", "UYW")} == {4}
    assert not {"XAU", "XTS", "XXX", "XDR"} & EXPONENTS.keys()
    assert all(len(code) == 3 and code.isupper() for code in EXPONENTS)
