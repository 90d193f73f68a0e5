"""Follow-ups: what a fixture does with a payment once it is paid: capture, void, refund.

then:
  - capture: 20.00                          # so much; 'capture' alone is all that is left
  - capture: {amount: 5, final: true}       # and give the rest back
  - refund: {amount: 2.50, reason: cold}
  - void: {expect_error: STATE_FORBIDS}     # must be refused, and why
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final

from paycli.client.charges import Charge, Paid
from paycli.client.payments import Changed, Payments, unknown
from paycli.client.persistence import Persistence
from paycli.client.records import Record
from paycli.documents import Node
from paycli.errors import CheckFailed, DocumentError, InvalidPayment, OutcomeUnknown, PaycliError
from paycli.payments.money import decimal_from_minor, minor_from_decimal


class Action(StrEnum):
    """What can be done with a payment."""

    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"


class Ending(StrEnum):
    """What came of an action."""

    DONE = "done"
    DONE_BEFORE = "done before"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOT_DONE = "not done"
    NOT_ASKED = "not asked again"  # what must be refused, of a payment that was there before


KEYS: Final = {
    Action.CAPTURE: ("amount", "final", "expect_error"),
    Action.VOID: ("expect_error",),
    Action.REFUND: ("amount", "reason", "expect_error"),
}


@dataclass(frozen=True, slots=True)
class FollowUp:
    """An action, before its payment has an id. `amount` is None for all that is left."""

    action: Action
    amount: str | None
    final: bool
    reason: str
    expect_error: str
    key: str
    line: int

    def as_dict(self) -> dict[str, object]:
        """The JSON form."""
        return {"action": self.action, "amount": self.amount, "idempotency_key": self.key}

    def __str__(self) -> str:
        final = " and give the rest back" if self.final else ""
        return f"{self.action} {self.amount}{final}" if self.amount else f"{self.action}{final}"

    def words(self, payment_id: str) -> list[str]:
        """The command line that does it, or tells that it was done."""
        words = ["payments", self.action, payment_id]
        words += ["--amount", self.amount] if self.amount is not None else []
        words += ["--final"] if self.final else []
        words += ["--reason", self.reason] if self.reason else []
        return [*words, "--idempotency-key", self.key]

    def unheard(self) -> PaycliError:
        """The error that it was sent and somebody ended the command before an answer came."""
        return unknown(f"Interrupted before an answer to the {self.action} came")

    def carry_out(self, payments: Payments, paid: Paid, persistence: Persistence) -> Done:
        """Do it; nothing is raised but interrupts.

        What must be refused is asked for once: after all that follows it might be carried out.
        """
        if self.expect_error and paid.replayed:
            return Done(self, is_left_out=True)
        payment_id, currency = paid.payment_id, paid.charge.currency
        try:
            changed = persistence.until_answered(
                lambda: self._change(payments, payment_id, currency)
            )
        except PaycliError as problem:
            if not self.expect_error or isinstance(problem, OutcomeUnknown):
                return Done(self, problem=problem)
            if problem.reason == self.expect_error:
                return Done(self)
            return Done(self, problem=self._unmet(f"{problem.reason}: {problem}"))
        if self.expect_error:
            unmet = self._unmet("none: it was done")
            return Done(self, changed.record, changed.replayed, unmet)
        return Done(self, changed.record, changed.replayed)

    def _unmet(self, got: str) -> CheckFailed:
        return CheckFailed(
            f"expected the error {self.expect_error}, got {got.rstrip('.')}.",
            reason="EXPECTATION_UNMET",
            metadata={"expected": self.expect_error},
        )

    def _change(self, payments: Payments, payment_id: str, currency: str) -> Changed:
        match self.action:
            case Action.CAPTURE:
                return payments.capture(
                    payment_id, self.amount, self.key, final=self.final, currency=currency
                )
            case Action.VOID:
                return payments.void(payment_id, self.key)
            case Action.REFUND:
                return payments.refund(
                    payment_id, self.amount, self.reason, self.key, currency=currency
                )


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a follow-up; without a record and a problem, the error that was expected."""

    follow_up: FollowUp
    record: Record | None = None
    replayed: bool = False
    problem: PaycliError | None = None
    is_left_out: bool = False

    @property
    def is_refused(self) -> bool:
        """Whether it got the error that was expected."""
        return self.record is None and self.problem is None and not self.is_left_out

    @property
    def ending(self) -> Ending:
        """How it ended: an error that was expected is as good as done, and what was done is done."""
        if self.is_left_out:
            return Ending.NOT_ASKED
        if self.problem is None or self.record is not None:
            return Ending.DONE_BEFORE if self.replayed else Ending.DONE
        return Ending.UNKNOWN if isinstance(self.problem, OutcomeUnknown) else Ending.FAILED

    def as_dict(self) -> dict[str, object]:
        """The JSON form, without the problem."""
        return {**self.follow_up.as_dict(), "outcome": self.ending, "result": self.record}


def read_follow_ups(node: Node, charge: Charge, mistakes: list[DocumentError]) -> list[FollowUp]:
    """The entries of `then:`, but for those that are mistakes. Raises DocumentError if it is no list."""
    found: list[FollowUp] = []
    for each in node.items("then"):
        try:
            found.append(_follow_up(each, found, charge))
        except DocumentError as problem:
            mistakes.append(problem)
    return found


def _follow_up(node: Node, above: list[FollowUp], charge: Charge) -> FollowUp:
    action, value = _action(node)
    fields: dict[str, Node] = {}
    if value is not None and not value.is_null:
        if value.is_scalar and "amount" in KEYS[action]:
            fields = {"amount": value}
        else:
            fields = value.fields(action, KEYS[action])
    expect_error = fields["expect_error"].text("expect_error") if "expect_error" in fields else ""
    if not expect_error:
        _refuse_impossible(node, action, fields, charge)
    alike = [
        each
        for each in above
        if each.action is action and bool(each.expect_error) == bool(expect_error)
    ]
    return FollowUp(
        action,
        _amount(fields["amount"], charge.currency) if "amount" in fields else None,
        final="final" in fields and fields["final"].truth("final"),
        reason=fields["reason"].text("reason") if "reason" in fields else "",
        expect_error=expect_error,
        key=_key(charge, f"{action} {expect_error and 'refused'}", len(alike) + 1),
        line=node.line,
    )


def _refuse_impossible(
    node: Node, action: Action, fields: Mapping[str, Node], charge: Charge
) -> None:
    """Find what can only fail before any money moves."""
    if action is not Action.REFUND and not charge.is_manual:
        raise node.error(
            f"{action}: it is taken at once; only 'capture_method: MANUAL' holds it first."
        )
    if "amount" in fields:
        amount = minor_from_decimal(_amount(fields["amount"], charge.currency), charge.currency)
        if amount > charge.amount:
            raise fields["amount"].error(
                f"{action}: that is more than the payment's {charge.decimal_amount}."
            )


def _action(node: Node) -> tuple[Action, Node | None]:
    """What is to be done, and how, if that is said."""
    if node.is_scalar:
        return node.parse("a follow-up", _known), None
    fields = node.fields("a follow-up", tuple(Action))
    if len(fields) != 1:
        raise node.error("a follow-up is one action, such as 'capture: 20.00' or 'void'.")
    ((name, value),) = fields.items()
    return Action(name), value


def _known(written: str) -> Action:
    if written not in tuple(Action):
        raise ValueError(f"'{written}' is no action; write {', '.join(Action)}.")
    return Action(written)


def _amount(node: Node, currency: str) -> str:
    written = node.text("amount")
    try:
        return decimal_from_minor(minor_from_decimal(written, currency), currency)
    except InvalidPayment as problem:
        raise node.error(problem.message) from problem


def _key(charge: Charge, what: str, number: int) -> str:
    """The same whenever the fixture is paid again: then it is done once.

    Of the payment, and how many of its kind stand above it: what else is put before it, or taken away,
    changes nothing, and another amount in its place is a conflict.
    """
    digest = sha256(f"{what} {number} {charge.request_key}".encode()).hexdigest()
    return f"fixture-{what.split()[0]}-{digest[:32]}"
