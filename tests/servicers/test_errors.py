"""Golden errors: each one that the contracts know, down to its last detail.

A new reason gets a line in RULES (what every error of it carries) and one in CASES (how to get it);
a test finds the reasons of the source that have none.
"""

from __future__ import annotations

import ast
import contextlib
import re
import resource
import sqlite3
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import grpc
import pytest
from google.protobuf import json_format
from grpc_health.v1 import health_pb2, health_pb2_grpc

from paycli import errors
from paycli.errors import DeadlinePassed, PaymentBusy, PaymentError
from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from paycli.host.statuses import status_of
from tests.conftest import StartServer, servers_in
from tests.processes import children_of
from tests.wire import Client, Refusal, client_of, creation, refusal_in, refusal_of

PACKAGE: Final = Path(errors.__file__).parent


class Rule(NamedTuple):
    """What every error of a reason carries besides its ErrorInfo."""

    code: str
    detail: str = ""
    retry: str = ""


BAD: Final = Rule("INVALID_ARGUMENT", "BadRequest")
GONE: Final = Rule("NOT_FOUND")
FORBIDDEN: Final = Rule("FAILED_PRECONDITION", "PreconditionFailure")

RULES: Final = {
    "FIELD_INVALID": BAD,
    "CURRENCY_UNKNOWN": BAD,
    "CURRENCY_MISMATCH": BAD,
    "AMOUNT_NOT_FINITE": BAD,
    "AMOUNT_NOT_POSITIVE": BAD,
    "AMOUNT_NOT_REPRESENTABLE": BAD,
    "AMOUNT_TOO_LARGE": BAD,
    "BATCH_SIZE_INVALID": BAD,
    "NAME_INVALID": BAD,
    "PAGE_TOKEN_INVALID": BAD,
    "SEQUENCE_UNKNOWN": BAD,
    "REQUEST_UNREADABLE": Rule("INVALID_ARGUMENT"),
    "TOKEN_MISSING": Rule("UNAUTHENTICATED"),
    "TOKEN_UNKNOWN": Rule("UNAUTHENTICATED"),
    "SCOPE_MISSING": Rule("PERMISSION_DENIED"),
    "REQUEST_TOO_LARGE": Rule("INVALID_ARGUMENT"),
    "INTERNAL": Rule("INTERNAL"),
    "IDEMPOTENCY_KEY_REUSED": Rule("ALREADY_EXISTS"),
    "PAYMENT_NOT_FOUND": GONE,
    "REFUND_NOT_FOUND": GONE,
    "STATE_FORBIDS": FORBIDDEN,
    "AUTHORIZATION_EXPIRED": FORBIDDEN,
    "CAPTURE_EXCEEDS_AUTHORIZED": FORBIDDEN,
    "REFUND_EXCEEDS_CAPTURED": FORBIDDEN,
    "BALANCE_LIMIT": FORBIDDEN,
    "LEDGER_FORBIDS": FORBIDDEN,
    "PROCESSOR_DECLINED": Rule("FAILED_PRECONDITION"),
    "PAYMENT_BUSY": Rule("UNAVAILABLE", retry="1s"),
    "OVERLOADED": Rule("RESOURCE_EXHAUSTED", retry="0.500s"),
    "PROCESSOR_UNAVAILABLE": Rule("UNAVAILABLE", retry="1s"),
    "PROCESSOR_OUTCOME_UNKNOWN": Rule("DEADLINE_EXCEEDED", retry="1s"),
    "STORE_UNAVAILABLE": Rule("UNAVAILABLE", retry="1s"),
    "STORE_OUTCOME_UNKNOWN": Rule("DEADLINE_EXCEEDED", retry="1s"),
    "DRAINING": Rule("UNAVAILABLE", retry="1s"),
    "DEADLINE_PASSED": Rule("DEADLINE_EXCEEDED"),
}

# Reasons that other tests of the wire hold, and why they stand elsewhere.
ELSEWHERE: Final = {
    "PROCESSOR_DECLINED": "test_processor.py: the simulator's own",
    "REQUEST_UNREADABLE": "test_bounds.py: bytes, not a request",
    "TOKEN_MISSING": "host/test_protection.py: as the next two",
    "TOKEN_UNKNOWN": "host/test_protection.py",
    "SCOPE_MISSING": "host/test_protection.py",
    "INTERNAL": "test_interceptors.py: it takes a fault",
    "DRAINING": "test_watch.py: only a stream still hears from a server that stops",
    "AUTHORIZATION_EXPIRED": "test_processor.py: it takes time",
}
NEVER_SENT: Final = {
    "PAYMENT_ERROR": "the base class",
    "UNAVAILABLE": "a base class",
    "AMOUNT_NOT_A_NUMBER": "text of people, refused before it is sent (tests/cli/test_pay.py)",
}


class Case(NamedTuple):
    """A request of a method, and the error it ends with. `{charged}` and friends are payments."""

    reason: str
    method: str
    request: Mapping[str, Any]
    message: str
    metadata: Mapping[str, str] = {}

    @property
    def field(self) -> str:
        return self.metadata.get("field", "")


def eur(units: int, nanos: int = 0, currency: str = "EUR") -> dict[str, Any]:
    return {"currency_code": currency, "units": units, "nanos": nanos}


def seed(reason: str, request: Mapping[str, Any], message: str, **metadata: str) -> Case:
    """A ProcessPayment whose fields are good but for those of `request`."""
    good: dict[str, Any] = {"order_id": "o-new", "amount": 5, "currency": "EUR", "user_id": "ada"}
    return Case(reason, "ProcessPayment", {**good, **request}, message, metadata)


def create(reason: str, request: Mapping[str, Any], message: str, **metadata: str) -> Case:
    """A CreatePayment whose fields are good but for those of `request`."""
    return Case(reason, "CreatePayment", {"amount": eur(5), **request}, message, metadata)


def rich(
    reason: str, method: str, request: Mapping[str, Any], message: str, **metadata: str
) -> Case:
    """Any method of the rich contract."""
    return Case(reason, method, request, message, metadata)


NOT_ISO: Final = "is not an ISO 4217 currency that can be paid in"
NO_TOKEN: Final = (
    "page_token is not one of this list; send the next_page_token of the page before, with all "
    "other fields but page_size unchanged, or none to begin again."
)
REUSED: Final = (
    "This idempotency key was used for payment {id} with another {fields}. "
    "Send the first request again unchanged, or use a new key (or order id)."
)
NO_OUTCOME: Final = "Send it again with the same key to learn the outcome."
TOO_LONG: Final = "x" * 256
CHARGED: Final = "payments/{charged}"


def reused(id: str, fields: str) -> dict[str, Any]:  # noqa: A002 - the word of the message
    return {
        "message": REUSED.replace("{id}", id).replace("{fields}", fields),
        "firstPaymentId": id,
        "differingFields": fields,
    }


# fmt: off
CASES: Final = [
    # Fields of a payment, through both doors.
    seed("FIELD_INVALID", {"order_id": ""}, "order_id is missing; without it (or an idempotency key) a retry could pay twice.", field="order_id"),
    seed("FIELD_INVALID", {"order_id": TOO_LONG}, "order_id has 256 characters; the most is 255.", field="order_id", maximumLength="255"),
    seed("FIELD_INVALID", {"user_id": TOO_LONG}, "user_id has 256 characters; the most is 255.", field="user_id", maximumLength="255"),
    seed("FIELD_INVALID", {"order_id": "a\x1fb"}, "order_id holds a control character; send printable text.", field="order_id"),
    seed("FIELD_INVALID", {"user_id": "\x00"}, "user_id holds a control character; send printable text.", field="user_id"),
    seed("CURRENCY_UNKNOWN", {"currency": ""}, "currency is missing; give an ISO 4217 code such as EUR.", field="currency", currency=""),
    seed("CURRENCY_UNKNOWN", {"currency": "eur"}, "'eur' is not a currency code; write EUR in upper case.", field="currency", currency="eur"),
    seed("CURRENCY_UNKNOWN", {"currency": "%\n\x00"}, f"'%\n\x00' {NOT_ISO}; give one such as EUR, USD or JPY.", field="currency", currency="%\n\x00"),
    seed("CURRENCY_UNKNOWN", {"currency": "EURO"}, f"'EURO' {NOT_ISO}; did you mean EUR?", field="currency", currency="EURO"),
    seed("CURRENCY_UNKNOWN", {"currency": "€" * 200}, f"'{'€' * 20}' {NOT_ISO}; give one such as EUR, USD or JPY.", field="currency", currency="€" * 20),
    seed("CURRENCY_UNKNOWN", {"currency": "RUR"}, f"'RUR' {NOT_ISO}; did you mean RUB?", field="currency", currency="RUR"),
    seed("FIELD_INVALID", {"currency": "€" * 300}, "currency has 300 characters; the most is 255.", field="currency", maximumLength="255"),
    seed("FIELD_INVALID", {"order_id": " o"}, "order_id begins or ends with a blank; leave it out.", field="order_id"),
    seed("FIELD_INVALID", {"user_id": "ada "}, "user_id begins or ends with a blank; leave it out.", field="user_id"),
    seed("FIELD_INVALID", {"user_id": "é "}, "user_id begins or ends with a blank; leave it out.", field="user_id"),
    seed("FIELD_INVALID", {"order_id": "o\u200b"}, "order_id holds U+200B, which nobody sees; send what can be read.", field="order_id"),
    seed("FIELD_INVALID", {"order_id": "\u0958" * 200}, "order_id has 400 characters; the most is 255.", field="order_id", maximumLength="255"),
    seed("FIELD_INVALID", {"user_id": "sim_declin_lost_card"}, "'sim_declin_lost_card' is no customer of the simulator; did you mean sim_decline_lost_card?", field="user_id"),
    seed("FIELD_INVALID", {"user_id": "SIM_HANG"}, "'SIM_HANG' is no customer of the simulator; did you mean sim_hang?", field="user_id"),
    seed("FIELD_INVALID", {"user_id": "sim_slow_60001"}, "'sim_slow_60001' is too slow; sim_slow_ takes at most 60000 milliseconds.", field="user_id"),
    seed("AMOUNT_NOT_FINITE", {"amount": "NaN"}, "amount nan is not a finite number.", field="amount"),
    seed("AMOUNT_NOT_FINITE", {"amount": "-Infinity"}, "amount -inf is not a finite number.", field="amount"),
    seed("AMOUNT_NOT_POSITIVE", {"amount": 0}, "amount 0 is not positive; a payment moves more than 0.", field="amount"),
    seed("AMOUNT_NOT_POSITIVE", {"amount": -0.01}, "amount -0.01 is not positive; a payment moves more than 0.", field="amount"),
    seed("AMOUNT_NOT_REPRESENTABLE", {"amount": 0.1 + 0.2}, "amount 0.30000000000000004 is no exact amount of EUR, which has 2 decimals; the nearest is 0.30.", field="amount", exponent="2", nearestMinor="30"),
    seed("AMOUNT_NOT_REPRESENTABLE", {"amount": 0.001}, "amount 0.001 is no exact amount of EUR, which has 2 decimals; the nearest is 0.01.", field="amount", exponent="2", nearestMinor="1"),
    seed("AMOUNT_NOT_REPRESENTABLE", {"amount": 1.5, "currency": "JPY"}, "amount 1.5 is no exact amount of JPY, which has no decimals; the nearest is 2.", field="amount", exponent="0", nearestMinor="2"),
    seed("AMOUNT_TOO_LARGE", {"amount": 1e13}, "amount 1e+13 is too large; the most is 9999999999999.99 EUR.", field="amount", maximumMinor="999999999999999"),
    create("FIELD_INVALID", {}, "order_id is missing; without it (or an idempotency key) a retry could pay twice.", field="order_id"),
    create("FIELD_INVALID", {"order_id": TOO_LONG}, "order_id has 256 characters; the most is 255.", field="order_id", maximumLength="255"),
    create("FIELD_INVALID", {"order_id": "o", "customer_id": TOO_LONG}, "customer_id has 256 characters; the most is 255.", field="customer_id", maximumLength="255"),
    create("FIELD_INVALID", {"order_id": "o", "customer_id": "sim_"}, "'sim_' is no customer of the simulator; did you mean sim_decline_do_not_honor?", field="customer_id"),
    create("FIELD_INVALID", {"order_id": "o", "customer_id": "sim_slow_x"}, "'sim_slow_x' is no customer of the simulator; did you mean sim_slow_<milliseconds>?", field="customer_id"),
    create("FIELD_INVALID", {"request_id": "k\u00a0k"}, "request_id holds U+00A0, which nobody sees; send what can be read.", field="request_id"),
    create("FIELD_INVALID", {"request_id": "\u202ek"}, "request_id holds U+202E, which nobody sees; send what can be read.", field="request_id"),
    create("FIELD_INVALID", {"request_id": TOO_LONG}, "request_id has 256 characters; the most is 255.", field="request_id", maximumLength="255"),
    create("FIELD_INVALID", {"request_id": "a\nb"}, "request_id holds a control character; send printable text.", field="request_id"),
    create("FIELD_INVALID", {"order_id": "o", "capture_method": 9}, "9 is no CaptureMethod.", field="capture_method"),
    create("FIELD_INVALID", {"order_id": "o", "amount": eur(1, -1)}, "amount.nanos must lie within ±999999999 and carry the sign of amount.units.", field="amount"),
    create("FIELD_INVALID", {"order_id": "o", "amount": eur(0, 1_000_000_000)}, "amount.nanos must lie within ±999999999 and carry the sign of amount.units.", field="amount"),
    rich("FIELD_INVALID", "CreatePayment", {"order_id": "o"}, "amount is missing; give units, nanos and currency_code.", field="amount"),
    create("CURRENCY_UNKNOWN", {"order_id": "o", "amount": {}}, "currency is missing; give an ISO 4217 code such as EUR.", field="amount.currency_code", currency=""),
    create("CURRENCY_UNKNOWN", {"order_id": "o", "amount": eur(1, currency="XAU")}, f"'XAU' {NOT_ISO}; did you mean XAF?", field="amount.currency_code", currency="XAU"),
    create("AMOUNT_NOT_POSITIVE", {"order_id": "o", "amount": eur(0)}, "amount 0.000000000 is not positive; a payment moves more than 0.", field="amount"),
    create("AMOUNT_NOT_POSITIVE", {"order_id": "o", "amount": eur(-1, -10_000_000)}, "amount -1.010000000 is not positive; a payment moves more than 0.", field="amount"),
    create("AMOUNT_NOT_REPRESENTABLE", {"order_id": "o", "amount": eur(5, 1)}, "amount 5.000000001 is no exact amount of EUR, which has 2 decimals; the nearest is 5.00.", field="amount", exponent="2", nearestMinor="500"),
    create("AMOUNT_NOT_REPRESENTABLE", {"order_id": "o", "amount": eur(5, 500_000_000, "JPY")}, "amount 5.500000000 is no exact amount of JPY, which has no decimals; the nearest is 6.", field="amount", exponent="0", nearestMinor="6"),
    create("AMOUNT_TOO_LARGE", {"order_id": "o", "amount": eur(10**13)}, "amount 10000000000000.000000000 is too large; the most is 9999999999999.99 EUR.", field="amount", maximumMinor="999999999999999"),
    create("AMOUNT_TOO_LARGE", {"order_id": "o", "amount": eur(2**63 - 1, 1)}, "amount 9223372036854775807.000000001 is too large; the most is 9999999999999.99 EUR.", field="amount", maximumMinor="999999999999999"),
    # Keys.
    seed("IDEMPOTENCY_KEY_REUSED", {"order_id": "o-charged", "amount": 11}, **reused("{charged}", "amount")),
    seed("IDEMPOTENCY_KEY_REUSED", {"order_id": "o-charged", "amount": 10, "currency": "USD"}, **reused("{charged}", "currency")),
    seed("IDEMPOTENCY_KEY_REUSED", {"order_id": "o-authorized", "amount": 10}, **reused("{authorized}", "capture_method")),
    create("IDEMPOTENCY_KEY_REUSED", {"order_id": "o-charged", "customer_id": "ada", "amount": eur(9)}, **reused("{charged}", "amount")),
    create("IDEMPOTENCY_KEY_REUSED", {"request_id": "k-known", "order_id": "z", "amount": eur(9, currency="USD"), "capture_method": 2}, **reused("{known}", "order_id, customer_id, amount, currency, capture_method")),
    create("IDEMPOTENCY_KEY_REUSED", {"request_id": "k-captured"}, **reused("{captured}", "method")),
    rich("IDEMPOTENCY_KEY_REUSED", "CapturePayment", {"request_id": "k-known", "name": "payments/{known}"}, **reused("{known}", "method")),
    rich("IDEMPOTENCY_KEY_REUSED", "CapturePayment", {"request_id": "k-captured", "name": CHARGED, "amount": eur(3), "final": True}, **reused("{captured}", "payment, amount, final")),
    rich("IDEMPOTENCY_KEY_REUSED", "RefundPayment", {"request_id": "k-refunded", "name": "payments/{refunded}", "reason": "b", "amount": eur(10, currency="USD")}, **reused("{refunded}", "amount, reason, currency")),
    rich("IDEMPOTENCY_KEY_REUSED", "VoidPayment", {"request_id": "k-refunded", "name": "payments/{refunded}"}, **reused("{refunded}", "method")),
    # Changes.
    rich("FIELD_INVALID", "CapturePayment", {"request_id": "", "name": CHARGED}, "request_id is missing; a fresh UUID per operation makes a retry safe (AIP-155).", field="request_id"),
    rich("FIELD_INVALID", "VoidPayment", {"request_id": "", "name": CHARGED}, "request_id is missing; a fresh UUID per operation makes a retry safe (AIP-155).", field="request_id"),
    rich("FIELD_INVALID", "RefundPayment", {"name": CHARGED, "reason": TOO_LONG}, "reason has 256 characters; the most is 255.", field="reason", maximumLength="255"),
    rich("NAME_INVALID", "CapturePayment", {"name": "{charged}"}, "'{charged}' is not a name; write payments/{{payment}}.", field="name"),
    rich("PAYMENT_NOT_FOUND", "CapturePayment", {"name": "payments/pay_no"}, "No payment has the id 'pay_no'.", id="pay_no"),
    rich("PAYMENT_NOT_FOUND", "VoidPayment", {"name": "payments/pay_no"}, "No payment has the id 'pay_no'.", id="pay_no"),
    rich("PAYMENT_NOT_FOUND", "RefundPayment", {"name": "payments/pay_no"}, "No payment has the id 'pay_no'.", id="pay_no"),
    rich("CURRENCY_MISMATCH", "CapturePayment", {"name": "payments/{authorized}", "amount": eur(1, currency="USD")}, "Payment {authorized} is in EUR, not USD; give the amount in EUR.", field="amount", currency="EUR"),
    rich("AMOUNT_NOT_POSITIVE", "CapturePayment", {"name": "payments/{authorized}", "amount": eur(0)}, "amount 0.000000000 is not positive; a payment moves more than 0.", field="amount"),
    rich("CURRENCY_UNKNOWN", "RefundPayment", {"name": CHARGED, "amount": {}}, "currency is missing; give an ISO 4217 code such as EUR.", field="amount.currency_code", currency=""),
    rich("CAPTURE_EXCEEDS_AUTHORIZED", "CapturePayment", {"name": "payments/{authorized}", "amount": eur(10, 10_000_000)}, "Payment {authorized} has 10.00 EUR left to capture, not 10.01.", paymentId="{authorized}", leftMinor="1000"),
    rich("REFUND_EXCEEDS_CAPTURED", "RefundPayment", {"name": CHARGED, "amount": eur(11)}, "Payment {charged} has 10.00 EUR left to refund, not 11.00.", paymentId="{charged}", leftMinor="1000"),
    rich("STATE_FORBIDS", "CapturePayment", {"name": CHARGED}, "Payment {charged} is CAPTURED; it cannot capture. You can refund.", state="CAPTURED", action="capture", paymentId="{charged}"),
    rich("STATE_FORBIDS", "RefundPayment", {"name": "payments/{authorized}"}, "Payment {authorized} is AUTHORIZED; it cannot refund. You can capture or expire or void.", state="AUTHORIZED", action="refund", paymentId="{authorized}"),
    rich("STATE_FORBIDS", "VoidPayment", {"name": "payments/{voided}"}, "Payment {voided} is VOIDED; it cannot void. You can do nothing more with it.", state="VOIDED", action="void", paymentId="{voided}"),
    rich("STATE_FORBIDS", "CapturePayment", {"name": "payments/{declined}"}, "Payment {declined} is DECLINED; it cannot capture. You can do nothing more with it.", state="DECLINED", action="capture", paymentId="{declined}"),
    rich("STATE_FORBIDS", "RefundPayment", {"name": "payments/{refunded}"}, "Payment {refunded} is REFUNDED; it cannot refund. You can do nothing more with it.", state="REFUNDED", action="refund", paymentId="{refunded}"),
    # Reads.
    rich("NAME_INVALID", "GetPayment", {"name": ""}, "'' is not a name; write payments/{{payment}}.", field="name"),
    rich("NAME_INVALID", "GetPayment", {"name": "payments/a/b"}, "'payments/a/b' is not a name; write payments/{{payment}}.", field="name"),
    rich("PAYMENT_NOT_FOUND", "GetPayment", {"name": "payments/pay_no"}, "No payment has the id 'pay_no'.", id="pay_no"),
    rich("PAYMENT_NOT_FOUND", "GetPayment", {"name": f"payments/{'ä' * 200}"}, f"No payment has the id '{'ä' * 80}'.", id="ä" * 80),
    rich("FIELD_INVALID", "GetPayment", {"name": f"payments/{'ä' * 5000}"}, "name has 5009 characters; the most is 255.", field="name", maximumLength="255"),
    rich("FIELD_INVALID", "GetBalance", {"account": f"customer/{TOO_LONG}"}, "account has 265 characters; the most is 264.", field="account", maximumLength="264"),
    rich("REQUEST_TOO_LARGE", "GetPayment", {"name": "x" * 70_000}, "The request has 70004 bytes; the most is 65536.", maximumBytes="65536"),
    rich("NAME_INVALID", "GetRefund", {"name": f"{CHARGED}/refunds/x"}, f"'{CHARGED}/refunds/x' is not a name; write payments/{{{{payment}}}}/refunds/{{{{refund}}}}.", field="name"),
    rich("NAME_INVALID", "GetRefund", {"name": "payments/{refunded}/refunds/02"}, "'payments/{refunded}/refunds/02' is not a name; write payments/{{payment}}/refunds/{{refund}}.", field="name"),
    rich("NAME_INVALID", "GetRefund", {"name": "payments/{refunded}/refunds/２"}, "'payments/{refunded}/refunds/２' is not a name; write payments/{{payment}}/refunds/{{refund}}.", field="name"),  # noqa: RUF001 - a digit, but not ours
    rich("REFUND_NOT_FOUND", "GetRefund", {"name": f"{CHARGED}/refunds/1"}, f"No refund has the name '{CHARGED}/refunds/1'.", name=f"{CHARGED}/refunds/1"),
    rich("REFUND_NOT_FOUND", "GetRefund", {"name": "payments/pay_no/refunds/2"}, "No refund has the name 'payments/pay_no/refunds/2'.", name="payments/pay_no/refunds/2"),
    rich("REFUND_NOT_FOUND", "GetRefund", {"name": f"payments/{'x' * 200}/refunds/2"}, f"No refund has the name 'payments/{'x' * 71}'.", name=f"payments/{'x' * 71}"),
    rich("PAYMENT_NOT_FOUND", "ListRefunds", {"parent": "payments/pay_no"}, "No payment has the id 'pay_no'.", id="pay_no"),
    rich("NAME_INVALID", "ListRefunds", {"parent": "x"}, "'x' is not a parent; write payments/{{payment}}.", field="parent"),
    rich("FIELD_INVALID", "ListPayments", {"page_size": -1}, "page_size must not be negative; 0 means 50.", field="page_size"),
    rich("FIELD_INVALID", "ListPayments", {"order_id": TOO_LONG}, "order_id has 256 characters; the most is 255.", field="order_id", maximumLength="255"),
    rich("FIELD_INVALID", "ListPayments", {"state": 99}, "99 is no PaymentState.", field="state"),
    rich("FIELD_INVALID", "ListPayments", {"request_id": " x"}, "request_id begins or ends with a blank; leave it out.", field="request_id"),
    rich("FIELD_INVALID", "ListPayments", {"without_request_id": True}, "without_request_id takes an order_id, and no request_id, beside it.", field="without_request_id"),
    rich("FIELD_INVALID", "ListPayments", {"without_request_id": True, "order_id": "o", "request_id": "k"}, "without_request_id takes an order_id, and no request_id, beside it.", field="without_request_id"),
    rich("PAGE_TOKEN_INVALID", "ListPayments", {"page_token": "nonsense"}, NO_TOKEN, field="page_token"),
    rich("PAGE_TOKEN_INVALID", "ListPayments", {"page_token": "ü"}, NO_TOKEN, field="page_token"),
    rich("PAGE_TOKEN_INVALID", "ListRefunds", {"parent": CHARGED, "page_token": "AAAA"}, NO_TOKEN, field="page_token"),
    rich("PAGE_TOKEN_INVALID", "ListPostings", {"payment": CHARGED, "page_token": "AAAA"}, NO_TOKEN, field="page_token"),
    rich("FIELD_INVALID", "ListPostings", {}, "Give either payment or account.", field="account"),
    rich("FIELD_INVALID", "ListPostings", {"payment": CHARGED, "account": "merchant"}, "Give either payment or account.", field="account"),
    rich("NAME_INVALID", "ListPostings", {"account": "bank"}, "'bank' is not an account; write merchant, customer/ID or hold/PAYMENT.", field="account"),
    rich("PAYMENT_NOT_FOUND", "ListPostings", {"account": "hold/pay_no"}, "No payment has the id 'pay_no'.", id="pay_no"),
    rich("NAME_INVALID", "GetBalance", {"account": ""}, "'' is not an account; write merchant, customer/ID or hold/PAYMENT.", field="account"),
    rich("NAME_INVALID", "GetBalance", {"account": "hold/"}, "'hold/' is not an account; write merchant, customer/ID or hold/PAYMENT.", field="account"),
    rich("NAME_INVALID", "GetBalance", {"account": "hold/a/b"}, "'hold/a/b' is not an account; write merchant, customer/ID or hold/PAYMENT.", field="account"),
    rich("PAYMENT_NOT_FOUND", "GetBalance", {"account": "hold/pay_no"}, "No payment has the id 'pay_no'.", id="pay_no"),
    rich("BATCH_SIZE_INVALID", "BatchCreatePayments", {}, "requests has 0 payments; send 1 to 1000.", field="requests", maximum="1000"),
    rich("BATCH_SIZE_INVALID", "BatchCreatePayments", {"requests": [{}] * 1001}, "requests has 1001 payments; send 1 to 1000.", field="requests", maximum="1000"),
    rich("SEQUENCE_UNKNOWN", "WatchEvents", {"after_sequence": -1}, "after_sequence -1 is not one of this store, whose newest event is {newest}. Begin with 0 if the store was made anew.", field="after_sequence", newestSequence="{newest}"),
    rich("SEQUENCE_UNKNOWN", "WatchEvents", {"after_sequence": 10**12}, "after_sequence 1000000000000 is not one of this store, whose newest event is {newest}. Begin with 0 if the store was made anew.", field="after_sequence", newestSequence="{newest}"),
    rich("FIELD_INVALID", "WatchEvents", {"kinds": [1, 9]}, "9 is no EventKind to watch for.", field="kinds"),
    rich("FIELD_INVALID", "WatchEvents", {"kinds": [1] * 256}, "kinds has 256 values; the most is 255.", field="kinds", maximumLength="255"),
    rich("NAME_INVALID", "WatchEvents", {"payment": "pay_no"}, "'pay_no' is not a payment; write payments/{{payment}}.", field="payment"),
    # The processor (paycli/engine/simulator.py). None of these leaves a payment behind.
    seed("PROCESSOR_UNAVAILABLE", {"user_id": "sim_unavailable"}, "The processor is down; nothing was paid."),
    create("PROCESSOR_UNAVAILABLE", {"order_id": "o", "customer_id": "sim_unavailable"}, "The processor is down; nothing was paid."),
    seed("PROCESSOR_UNAVAILABLE", {"user_id": "sim_unavailable_once"}, "The processor is down; nothing was paid. Try again."),
    create("PROCESSOR_UNAVAILABLE", {"order_id": "once", "customer_id": "sim_unavailable_once"}, "The processor is down; nothing was paid. Try again."),
    seed("PROCESSOR_OUTCOME_UNKNOWN", {"user_id": "sim_lost_answer"}, f"The processor's answer was lost; it may have been paid. {NO_OUTCOME}"),
    create("PROCESSOR_OUTCOME_UNKNOWN", {"order_id": "lost", "customer_id": "sim_lost_answer"}, f"The processor's answer was lost; it may have been paid. {NO_OUTCOME}"),
    seed("PROCESSOR_OUTCOME_UNKNOWN", {"user_id": "sim_hang"}, f"The processor did not answer within 0.3 s; it may have been paid. {NO_OUTCOME}"),
    create("PROCESSOR_OUTCOME_UNKNOWN", {"order_id": "hang", "customer_id": "sim_hang"}, f"The processor did not answer within 0.3 s; it may have been paid. {NO_OUTCOME}"),
]
# fmt: on


class Known(NamedTuple):
    """A server, and payments of it by what became of them."""

    client: Client
    ids: dict[str, str]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Known]:
    with servers_in(tmp_path_factory.mktemp("errors")) as start:
        server = start("--processor-timeout", "0.3")
        with client_of(server.target) as client:
            yield Known(client, _payments(client))


def _payments(client: Client) -> dict[str, str]:
    made = {
        "charged": client.create(request_id="", order_id="o-charged"),
        "authorized": client.authorize(request_id="", order_id="o-authorized"),
        "known": client.create(request_id="k-known"),
        "captured": client.authorize(),
        "voided": client.authorize(),
        "refunded": client.create(),
        "declined": client.create(customer_id="sim_decline_lost_card"),
    }
    client.capture(made["captured"].name, request_id="k-captured")
    client.void(made["voided"].name)
    client.refund(made["refunded"].name, request_id="k-refunded", reason="a")
    return {what: payment.name.removeprefix("payments/") for what, payment in made.items()}


def filled(value: Any, ids: Mapping[str, str]) -> Any:
    """The value with `{charged}` and friends filled in."""
    if isinstance(value, Mapping):
        return {key: filled(each, ids) for key, each in value.items()}
    if isinstance(value, list):
        return [filled(each, ids) for each in value]
    return value.format(**ids) if isinstance(value, str) and "{" in value else value


def expected(case: Case, ids: Mapping[str, str]) -> Refusal:
    """The whole error that RULES and the case say."""
    rule = RULES[case.reason]
    message, metadata = filled(case.message, ids), filled(case.metadata, ids)
    info = {"reason": case.reason, "domain": "paycli.dev"}
    details: dict[str, dict[str, Any]] = {
        "ErrorInfo": info | ({"metadata": metadata} if metadata else {})
    }
    if rule.detail == "BadRequest":
        violation = {"field": case.field, "description": message, "reason": case.reason}
        details["BadRequest"] = {"fieldViolations": [violation]}
    if rule.detail == "PreconditionFailure":
        subject = metadata.get("paymentId")
        broken = {"type": case.reason, "description": message}
        broken |= {"subject": subject} if subject else {}
        details["PreconditionFailure"] = {"violations": [broken]}
    if rule.retry:
        details["RetryInfo"] = {"retryDelay": rule.retry}
    return Refusal(rule.code, message, details)


def error_of(client: Client, method: str, request: Mapping[str, Any]) -> Refusal:
    """The error that a call ends with; changes get a fresh request_id if they have none."""
    if method in ("CapturePayment", "VoidPayment", "RefundPayment"):
        request = {"request_id": str(uuid.uuid4()), **request}
    if method == "WatchEvents":
        stream = client.payments.WatchEvents(pb.WatchEventsRequest(**request), timeout=10)
        with pytest.raises(grpc.RpcError) as raised:
            next(stream)
    else:
        with pytest.raises(grpc.RpcError) as raised:
            client.call(method, request)
    return refusal_of(raised.value)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.method}-{case.reason}")
def test_each_error_is_exactly_as_the_table_says(known: Known, case: Case) -> None:
    ids = known.ids | {"newest": ""}
    if case.method == "WatchEvents" and case.reason == "SEQUENCE_UNKNOWN":
        ids["newest"] = str(newest_sequence(known.client))
    said = error_of(known.client, case.method, filled(case.request, ids))
    assert said == expected(case, ids)


def test_a_key_of_the_seed_contract_is_named_as_it_was_sent(known: Known) -> None:
    request = {"order_id": "o", "amount": 1, "currency": "EUR"}
    with pytest.raises(grpc.RpcError) as raised:
        known.client.with_trailer(
            "ProcessPayment", request, metadata=(("idempotency-key", TOO_LONG),)
        )
    said = refusal_of(raised.value)
    assert said.message == "idempotency-key has 256 characters; the most is 255."
    assert said.metadata["field"] == "idempotency-key"


def newest_sequence(client: Client) -> int:
    with pytest.raises(grpc.RpcError) as raised:
        next(client.payments.WatchEvents(pb.WatchEventsRequest(after_sequence=10**15), timeout=10))
    return int(refusal_of(raised.value).metadata["newestSequence"])


CREATIONS: Final = [case for case in CASES if case.method == "CreatePayment"]


def test_the_same_errors_come_as_items_of_a_batch(known: Known) -> None:
    client = known.client
    requests = []
    for n, case in enumerate(CREATIONS):
        fields = filled(case.request, known.ids)
        if case.reason.startswith("PROCESSOR") and "order_id" in fields:
            fields = fields | {"order_id": f"batch-{n}"}  # what was lost once is found
        requests += [creation(order_id=f"good-{n}"), fields]
    built = [
        each if isinstance(each, pb.CreatePaymentRequest) else _parsed(each) for each in requests
    ]
    results = client.batch(*built)
    assert len(results) == len(requests)
    for good in results[::2]:
        assert good.WhichOneof("outcome") == "payment"
        assert good.payment.state == pb.PAYMENT_STATE_CAPTURED
    for case, result in zip(CREATIONS, results[1::2], strict=True):
        assert refusal_in(result.error) == expected(case, known.ids)
        assert not result.replayed


def _parsed(fields: Mapping[str, Any]) -> pb.CreatePaymentRequest:
    return json_format.ParseDict(dict(fields), pb.CreatePaymentRequest())


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux's prlimit")
def test_a_store_that_cannot_write_says_so_and_stops_promising(start_server: StartServer) -> None:
    server = start_server()
    with client_of(server.target) as client:
        paid = client.create(request_id="before")
        (writer,) = children_of(server.process.pid)
        resource.prlimit(writer, resource.RLIMIT_FSIZE, (0, 0))
        unknown = error_of(
            client, "ProcessPayment", {"order_id": "o", "amount": 1, "currency": "EUR"}
        )
        assert (unknown.reason, unknown.code) == ("STORE_OUTCOME_UNKNOWN", "DEADLINE_EXCEEDED")
        assert unknown.message.startswith("The store failed: ")
        assert unknown.message.endswith(
            " Whether this was written is not known; send it again with the same key once the "
            "service is back."
        )
        says = unknown.message.partition(" Whether")[0]
        refused = expected(
            Case("STORE_UNAVAILABLE", "", {}, f"{says} The server takes no more payments."), {}
        )
        good = {"order_id": "o2", "amount": eur(1)}
        calls: dict[str, dict[str, Any]] = {
            "ProcessPayment": {"order_id": "o", "amount": 1, "currency": "EUR"},
            "CreatePayment": good,
            "BatchCreatePayments": {"requests": [good]},
            "CapturePayment": {"name": paid.name},
            "VoidPayment": {"name": paid.name},
            "RefundPayment": {"name": paid.name},
        }
        for method, request in calls.items():
            if method == "BatchCreatePayments":
                (result,) = client.call(method, request).results
                assert refusal_in(result.error) == refused
            else:
                assert error_of(client, method, request) == refused, method
        assert client.get(paid.name) == paid  # what is written can still be read
        assert unknown == expected(Case("STORE_OUTCOME_UNKNOWN", "", {}, unknown.message), {})
    with grpc.insecure_channel(server.target) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        for service in ("", "payment.PaymentService", "paycli.payments.v1.Payments"):
            assert check(health_pb2.HealthCheckRequest(service=service)).status == 2
    assert server.stop() == 1  # a supervisor shall start it again
    again = start_server()
    with client_of(again.target) as client:
        assert client.create(request_id="before") == paid
        assert client.pay("o", 1).status == "SUCCESS"
        assert len(client.call("ListPayments", {}).payments) == 2


def test_a_batch_that_is_not_taken_says_so_item_by_item(
    start_server: StartServer,
) -> None:
    server = start_server()
    with (
        client_of(server.target) as client,
        contextlib.closing(sqlite3.connect(server.store)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")  # nobody can write: what comes now waits
        thousand = pb.BatchCreatePaymentsRequest(requests=[creation("1.00") for _ in range(1000)])
        full = [client.payments.BatchCreatePayments.future(thousand, timeout=60) for _ in range(23)]
        while not any(each.done() for each in full):
            time.sleep(0.01)
        slow = creation(customer_id="sim_slow_100")
        mixed = pb.BatchCreatePaymentsRequest(requests=[slow, creation(), creation("0.00")])
        pending = client.payments.BatchCreatePayments.future(mixed, timeout=60)
        *not_taken, wrong = pending.result(20).results
        other.rollback()
        # The second where this machine takes longer than the store waits for the other writer.
        said = [refusal_in(each.error).reason for each in not_taken]
        assert said in (["OVERLOADED"] * 2, ["STORE_UNAVAILABLE"] * 2)
        assert refusal_in(wrong.error).reason == "AMOUNT_NOT_POSITIVE"
        for each in full:
            each.result(60)


def test_more_than_the_processor_takes_is_refused_with_a_time_to_retry(
    start_server: StartServer,
) -> None:
    server = start_server("--processor-timeout", "60")
    full = Case(
        "OVERLOADED", "", {}, "Too many payments wait for the processor; try again shortly."
    )
    with client_of(server.target) as client:
        hanging = [creation(customer_id="sim_hang") for _ in range(1000)]
        pending = client.payments.BatchCreatePayments.future(
            pb.BatchCreatePaymentsRequest(requests=hanging)
        )
        while server.payments_in_flight() != 1000:
            time.sleep(0.01)
        hung = {"order_id": "o", "customer_id": "sim_hang", "amount": eur(1)}
        assert error_of(client, "CreatePayment", hung) == expected(full, {})
        seed_hung = {"order_id": "o", "user_id": "sim_hang", "amount": 1, "currency": "EUR"}
        assert error_of(client, "ProcessPayment", seed_hung) == expected(full, {})
        good, bad = client.batch(creation(), _parsed(hung))
        assert good.payment.state == pb.PAYMENT_STATE_CAPTURED
        assert refusal_in(bad.error) == expected(full, {})
        other = client.create(customer_id="sim_slow_1")  # whose payments nobody holds up
        assert other.state == pb.PAYMENT_STATE_CAPTURED
        pending.cancel()


def test_a_full_queue_refuses_at_once_with_a_time_to_retry(start_server: StartServer) -> None:
    server = start_server()
    full = Case(
        "OVERLOADED", "", {}, "More payments are waiting than this server takes; try again shortly."
    )
    with (
        client_of(server.target) as client,
        contextlib.closing(sqlite3.connect(server.store)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")  # nobody can write: what comes now waits
        thousand = [creation("1.00") for _ in range(1000)]
        batches = [
            client.payments.BatchCreatePayments.future(
                pb.BatchCreatePaymentsRequest(requests=thousand), timeout=60
            )
            for _ in range(23)
        ]
        refusals: list[object] = []
        while not refusals:
            time.sleep(0.01)
            refusals = [each for each in batches if each.done()]
        waits = error_of(
            client, "ProcessPayment", {"order_id": "o", "amount": 1, "currency": "EUR"}
        )
        assert waits == expected(full, {})
        other.rollback()
        ended = [each.result(timeout=60).results for each in batches]
        overloaded = [each for each in ended if each[0].HasField("error")]
        assert {str(refusal_in(each.error)) for batch in overloaded for each in batch} == {
            str(expected(full, {}))
        }
        assert len(refusals) <= len(overloaded) <= 3  # 20,000 wait, and one batch is at the disk
        assert client.create().state == pb.PAYMENT_STATE_CAPTURED


def test_a_balance_that_would_overflow_refuses_that_payment_alone(
    start_server: StartServer,
) -> None:
    server = start_server()
    most = "9999999999999.99"
    limit = Case(
        "BALANCE_LIMIT", "", {}, "An account would pass the largest balance, 2^63 - 1 minor units."
    )
    fitting = (2**63 - 1) // (10**15 - 1)
    with client_of(server.target) as client:
        for start in range(0, fitting, 1000):
            many = range(start, min(start + 1000, fitting))
            results = client.batch(*(creation(most, customer_id=str(n)) for n in many))
            assert all(result.HasField("payment") for result in results)
        first, over, last = client.batch(creation("1.00"), creation(most), creation("2.00"))
        assert first.HasField("payment")
        assert last.HasField("payment")
        assert refusal_in(over.error) == expected(limit, {})
        good = {"order_id": "o", "user_id": "ada", "amount": 9999999999999.99, "currency": "EUR"}
        assert error_of(client, "ProcessPayment", good) == expected(limit, {})
        assert client.create(most, "USD").state == pb.PAYMENT_STATE_CAPTURED


def test_what_the_database_itself_forbids_is_refused_alone(start_server: StartServer) -> None:
    server = start_server()
    with client_of(server.target) as client:
        client.create()
        with contextlib.closing(sqlite3.connect(server.store, timeout=20)) as other:
            other.execute(
                "CREATE TRIGGER no BEFORE INSERT ON entry WHEN NEW.amount = 666 "
                "BEGIN SELECT raise(ABORT, 'never'); END"
            )
        forbids = Case("LEDGER_FORBIDS", "", {}, "The ledger cannot take this: never.")
        good, bad = client.batch(creation("6.65"), creation("6.66"))
        assert good.HasField("payment")
        assert refusal_in(bad.error) == expected(forbids, {})


def test_what_no_client_hears_or_the_simulator_never_does_is_an_error_of_its_own() -> None:
    # A client whose deadline passed listens no more, so this one is looked at where it is made.
    late = DeadlinePassed("x")
    assert refusal_in(status_of(late)) == expected(Case("DEADLINE_PASSED", "", {}, "x"), {})
    # The simulator answers changes at once.
    busy = PaymentBusy("pay_x")
    case = Case("PAYMENT_BUSY", "", {}, str(busy), {"paymentId": "pay_x"})
    assert refusal_in(status_of(busy)) == expected(case, {})


def test_every_reason_of_the_source_is_in_the_table_and_shown_by_a_test() -> None:
    classes = {each.reason for each in _tree(PaymentError)}
    written, patterns = set(classes), set[str]()
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.parts[len(PACKAGE.parts)] in ("payments", "engine", "servicers", "host", "storage"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                _collect(node, written, patterns)
    assert written - RULES.keys() - NEVER_SENT.keys() == set()
    for pattern in patterns:
        assert [reason for reason in RULES if re.fullmatch(pattern, reason)], pattern
    source = Path(__file__).read_text(encoding="utf-8")
    shown = {case.reason for case in CASES} | ELSEWHERE.keys()
    shown |= set(re.findall(r'Case\(\s*"([A-Z_]+)"', source))
    assert RULES.keys() == shown


def _tree(root: type[PaymentError]) -> Iterator[type[PaymentError]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)


def _collect(node: ast.AST, written: set[str], patterns: set[str]) -> None:
    """Reasons given as `reason=...` or set as `error.reason = ...`."""
    value: ast.expr | None = None
    if isinstance(node, ast.keyword) and node.arg == "reason":
        value = node.value
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute):
        value = node.value if node.targets[0].attr == "reason" else None
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        written.update([value.value] if value.value.isupper() else [])
    if isinstance(value, ast.JoinedStr):
        parts = [
            re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+"
            for part in value.values
        ]
        patterns.add("".join(parts))
