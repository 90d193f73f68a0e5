"""Settling: what became of payments whose answers nobody heard. It asks and sends nothing.

A payment that is on record tells. One that is not may still be under way: that proves nothing.
"""

from __future__ import annotations

import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from enum import StrEnum
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Final, NamedTuple

import grpc

from paycli.client.charges import Charge
from paycli.client.orders import Order, Rejected
from paycli.client.payments import SERVICE, Payments, Wanted
from paycli.client.records import Record
from paycli.client.retries import RETRYABLE, Patience, retry_after_s
from paycli.client.runs import Outcome
from paycli.errors import DocumentError, OutcomeUnknown, PaycliError, RemoteError
from paycli.payments.commands import spelling

_AT_ONCE: Final = 16
_WINDOW: Final = 4 * _AT_ONCE  # looked up and not told of yet, so that all is told in its order
_STAYS: Final = "what became of the payments stays unknown"


class Verdict(StrEnum):
    """What became of a payment that was asked for."""

    PAID = "paid"
    GIVEN_BACK = "given back"  # it was held, and nothing was captured
    DECLINED = "declined"
    DIFFERENT = "different"  # the key is that of another payment
    REJECTED = "rejected"  # the row is no payment
    NOT_ON_RECORD = "not on record"
    UNKNOWN = "unknown"

    @property
    def exit_code(self) -> int:
        """That of a run which found nothing else."""
        return _EXIT_CODES[self]


_EXIT_CODES: Final = {
    Verdict.PAID: 0,
    Verdict.GIVEN_BACK: 1,
    Verdict.DECLINED: 1,
    Verdict.DIFFERENT: 1,
    Verdict.REJECTED: 2,
    Verdict.NOT_ON_RECORD: OutcomeUnknown.exit_code,
    Verdict.UNKNOWN: OutcomeUnknown.exit_code,
}
# A state that is not here is one that this paycli has not heard of.
_OF_STATE: Final = {
    "AUTHORIZED": Verdict.PAID,
    "PARTIALLY_CAPTURED": Verdict.PAID,
    "CAPTURED": Verdict.PAID,
    "PARTIALLY_REFUNDED": Verdict.PAID,
    "REFUNDED": Verdict.PAID,
    "VOIDED": Verdict.GIVEN_BACK,
    "EXPIRED": Verdict.GIVEN_BACK,
    "DECLINED": Verdict.DECLINED,
}


class Asked(NamedTuple):
    """A word that is a key or an order, or a row and the file that it stands in."""

    what: str | Order | Rejected
    path: Path | None = None

    @property
    def line(self) -> int | None:
        """That of the row."""
        return None if isinstance(self.what, str) else self.what.line


class Found(NamedTuple):
    """A payment on record, the key or the order that it was found by, and what became of it."""

    name: str
    verdict: Verdict
    payment: Record


class Settled(NamedTuple):
    """What was asked for, what became of it, and the payments on record of it.

    `why` says what is wrong with a row.
    """

    asked: Asked
    name: str
    verdict: Verdict
    found: tuple[Found, ...] = ()
    why: str = ""

    def as_dict(self) -> dict[str, object]:
        """The JSON form."""
        return {
            "asked": self.name or None,
            "file": None if self.asked.path is None else str(self.asked.path),
            "line": self.asked.line,
            "outcome": self.verdict,
            "reason": self.why or None,
            "payments": [{"found_by": each.name, **each.payment} for each in self.found],
        }


class Settling:
    """Looks up what it is asked for, some at a time, and counts; `report` hears of each in its order."""

    def __init__(
        self,
        look_up: Callable[[Asked], Settled],
        report: Callable[[Settled], None],
        held: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """`held` keeps interrupts away while `report` hears of one."""
        self._look_up = look_up
        self._report = report
        self._held = held
        self._window: deque[Future[Settled]] = deque()
        self.totals: Counter[Verdict] = Counter()

    @property
    def exit_code(self) -> int:
        """The worst of what was found."""
        return max((each.exit_code for each in self.totals), default=0)

    def run(self, asked: Iterable[Asked], stop: Event) -> None:
        """Look all of them up. Raises what the first look that fails raises; `stop` ends the others."""
        pool = ThreadPoolExecutor(_AT_ONCE)
        broken: DocumentError | None = None
        try:
            try:
                for each in asked:
                    self._window.append(pool.submit(self._look_up, each))
                    if len(self._window) == _WINDOW:
                        self._tell()
            except DocumentError as problem:  # a file that ends too early: what came before is told
                broken = problem
            while self._window:
                self._tell()
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
        if broken is not None:
            raise broken

    def idle(self) -> None:
        """The reader waits for rows: tell of those that are known."""
        while self._window and self._window[0].done():
            self._tell()

    def _tell(self) -> None:
        settled = self._window[0].result()
        with self._held():
            self._window.popleft()
            self.totals[settled.verdict] += 1
            self._report(settled)


class Records:
    """What a service has on record, asked by key and by order.

    Whatever keeps it from answering is raised: OutcomeUnknown, NotTaken, Refused or InputError, and
    never what could be taken for the failure of a payment.
    """

    def __init__(
        self, channel: grpc.Channel, timeout_s: float, retry_s: float, stop: Event
    ) -> None:
        self._payments = Payments(channel, timeout_s)
        self._retry_s = retry_s
        self._stop = stop
        self._finds_by_key = False

    def look_up(self, asked: Asked) -> Settled:
        """What became of it."""
        what = asked.what
        if isinstance(what, Rejected):
            is_unknown = what.outcome is Outcome.UNKNOWN
            verdict = Verdict.UNKNOWN if is_unknown else Verdict.REJECTED
            return Settled(asked, "", verdict, why=str(what.problem))
        if isinstance(what, str):
            return self._of_word(asked, what)
        return self._of_charge(asked, what.charge)

    def _of_charge(self, asked: Asked, charge: Charge) -> Settled:
        if charge.idempotency_key:
            payment = self._only(Wanted(request_id=charge.idempotency_key))
        else:
            wanted = Wanted(charge.order_id, charge.user_id, without_request_id=True)
            payment = self._only(wanted)
        if payment is None:
            return Settled(asked, charge.name, Verdict.NOT_ON_RECORD)
        why = _differences(charge, payment)
        verdict = Verdict.DIFFERENT if why else _verdict_of(payment)
        return Settled(asked, charge.name, verdict, (Found(charge.name, verdict, payment),), why)

    def _of_word(self, asked: Asked, word: str) -> Settled:
        found = {}
        verdicts = set()
        for payment in self._find(Wanted(order_id=word)):
            found[payment["payment_id"]] = Found(f"order {word}", _verdict_of(payment), payment)
        if found:
            of_order = {each.verdict for each in found.values()}
            # An order is paid as soon as one of its payments is.
            verdicts.add(Verdict.PAID if Verdict.PAID in of_order else _worst(of_order))
        if (by_key := self._only(Wanted(request_id=word))) is not None:
            also = found.get(by_key["payment_id"])
            name = f"{also.name}, key {word}" if also is not None else f"key {word}"
            found[by_key["payment_id"]] = Found(name, _verdict_of(by_key), by_key)
            verdicts.add(_verdict_of(by_key))
        if not found:
            return Settled(asked, f"key or order {word}", Verdict.NOT_ON_RECORD)
        return Settled(asked, word, _worst(verdicts), tuple(found.values()))

    def _only(self, wanted: Wanted) -> Record | None:
        """The one payment of a key. Raises OutcomeUnknown if the service does not look for keys."""
        found = self._find(wanted, 2)
        if not found:
            return None
        if len(found) > 1 or not self._looks_for_keys():
            raise OutcomeUnknown(
                f"The service finds no payments by their keys, as an older one does not; {_STAYS}.",
                reason="KEYS_NOT_FOUND",
            )
        return found[0]

    def _looks_for_keys(self) -> bool:
        """An older service passes over a field that it does not know, and lists any payments.

        So does it for a key that nobody can have used; asked once there is one to list.
        """
        if not self._finds_by_key:
            self._finds_by_key = not self._find(Wanted(request_id=str(uuid.uuid4())), 1)
        return self._finds_by_key

    def _find(self, wanted: Wanted, limit: int | None = None) -> list[Record]:
        patience = Patience(self._retry_s, self._stop)
        while True:
            try:
                return list(islice(self._payments.find(wanted), limit))
            except PaycliError as problem:
                call = problem.__cause__
                if not isinstance(call, grpc.RpcError) or call.code() not in RETRYABLE:
                    raise _unsettled(problem) from problem
                if not patience.wait(retry_after_s(call)):
                    raise _unsettled(problem) from problem


def _verdict_of(payment: Record) -> Verdict:
    return _OF_STATE.get(payment["state"], Verdict.UNKNOWN)


def _worst(verdicts: Iterable[Verdict]) -> Verdict:
    return max(verdicts, key=lambda each: each.exit_code)


def _differences(charge: Charge, payment: Record) -> str:
    """How the payment on record is another one than was sent; "" if it is not."""
    sent = {
        "amount": f"{charge.decimal_amount} {charge.currency}",
        "order": spelling(charge.order_id),
        "user": spelling(charge.user_id),
    }
    kept = {
        "amount": f"{payment['amount']} {payment['currency']}",
        "order": payment["order_id"],
        "user": payment["customer_id"],
    }
    return ", ".join(
        f"its {what} is '{kept[what]}' and not '{sent[what]}'"
        for what in sent
        if sent[what] != kept[what]
    )


def _unsettled(problem: PaycliError) -> PaycliError:
    """The error of a look that failed: its exit code must not say that a payment did."""
    if problem.status == "UNIMPLEMENTED":
        said = f"The service does not offer {SERVICE}, and the seed contract has no way to ask; {_STAYS}."
    elif isinstance(problem, RemoteError):
        said = f"{problem.message.rstrip('.')}; {_STAYS}."
    else:
        return problem
    unknown = OutcomeUnknown(said, metadata=problem.metadata)
    unknown.status = problem.status
    return unknown
