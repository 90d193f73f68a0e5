"""One entry of a fixture as a payment to send: every mistake in it is found, not just the first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from paycli.client.charges import AUTHORIZED, Charge, Paid, charge
from paycli.client.follow_ups import FollowUp, read_follow_ups
from paycli.documents import Node, nearest
from paycli.errors import DocumentError, InvalidPayment
from paycli.placeholders import UUID, Values, expand
from paycli.wire_names import FAILED, SUCCESS

TEXT_FIELDS: Final = ("order_id", "amount", "currency", "user_id", "idempotency_key")
DEFAULT_KEYS: Final = (*TEXT_FIELDS, "capture_method", "expect", "repeat", "then")
PAYMENT_KEYS: Final = ("name", *DEFAULT_KEYS)
STATUSES: Final = (SUCCESS, FAILED, AUTHORIZED)
CAPTURE_METHODS: Final = ("AUTOMATIC", "MANUAL")
EXPECT_KEYS: Final = ("status", "decline_reason")
_REFERENCE: Final = "${payments."
# Right values in place of wrong ones, to find what else is wrong.
_STAND_INS: Final = {"order_id": "order", "amount": "1", "currency": "EUR"}


class Expected(NamedTuple):
    """How a payment is to end; `decline_reason` is "" for any."""

    status: str
    decline_reason: str = ""

    @classmethod
    def of(cls, paid: Paid) -> Expected:
        """How a payment did end."""
        return cls(paid.status, paid.decline_reason)

    def is_met(self, paid: Paid) -> bool:
        """Whether it ended so."""
        return paid.status == self.status and self.decline_reason in ("", paid.decline_reason)

    def __str__(self) -> str:
        return f"{self.status} ({self.decline_reason})" if self.decline_reason else self.status


PAID: Final = Expected(SUCCESS)


@dataclass(frozen=True, slots=True)
class FixturePayment:
    """A charge of a fixture, how it should end, what is done then, and where it stands."""

    charge: Charge
    expect: Expected
    path: Path
    line: int
    name: str = ""
    then: tuple[FollowUp, ...] = ()
    unknown_by: str = ""
    """What in its key the file does not tell: `${uuid}`, or an answer; "" for nothing."""
    answers: dict[str, Paid] | None = field(default=None, compare=False)
    """What payments with a name got, for those below; None where nothing is sent."""

    def answered(self, paid: Paid) -> None:
        """Keep the answer for those below that refer to it."""
        if self.name and self.answers is not None:
            self.answers[self.name] = paid


@dataclass(frozen=True, slots=True)
class Mistaken:
    """An entry that is no payment, and all that is wrong with it."""

    path: Path
    line: int
    problems: tuple[DocumentError, ...]


FixtureEntry = FixturePayment | Mistaken


class EntryReader:
    """Reads the fields of an entry, those of the defaults among them, for one of its repetitions."""

    def __init__(
        self,
        node: Node,
        fields: Mapping[str, Node],
        values: Values,
        mistakes: Iterable[DocumentError],
    ) -> None:
        """`values` fill placeholders; `mistakes` are known already."""
        self._node = node
        self._fields = fields
        self._values = values
        self._mistakes = list(mistakes)
        # What is missing is then most likely there, misspelt.
        self._tells_of_missing = not self._mistakes

    def entry(self, name: str, answers: dict[str, Paid] | None) -> FixtureEntry:
        """The payment, or what is wrong with it."""
        path, line = self._node.path, self._node.line
        checked = self._charge()
        expect = self._expected()
        then = self._follow_ups(checked) if checked is not None else ()
        if then and expect.status == FAILED:
            with self._kept():
                raise self._fields["then"].error("then: nothing follows a payment that is to fail.")
        if self._mistakes or checked is None:
            return Mistaken(path, line, tuple(self._mistakes))
        return FixturePayment(
            checked, expect, path, line, name, then, self._unknown_by(checked), answers
        )

    def _kept(self) -> AbstractContextManager[None]:
        return kept(self._mistakes)

    @contextmanager
    def _kept_of(self, field: str) -> Iterator[None]:
        mistakes: list[DocumentError] = []
        with kept(mistakes):
            yield
        if field in self._fields or self._tells_of_missing:
            self._mistakes += mistakes

    def _charge(self) -> Charge | None:
        texts: dict[str, str] = {}
        if "amount" not in self._fields:
            with self._kept_of("amount"):
                raise self._node.error("amount is missing; write for example 'amount: 99.99'.")
            texts["amount"] = _STAND_INS["amount"]
        for name in TEXT_FIELDS:
            if name in self._fields:
                texts[name] = _STAND_INS.get(name, "")
                with self._kept():
                    texts[name] = self._fields[name].parse(name, self._filled)
        while True:
            try:
                return charge(
                    order_id=texts.get("order_id", ""),
                    amount=texts["amount"],
                    currency=texts.get("currency", ""),
                    user_id=texts.get("user_id", ""),
                    idempotency_key=texts.get("idempotency_key", ""),
                    is_manual=self._is_manual(),
                )
            except InvalidPayment as problem:
                with self._kept_of(problem.field):
                    raise self._fields.get(problem.field, self._node).error(
                        problem.message
                    ) from problem
                stand_in = _STAND_INS.get(problem.field, "")
                if texts.get(problem.field, "") == stand_in:
                    return None
                texts[problem.field] = stand_in

    def _unknown_by(self, checked: Charge) -> str:
        key = ("idempotency_key",) if checked.idempotency_key else ("order_id", "user_id")
        texts = [self._fields[each].raw.value for each in key if each in self._fields]
        return next(
            (each for each in (UUID, _REFERENCE) if any(each in text for text in texts)), ""
        )

    def _filled(self, written: str) -> str:
        return expand(written, self._values)

    def _is_manual(self) -> bool:
        return "capture_method" in self._fields and self._fields["capture_method"].raw.value == (
            "MANUAL"
        )

    def _expected(self) -> Expected:
        """Without a word of it: that it is paid, or authorized."""
        usual = Expected(AUTHORIZED) if self._is_manual() else PAID
        with self._kept():
            if "capture_method" in self._fields:
                self._fields["capture_method"].parse("capture_method", _capture_method)
        with self._kept():
            if "expect" not in self._fields:
                return usual
            node = self._fields["expect"]
            fields = {"status": node} if node.is_scalar else node.fields("expect", EXPECT_KEYS)
            reason = (
                fields["decline_reason"].text("decline_reason")
                if "decline_reason" in fields
                else ""
            )
            status = FAILED if reason else usual.status
            if "status" in fields:
                status = fields["status"].parse("status", _status)
            if reason and status != FAILED:
                raise node.error(f"expect: only {FAILED} has a decline_reason.")
            if status not in (usual.status, FAILED):
                raise node.error(
                    f"expect: a capture_method of MANUAL, and no other, is {AUTHORIZED}."
                )
            return Expected(status, reason)
        return usual

    def _follow_ups(self, checked: Charge) -> tuple[FollowUp, ...]:
        with self._kept():
            if "then" in self._fields:
                return tuple(read_follow_ups(self._fields["then"], checked, self._mistakes))
        return ()


@contextmanager
def kept(mistakes: list[DocumentError]) -> Iterator[None]:
    """A mistake in here is added to others."""
    try:
        yield
    except DocumentError as problem:
        mistakes.append(problem)


def _status(written: str) -> str:
    if written not in STATUSES:
        raise ValueError(f"'{written}' is not a status; write {', '.join(STATUSES)}.")
    return written


def _capture_method(written: str) -> str:
    if written not in CAPTURE_METHODS:
        raise ValueError(
            f"'{written}' is not a way to capture; {nearest(written, CAPTURE_METHODS)}"
        )
    return written
