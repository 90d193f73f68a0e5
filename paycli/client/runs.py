"""Runs: the payments of fixtures, sent one after the other, what is done with each, and what came of it.

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
from paycli.client.charges import Paid, unknown, untold
from paycli.client.fixture_payments import Expected, FixtureEntry, FixturePayment, Mistaken
from paycli.client.follow_ups import Done, Ending, FollowUp
from paycli.client.payments import Payments
from paycli.client.persistence import Persistence
from paycli.errors import (
    CheckFailed,
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
    """An entry, what came of it, the answer if there was one, and what was done with it then."""

    entry: FixtureEntry
    outcome: Outcome
    paid: Paid | None = None
    problem: PaycliError | None = None
    done: tuple[Done, ...] = ()

    @property
    def problems(self) -> tuple[PaycliError, ...]:
        """All that is wrong with it."""
        if isinstance(self.entry, Mistaken):
            return self.entry.problems
        found = (self.problem, *(each.problem for each in self.done))
        return tuple(each for each in found if each is not None)

    @property
    def to_do(self) -> tuple[FollowUp, ...]:
        """What is to be done with it yet; nothing after a problem."""
        if self.paid is None or not self.paid.succeeded or self.problems:
            return ()
        return self.left_undone

    @property
    def left_undone(self) -> tuple[FollowUp, ...]:
        """What was to be done with it and was not tried."""
        then = self.entry.then if isinstance(self.entry, FixturePayment) else ()
        return then[len(self.done) :]

    def as_dict(self) -> dict[str, object]:
        """The JSON form, without the problems."""
        said: dict[str, object] = {
            "outcome": self.outcome,
            "file": str(self.entry.path),
            "line": self.entry.line,
        }
        if isinstance(self.entry, Mistaken):
            return said
        if self.paid is not None:
            said |= self.paid.as_dict()
        else:
            said |= {"payment_id": None, "status": None, **self.entry.charge.as_dict()}
        if self.entry.then:
            said["follow_ups"] = [each.as_dict() for each in self.done] + [
                {**each.as_dict(), "outcome": Ending.NOT_DONE, "result": None}
                for each in self.left_undone
            ]
        return said


class Unmet(CheckFailed):
    """A payment ended otherwise than its fixture expects."""

    reason = "EXPECTATION_UNMET"

    def __init__(self, expected: Expected, paid: Paid) -> None:
        why = {"decline_reason": paid.decline_reason} if paid.decline_reason else {}
        super().__init__(
            f"expected {expected}, got {Expected.of(paid)}.",
            metadata={"expected": str(expected), "got": paid.status, **why},
        )


class Run:
    """Sends entries in order and reports each. Broken off, it knows what was not reported."""

    def __init__(self, entries: Iterable[FixtureEntry], report: Callable[[Result], None]) -> None:
        self._entries = iter(entries)
        self._report = report
        self._unheard: Result | None = None  # what is true as long as no answer comes
        self._untold: Result | None = None
        self._exit_codes = {0}
        self._anything_done = False
        self.totals: Counter[Outcome] = Counter()
        self.follow_ups: Counter[Ending] = Counter()
        self.ended_because = ""

    @property
    def exit_code(self) -> int:
        """The worst that is true: 3 says that nothing was carried out at all."""
        codes = self._exit_codes
        if self._anything_done and NotTaken.exit_code in codes:
            codes = codes - {NotTaken.exit_code} | {CheckFailed.exit_code}
        return max(codes)

    def send(self, channel: grpc.Channel, timeout_s: float, retry_s: float) -> None:
        """Send all, or until the service as a whole takes no more; then the rest is not sent."""
        payments = Payments(channel, timeout_s)
        persistence = Persistence(channel, timeout_s, retry_s)
        for entry in self._entries:
            if isinstance(entry, Mistaken):
                self._tell(_not_sent(entry))
                continue
            self._unheard = _lost(entry)
            result = _send(entry, persistence)
            self._tell(self._follow_up(result, payments, persistence))
            why = why_to_end(result.problem, channel, timeout_s)
            if why:
                self.leave(why)

    def _follow_up(self, result: Result, payments: Payments, persistence: Persistence) -> Result:
        """Do what is to be done with it, as long as all goes well."""
        paid = result.paid
        while paid is not None and result.to_do:
            then = result.to_do[0]
            self._unheard = _with(result, Done(then, problem=then.unheard()))
            done = then.carry_out(payments, paid, persistence)
            result = _with(result, done)
        return result

    def leave(self, why: str) -> None:
        """Report what is left as not sent."""
        self.ended_because = why
        for entry in self._entries:
            self._tell(_not_sent(entry))

    def break_off(self, why: str) -> None:
        """Report what was on its way, which nobody has heard of, and the rest as not sent."""
        result = self._unheard
        if self._untold is not None:
            result = self._untold
            if result.paid is not None:
                result = replace(result, problem=_at(result.entry, untold(result.paid, why)))
        if result is not None:
            self._tell(result)
        self.leave(why[0].lower() + why[1:])

    def _tell(self, result: Result) -> None:
        self._untold = result
        self._report(result)
        self._untold = self._unheard = None
        self.totals[result.outcome] += 1
        self.follow_ups.update(each.ending for each in result.done)
        self.follow_ups[Ending.NOT_DONE] += len(result.left_undone)
        problems = result.problems
        self._exit_codes.update(each.exit_code for each in problems)
        not_taken = any(isinstance(each, NotTaken) for each in problems)
        if result.outcome is not Outcome.NOT_SENT and not (not_taken and result.paid is None):
            self._anything_done = True


def _send(entry: FixturePayment, persistence: Persistence) -> Result:
    try:
        paid = persistence.send(entry.charge)
    except PaycliError as problem:
        outcome = Outcome.UNKNOWN if isinstance(problem, OutcomeUnknown) else Outcome.FAILED
        return Result(entry, outcome, problem=_at(entry, problem))
    entry.answered(paid)
    if not paid.succeeded:
        outcome = Outcome.DECLINED
    else:
        outcome = Outcome.PAID_BEFORE if paid.replayed else Outcome.PAID
    unmet = None if entry.expect.is_met(paid) else _at(entry, Unmet(entry.expect, paid))
    return Result(entry, outcome, paid, unmet)


def _lost(entry: FixturePayment) -> Result:
    problem = unknown(entry.charge, "Interrupted before an answer came")
    return Result(entry, Outcome.UNKNOWN, problem=_at(entry, problem))


def _with(result: Result, done: Done) -> Result:
    if done.problem is not None:
        then = done.follow_up
        where = f"{result.entry.path}:{then.line}: {then.action}"
        done.problem.message = f"{where}: {done.problem.message}"
    return replace(result, done=(*result.done, done))


def _not_sent(entry: FixtureEntry) -> Result:
    return Result(entry, Outcome.NOT_SENT)


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
