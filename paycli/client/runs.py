"""Runs: the payments of fixtures, sent one after the other, and what came of each.

Nothing that was sent is forgotten: until its answer is told, a payment stands as unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import grpc

from paycli.client.channel import answers
from paycli.client.charges import Paid, send, unknown, untold
from paycli.client.fixtures import FixtureEntry, FixturePayment
from paycli.errors import (
    CheckFailed,
    DocumentError,
    NotTaken,
    OutcomeUnknown,
    Overloaded,
    PaycliError,
    ProcessorUnavailable,
    Refused,
)

_OF_THIS_PAYMENT: Final = (Overloaded.reason, ProcessorUnavailable.reason)
_NO_ANSWER: Final = ("CANCELLED", "DEADLINE_EXCEEDED", "UNAVAILABLE")
_STORE_LOST: Final = "STORE_OUTCOME_UNKNOWN"


class Outcome(StrEnum):
    """What came of a payment."""

    PAID = "paid"
    PAID_BEFORE = "paid before"
    DECLINED = "declined"
    REJECTED = "rejected"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOT_SENT = "not sent"


@dataclass(frozen=True, slots=True)
class Result:
    """An entry, what came of it, the answer if there was one, and what is wrong, if something is."""

    entry: FixtureEntry
    outcome: Outcome
    paid: Paid | None = None
    problem: PaycliError | None = None

    def as_dict(self) -> dict[str, object]:
        """The JSON form, without the problem."""
        where: dict[str, object] = {
            "outcome": self.outcome,
            "file": str(self.entry.path),
            "line": self.entry.line,
        }
        if self.paid is not None:
            return {**where, **self.paid.as_dict()}
        if isinstance(self.entry, DocumentError):
            return where
        return {**where, "payment_id": None, "status": None, **self.entry.charge.as_dict()}


class Unmet(CheckFailed):
    """A payment got another status than its fixture expects."""

    reason = "EXPECTATION_UNMET"

    def __init__(self, payment: FixturePayment, paid: Paid) -> None:
        why = f" ({paid.decline_reason})" if paid.decline_reason else ""
        super().__init__(
            f"expected {payment.expect}, got {paid.status}{why}.",
            metadata={"expected": payment.expect, "got": paid.status},
        )


class Run:
    """Sends entries in order and reports each. Broken off, it knows what was not reported."""

    def __init__(self, entries: Iterable[FixtureEntry], report: Callable[[Result], None]) -> None:
        self._entries = iter(entries)
        self._report = report
        self._unreported: Result | None = None
        self._exit_codes = {0}
        self._anything_done = False
        self.totals: Counter[Outcome] = Counter()
        self.ended_because = ""

    @property
    def exit_code(self) -> int:
        """The worst that is true: 3 says that nothing was carried out at all."""
        codes = self._exit_codes
        if self._anything_done and NotTaken.exit_code in codes:
            codes = codes - {NotTaken.exit_code} | {CheckFailed.exit_code}
        return max(codes)

    def send(self, channel: grpc.Channel, timeout_s: float) -> None:
        """Send all, or until the service as a whole takes no more; then the rest is not sent."""
        for entry in self._entries:
            if isinstance(entry, DocumentError):
                self._tell(_not_sent(entry))
                continue
            self._unreported = _lost(entry)
            result = _send(channel, entry, timeout_s)
            self._tell(result)
            why = why_to_end(result.problem, channel, timeout_s)
            if why:
                self.leave(why)

    def leave(self, why: str) -> None:
        """Report what is left as not sent."""
        self.ended_because = why
        for entry in self._entries:
            self._tell(_not_sent(entry))

    def break_off(self, why: str) -> None:
        """Report what was on its way, which nobody has heard of, and the rest as not sent."""
        result = self._unreported
        if result is not None:
            if result.paid is not None:
                result = replace(result, problem=_at(result.entry, untold(result.paid, why)))
            self._tell(result)
        self.leave(why[0].lower() + why[1:])

    def _tell(self, result: Result) -> None:
        self._unreported = result
        self._report(result)
        self._unreported = None
        self.totals[result.outcome] += 1
        problem = result.problem
        self._exit_codes.add(problem.exit_code if problem is not None else 0)
        if result.outcome is not Outcome.NOT_SENT and not isinstance(problem, NotTaken):
            self._anything_done = True


def _send(channel: grpc.Channel, entry: FixturePayment, timeout_s: float) -> Result:
    try:
        paid = send(channel, entry.charge, timeout_s)
    except PaycliError as problem:
        outcome = Outcome.UNKNOWN if isinstance(problem, OutcomeUnknown) else Outcome.FAILED
        return Result(entry, outcome, problem=_at(entry, problem))
    if not paid.succeeded:
        outcome = Outcome.DECLINED
    else:
        outcome = Outcome.PAID_BEFORE if paid.replayed else Outcome.PAID
    unmet = None if paid.status == entry.expect else _at(entry, Unmet(entry, paid))
    return Result(entry, outcome, paid, unmet)


def _lost(entry: FixturePayment) -> Result:
    problem = unknown(entry.charge, "Interrupted before an answer came")
    return Result(entry, Outcome.UNKNOWN, problem=_at(entry, problem))


def _not_sent(entry: FixtureEntry) -> Result:
    problem = entry if isinstance(entry, DocumentError) else None
    return Result(entry, Outcome.NOT_SENT, problem=problem)


def why_to_end(problem: PaycliError | None, channel: grpc.Channel, timeout_s: float) -> str:
    """Why the next payment would fare no better; "" when it may."""
    if problem is None:
        return ""
    if isinstance(problem, NotTaken) and problem.reason not in _OF_THIS_PAYMENT:
        return "the service takes no payments now"
    if problem.reason == _STORE_LOST:
        return "the service lost its store"
    if isinstance(problem, Refused):
        return "the service refuses the caller"
    if problem.status == "UNIMPLEMENTED":
        return "the service does not offer payments"
    lost = isinstance(problem, OutcomeUnknown) and problem.status in _NO_ANSWER
    if lost and not answers(channel, timeout_s):
        return "the service does not answer any more"
    return ""


def _at(entry: FixtureEntry, problem: PaycliError) -> PaycliError:
    problem.message = f"{entry.path}:{entry.line}: {problem.message}"
    return problem
