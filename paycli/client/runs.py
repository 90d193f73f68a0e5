"""Runs: the payments of fixtures, sent one after the other, and what came of each.

Nothing that was sent is forgotten: until its answer is told, a payment stands as unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import grpc

from paycli.client.channel import answers
from paycli.client.charges import Paid, send, unknown
from paycli.client.fixtures import FixtureEntry, FixturePayment
from paycli.errors import (
    CheckFailed,
    DocumentError,
    OutcomeUnknown,
    Overloaded,
    PaycliError,
    ProcessorUnavailable,
    Unreachable,
)

_OF_THIS_PAYMENT: Final = (Overloaded.reason, ProcessorUnavailable.reason)
_NO_ANSWER: Final = ("CANCELLED", "DEADLINE_EXCEEDED", "UNAVAILABLE")
_STORE_LOST: Final = "STORE_OUTCOME_UNKNOWN"


class Outcome(StrEnum):
    """What came of a payment."""

    PAID = "paid"
    PAID_BEFORE = "paid before"
    DECLINED = "declined"
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

    def __init__(
        self,
        channel: grpc.Channel | None,
        entries: Iterable[FixtureEntry],
        timeout_s: float,
        report: Callable[[Result], None],
    ) -> None:
        self._channel = channel
        self._entries = iter(entries)
        self._timeout_s = timeout_s
        self._report = report
        self._exit_codes = {0}
        self._anything_done = False
        self.totals: Counter[Outcome] = Counter()
        self.unreported: Result | None = None
        self.ended_because = ""

    @property
    def exit_code(self) -> int:
        """The worst that is true: 3 says that nothing was carried out at all."""
        codes = self._exit_codes
        if self._anything_done and Unreachable.exit_code in codes:
            codes = codes - {Unreachable.exit_code} | {CheckFailed.exit_code}
        return max(codes)

    def send(self) -> None:
        """Send all, or until the service as a whole takes no more; then the rest is not sent."""
        for entry in self._entries:
            if isinstance(entry, DocumentError):
                self._tell(Result(entry, Outcome.NOT_SENT, problem=entry))
                continue
            lost = unknown(entry.charge, "Interrupted before an answer came")
            self.unreported = _broken(entry, lost)
            self.unreported = result = self._send(entry)
            self._tell(result)
            self.unreported = None
            self.ended_because = self._why_to_end(result.problem)
            if self.ended_because:
                break
        self.leave()

    def leave(self) -> None:
        """Report what is left as not sent."""
        for entry in self._entries:
            problem = entry if isinstance(entry, DocumentError) else None
            self._tell(Result(entry, Outcome.NOT_SENT, problem=problem))

    def _send(self, entry: FixturePayment) -> Result:
        assert self._channel is not None
        try:
            paid = send(self._channel, entry.charge, self._timeout_s)
        except PaycliError as problem:
            return _broken(entry, problem)
        if not paid.succeeded:
            outcome = Outcome.DECLINED
        else:
            outcome = Outcome.PAID_BEFORE if paid.replayed else Outcome.PAID
        unmet = None if paid.status == entry.expect else _at(entry, Unmet(entry, paid))
        return Result(entry, outcome, paid, unmet)

    def _tell(self, result: Result) -> None:
        self.count(result)
        self._report(result)

    def count(self, result: Result) -> None:
        """Take a result into the totals and the exit code."""
        self.totals[result.outcome] += 1
        problem = result.problem
        self._exit_codes.add(problem.exit_code if problem is not None else 0)
        if result.outcome is not Outcome.NOT_SENT and not isinstance(problem, Unreachable):
            self._anything_done = True

    def _why_to_end(self, problem: PaycliError | None) -> str:
        """Why the next payment would fare no better; "" when it may."""
        if problem is None:
            return ""
        if isinstance(problem, Unreachable) and problem.reason not in _OF_THIS_PAYMENT:
            return "the service takes no payments now"
        if problem.reason == _STORE_LOST:
            return "the service lost its store"
        if problem.status == "UNAUTHENTICATED":
            return "the service refuses the caller"
        lost = isinstance(problem, OutcomeUnknown) and problem.status in _NO_ANSWER
        if lost and not answers(self._channel, self._timeout_s):
            return "the service does not answer any more"
        return ""


def _broken(entry: FixturePayment, problem: PaycliError) -> Result:
    unknown = isinstance(problem, OutcomeUnknown)
    return Result(
        entry, Outcome.UNKNOWN if unknown else Outcome.FAILED, problem=_at(entry, problem)
    )


def _at(entry: FixturePayment, problem: PaycliError) -> PaycliError:
    problem.message = f"{entry.path}:{entry.line}: {problem.message}"
    return problem
