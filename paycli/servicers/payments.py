"""The rich contract: `paycli.payments.v1.Payments`, over the same engine as the seed contract."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc

from paycli.engine.engine import Engine
from paycli.errors import Draining, InvalidPayment, PaymentError, PaymentNotFound, RefundNotFound
from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from paycli.generated.paycli.payments.v1 import payments_pb2_grpc
from paycli.host.statuses import status_of
from paycli.payments import commands
from paycli.payments.batch import Receipt
from paycli.payments.commands import Create
from paycli.payments.payment import CaptureMethod, Kind, Payment
from paycli.payments.postings import CUSTOMER, HOLD, MERCHANT, postings_of
from paycli.payments.queries import EntryCursor, EventFilter, Found, PaymentFilter
from paycli.payments.states import Action
from paycli.payments.store import Store
from paycli.servicers import bounds, messages
from paycli.servicers.pages import cursor_of, page_size, page_token
from paycli.wire_names import REPLAYED, TRUE

BATCH_MAX = bounds.LIST_MAX
_EVENTS_AT_ONCE = 200

_Context = grpc.aio.ServicerContext[Any, Any]


class PaymentsServicer(payments_pb2_grpc.PaymentsServicer):
    """Messages to commands and queries, and their outcomes back to messages."""

    def __init__(self, engine: Engine, store: Store) -> None:
        self._engine = engine
        self._store = store
        self._draining = asyncio.Event()

    def drain(self) -> None:
        """End the streams, which would not end by themselves."""
        self._draining.set()

    async def CreatePayment(
        self, request: pb.CreatePaymentRequest, context: _Context
    ) -> pb.Payment:
        """Charge or authorize."""
        create = self._creation(request)
        receipt = await self._engine.create(create, context.time_remaining())
        _mark(context, receipt)
        return messages.payment_message(receipt.payment)

    async def BatchCreatePayments(
        self, request: pb.BatchCreatePaymentsRequest, context: _Context
    ) -> pb.BatchCreatePaymentsResponse:
        """Charge or authorize many; result i answers request i."""
        if not 0 < len(request.requests) <= BATCH_MAX:
            raise InvalidPayment(
                "requests",
                f"requests has {len(request.requests)} payments; send 1 to {BATCH_MAX}.",
                reason="BATCH_SIZE_INVALID",
                maximum=BATCH_MAX,
            )
        checked = [self._checked(each) for each in request.requests]
        creates = [each for each in checked if isinstance(each, Create)]
        outcomes = iter(await self._engine.create_all(creates, context.time_remaining()))
        return pb.BatchCreatePaymentsResponse(
            results=[
                _result(next(outcomes) if isinstance(each, Create) else each) for each in checked
            ]
        )

    async def GetPayment(self, request: pb.GetPaymentRequest, context: _Context) -> pb.Payment:
        """One payment."""
        return messages.payment_message(await self._payment(request.name, "name"))

    async def ListPayments(
        self, request: pb.ListPaymentsRequest, context: _Context
    ) -> pb.ListPaymentsResponse:
        """Payments, newest first."""
        wanted = PaymentFilter(
            commands.spelling(request.order_id),
            commands.spelling(request.customer_id),
            messages.state_from(request.state),
            messages.microseconds(request.created_from, "created_from", up=True),
            # Before 1970 is nothing, but 0 would mean that there is no end.
            messages.microseconds(request.created_before, "created_before", up=True)
            or int(request.HasField("created_before")),
            _key_wanted(request),
        )
        before = cursor_of(request.page_token, wanted)
        size = page_size(request.page_size)
        payments, cursor = await self._store.payments(wanted, before, size)
        return pb.ListPaymentsResponse(
            payments=map(messages.payment_fields, payments),
            next_page_token=page_token(cursor, wanted),
        )

    async def CapturePayment(
        self, request: pb.CapturePaymentRequest, context: _Context
    ) -> pb.Payment:
        """Take part or all of what is authorized."""
        amount = _optional_amount(request)
        receipt = await self._change(request, context, Action.CAPTURE, amount, final=request.final)
        return messages.payment_message(receipt.payment)

    async def VoidPayment(self, request: pb.VoidPaymentRequest, context: _Context) -> pb.Payment:
        """Give back what is authorized and not captured."""
        receipt = await self._change(request, context, Action.VOID)
        return messages.payment_message(receipt.payment)

    async def RefundPayment(self, request: pb.RefundPaymentRequest, context: _Context) -> pb.Refund:
        """Give back part or all of what was captured."""
        amount = _optional_amount(request)
        receipt = await self._change(request, context, Action.REFUND, amount, reason=request.reason)
        return messages.refund_message(receipt.payment, receipt.entry)

    async def GetRefund(self, request: pb.GetRefundRequest, context: _Context) -> pb.Refund:
        """One refund."""
        payment_id, version = messages.refund_of(request.name)
        payment = await self._store.payment(payment_id)
        entry = await self._store.entry(payment_id, version)
        if payment is None or entry is None or entry.kind != Kind.REFUNDED:
            raise RefundNotFound(request.name)
        return messages.refund_message(payment, entry)

    async def ListRefunds(
        self, request: pb.ListRefundsRequest, context: _Context
    ) -> pb.ListRefundsResponse:
        """The refunds of a payment, oldest first."""
        payment = await self._payment(request.parent, "parent")
        after = int(cursor_of(request.page_token, payment.payment_id) or 0)
        size = page_size(request.page_size)
        entries = await self._store.refunds(payment.payment_id, after, size + 1)
        cursor = str(entries[size - 1].version) if len(entries) > size else ""
        return pb.ListRefundsResponse(
            refunds=[messages.refund_message(payment, entry) for entry in entries[:size]],
            next_page_token=page_token(cursor, payment.payment_id),
        )

    async def GetBalance(self, request: pb.GetBalanceRequest, context: _Context) -> pb.Balance:
        """What an account holds."""
        account = commands.spelling(request.account)
        if account.startswith(HOLD):
            payment = await self._held(account)
            held = payment.authorized - payment.captured - payment.voided
            was_held = payment.capture_method == CaptureMethod.MANUAL and payment.authorized
            amounts = [(payment.currency, held)] if was_held else []
        elif account == MERCHANT or account.startswith(CUSTOMER):
            amounts = await self._store.balances(account)
        else:
            raise _no_account(account)
        return pb.Balance(
            account=account,
            amounts=[messages.money(minor, currency) for currency, minor in amounts],
        )

    async def ListPostings(
        self, request: pb.ListPostingsRequest, context: _Context
    ) -> pb.ListPostingsResponse:
        """Postings of a payment or an account."""
        account = commands.spelling(request.account)
        if bool(request.payment) == bool(account):
            raise InvalidPayment("account", "Give either payment or account.")
        query = (request.payment, account)
        size = page_size(request.page_size)
        after = _entry_cursor(cursor_of(request.page_token, query))
        found = await self._journal(request.payment, account, after, size + 1)
        last = found[size - 1].entry if len(found) > size else None
        cursor = f"{last.payment_id}:{last.version}" if last else ""
        return pb.ListPostingsResponse(
            postings=[
                messages.posting_fields(each, posting)
                for each in found[:size]
                for posting in postings_of(*each)
                if not account or posting.account == account
            ],
            next_page_token=page_token(cursor, query),
        )

    async def _journal(
        self, name: str, account: str, after: EntryCursor, limit: int
    ) -> list[Found]:
        """Entries of one payment, or of those that touch an account."""
        if name or account.startswith(HOLD):
            payment = await (self._payment(name, "payment") if name else self._held(account))
            return await self._store.journal_of_payment(payment.payment_id, after.version, limit)
        if account.startswith(CUSTOMER):
            customer_id = account.removeprefix(CUSTOMER)
            return await self._store.journal_of_customer(customer_id, after, limit)
        if account == MERCHANT:
            return await self._store.journal(after, limit)
        raise _no_account(account)

    async def WatchEvents(
        self, request: pb.WatchEventsRequest, context: _Context
    ) -> AsyncIterator[pb.Event]:
        """What happens, each event once and in order, until the caller or the server goes."""
        after = request.after_sequence
        wanted = await self._watched(request)
        while True:
            # Only as fast as the caller reads: each page is fetched when the last one is sent.
            found, after = await self._store.events(after, wanted, _EVENTS_AT_ONCE)
            for each in found:
                yield messages.event_message(each)
            await self._more(after)

    async def _watched(self, request: pb.WatchEventsRequest) -> EventFilter:
        newest = await self._store.newest_seq()
        if not 0 <= request.after_sequence <= newest:
            raise InvalidPayment(
                "after_sequence",
                f"after_sequence {request.after_sequence} is not one of this store, whose newest "
                f"event is {newest}. Begin with 0 if the store was made anew.",
                reason="SEQUENCE_UNKNOWN",
                newestSequence=newest,
            )
        return EventFilter(
            messages.payment_id_of(request.payment, "payment") if request.payment else "",
            commands.spelling(request.order_id),
            commands.spelling(request.customer_id),
            messages.kinds_from(list(request.kinds)),
        )

    async def _more(self, after: int) -> None:
        """Wait until there are later events. Raises Draining when the server stops first."""
        await self._news(after)
        if self._draining.is_set():
            raise Draining("The server is stopping; watch again with the last sequence you saw.")

    async def _news(self, after: int) -> None:
        waits = (
            asyncio.ensure_future(self._store.news(after)),
            asyncio.ensure_future(self._draining.wait()),
        )
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    def _creation(self, request: pb.CreatePaymentRequest) -> Create:
        amount = request.amount
        currency = amount.currency_code
        if not currency and not request.HasField("amount"):
            raise InvalidPayment(
                "amount", "amount is missing; give units, nanos and currency_code."
            )
        return commands.create(
            order_id=request.order_id,
            customer_id=request.customer_id,
            currency=currency,
            amount=messages.minor_of(amount, currency),
            request_id=request.request_id,
            capture_method=messages.capture_method_from(request.capture_method),
        )

    def _checked(self, request: pb.CreatePaymentRequest) -> Create | PaymentError:
        try:
            bounds.check(request)
            return self._creation(request)
        except PaymentError as refusal:
            return refusal

    async def _change(
        self,
        request: pb.CapturePaymentRequest | pb.VoidPaymentRequest | pb.RefundPaymentRequest,
        context: _Context,
        action: Action,
        amount: tuple[int, str] = (0, ""),
        *,
        final: bool = False,
        reason: str = "",
    ) -> Receipt:
        change = commands.change(
            payment_id=messages.payment_id_of(request.name),
            action=action,
            request_id=request.request_id,
            amount=amount[0],
            currency=amount[1],
            final=final,
            reason=reason,
        )
        receipt = await self._engine.change(change, context.time_remaining())
        _mark(context, receipt)
        return receipt

    async def _payment(self, name: str, field: str) -> Payment:
        payment_id = messages.payment_id_of(name, field)
        payment = await self._store.payment(payment_id)
        if payment is None:
            raise PaymentNotFound(payment_id)
        return payment

    async def _held(self, account: str) -> Payment:
        payment_id = account.removeprefix(HOLD)
        if not payment_id or "/" in payment_id:
            raise _no_account(account)
        return await self._payment(f"payments/{payment_id}", "account")


def _mark(context: _Context, receipt: Receipt) -> None:
    if receipt.replayed:
        context.set_trailing_metadata(((REPLAYED, TRUE),))


def _result(outcome: Receipt | PaymentError) -> messages.Fields:
    if isinstance(outcome, PaymentError):
        return {"error": status_of(outcome)}
    return {"payment": messages.payment_fields(outcome.payment), "replayed": outcome.replayed}


def _key_wanted(request: pb.ListPaymentsRequest) -> str:
    """The key of the one payment that is asked for; "" when any may have come."""
    if request.without_request_id:
        if request.request_id or not request.order_id:
            raise InvalidPayment(
                "without_request_id",
                "without_request_id takes an order_id, and no request_id, beside it.",
            )
        order_id, customer_id = map(commands.spelling, (request.order_id, request.customer_id))
        return commands.key_of_order(order_id, customer_id)
    return commands.request_key(request.request_id) if request.request_id else ""


def _optional_amount(
    request: pb.CapturePaymentRequest | pb.RefundPaymentRequest,
) -> tuple[int, str]:
    """Minor units and currency; 0 when the request has no amount, which means all that is left."""
    if not request.HasField("amount"):
        return 0, ""
    currency = request.amount.currency_code
    return messages.minor_of(request.amount, currency), currency


def _entry_cursor(cursor: str) -> EntryCursor:
    payment_id, _, version = cursor.partition(":")
    return EntryCursor(payment_id, int(version or 0))


def _no_account(account: str) -> InvalidPayment:
    return InvalidPayment(
        "account",
        f"'{account[:80]}' is not an account; write {MERCHANT}, {CUSTOMER}ID or {HOLD}PAYMENT.",
        reason="NAME_INVALID",
    )
