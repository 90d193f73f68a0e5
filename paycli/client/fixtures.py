"""Fixtures: YAML files of payments to send, however many. docs/fixtures.md has every key.

defaults: {currency: EUR, user_id: alice}   # for every payment below
payments:
  - order_id: order-1
    amount: 99.99                           # exact: the digits are kept
  - order_id: order-${n}
    amount: 5
    repeat: 3                               # order-1, order-2, order-3
  - name: dinner
    order_id: dinner-1
    amount: 80
    capture_method: MANUAL                  # authorize only
    then: [capture: 60, void]               # and what is done with it
"""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from paycli.client.charges import Charge, Paid
from paycli.client.fixture_choices import Choices
from paycli.client.fixture_payments import (
    DEFAULT_KEYS,
    PAYMENT_KEYS,
    EntryReader,
    FixtureEntry,
    FixturePayment,
    Mistaken,
    kept,
)
from paycli.client.seen import Seen
from paycli.documents import Node
from paycli.errors import DocumentError
from paycli.long_documents import LongDocument

FIXTURE_KEYS: Final = ("defaults", "payments")
# What others may refer to as ${payments.NAME.FIELD}.
REFERABLE: Final = ("payment_id", "status", "decline_reason", "order_id", "user_id", "amount")
_COUNT: Final = re.compile("[0-9]{1,9}")
_NAME: Final = re.compile("[A-Za-z_][A-Za-z0-9_-]*")
_REPEAT_MAX: Final = 1_000_000
_NAMES_MAX: Final = 10_000  # what they got is kept until the end


class Fixture:
    """The payments of a file in order; a wrong one comes as its mistakes, beside its neighbours.

    The file is read anew each time, first to check and then to send, and never held in memory.
    """

    def __init__(self, path: Path, choices: Choices | None = None) -> None:
        """Raises DocumentError when the file as a whole is no fixture."""
        self.path = path
        self.is_broken = False
        """Whether it could not be read to its end; what stands there nobody knows."""
        self._choices = choices or Choices()
        self._document = LongDocument(path, "a fixture", FIXTURE_KEYS, "payments")
        head = self._document.head()
        if "payments" not in head:
            raise DocumentError(path, "a fixture needs 'payments:', a list of what to send.", 1)
        head["payments"].items("payments")
        defaults = head["defaults"].fields("defaults", DEFAULT_KEYS) if "defaults" in head else {}
        self._defaults = self._choices.set_defaults(defaults)

    @property
    def bytes_read(self) -> int:
        """How far the file has been read, compressed as it is."""
        return self._document.bytes_read

    def __iter__(self) -> Iterator[FixtureEntry]:
        """To check them: where one refers to an answer, something of the kind stands in for it."""
        return self._read(None)

    def to_send(self) -> Iterator[FixtureEntry]:
        """To send each before the next is asked for, which may refer to its answer."""
        return self._read({})

    def _read(self, answers: dict[str, Paid] | None) -> Iterator[FixtureEntry]:
        seen, earlier = Seen(), _Earlier(answers)
        try:
            for number, node in enumerate(self._document.items(), 1):
                yield from self._payments(number, node, seen, earlier)
        except DocumentError as problem:
            self.is_broken = True
            yield Mistaken(self.path, problem.line or 1, (problem,))

    def _payments(
        self, number: int, node: Node, seen: Seen, earlier: _Earlier
    ) -> Iterator[FixtureEntry]:
        mistakes: list[DocumentError] = []
        name, repeat, fields = "", 1, self._defaults
        with kept(mistakes):
            own = node.fields("a payment", PAYMENT_KEYS, mistakes=mistakes)
            fields = self._defaults | own
            if "name" in own:
                name = own["name"].parse("name", earlier.new_name)
            fields = self._defaults | self._choices.set_payment(number, name, own)
            if "repeat" in fields:
                repeat = fields["repeat"].parse("repeat", _repeat)
            if name and repeat > 1:
                raise own["name"].error("name: a payment with 'repeat' is many; it has no name.")
        for n in range(1, repeat + 1):
            earlier.missing = ""
            own_values: dict[str, Callable[[], str]] = {"n": partial(str, n)}
            values = ChainMap(own_values, earlier.values)
            entry = EntryReader(node, fields, values, mistakes).entry(name, earlier.answers)
            if isinstance(entry, FixturePayment):
                entry = _once(node, entry, seen)
            if isinstance(entry, Mistaken):
                yield entry
                return
            # Of an order that depends on an answer only a name tells which it is.
            order_id = "" if entry.unknown_by else entry.charge.order_id
            is_wanted = self._choices.is_wanted(name, order_id)
            if name:
                earlier.keep(name, entry.charge, is_sent=is_wanted)
            if is_wanted and earlier.missing:
                yield Mistaken(node.path, node.line, (earlier.problem(node),))
            elif is_wanted:
                yield entry


class Unanswered(DocumentError):
    """A payment refers to the answer of one that got none, or is not sent; itself it is right."""

    exit_code = 1
    reason = "REFERENCE_UNANSWERED"


class _Earlier:
    """What payments above are called and got, as `${payments.NAME.FIELD}`."""

    def __init__(self, answers: dict[str, Paid] | None) -> None:
        self.answers = answers
        self.values: dict[str, Callable[[], str]] = {}
        self.missing = ""
        """The payment without an answer that was referred to, if one was."""
        self._is_missing_sent = False
        self._names: set[str] = set()

    def new_name(self, written: str) -> str:
        """A name that no payment above has. Raises ValueError."""
        if not _NAME.fullmatch(written):
            raise ValueError(
                f"'{written}' is no name; use letters, digits, - and _, a letter first."
            )
        if written in self._names:
            raise ValueError(f"'{written}' is the name of a payment above.")
        if len(self._names) >= _NAMES_MAX:
            raise ValueError(f"a fixture has at most {_NAMES_MAX:,}; name what others refer to.")
        self._names.add(written)
        return written

    def problem(self, node: Node) -> DocumentError:
        """What is wrong with a payment that refers to one without an answer."""
        said = f"it refers to payment '{self.missing}', which"
        if not self._is_missing_sent:
            return node.error(f"{said} --only leaves out.")
        return Unanswered(node.path, f"{said} got no answer.", node.line, node.column)

    def keep(self, name: str, charge: Charge, *, is_sent: bool) -> None:
        """Let those below refer to it."""
        for field in REFERABLE:
            value = partial(self._value, name, field, charge, is_sent=is_sent)
            self.values[f"payments.{name}.{field}"] = value

    def _value(self, name: str, field: str, charge: Charge, *, is_sent: bool) -> str:
        told: Mapping[str, object] = charge.as_dict()
        if field not in told:
            if not is_sent or (self.answers is not None and name not in self.answers):
                self.missing = name
                self._is_missing_sent = is_sent
                return f"{field}-of-{name}"
            if self.answers is None:
                return f"{field}-of-{name}"
            told = self.answers[name].as_dict()
        return str(told[field] or "")


def _once(node: Node, payment: FixturePayment, seen: Seen) -> FixtureEntry:
    """The payment, unless the service would take it for the retry of one above."""
    charge = payment.charge
    above = seen.add(charge.request_key, node.line)
    if above is None:
        return payment
    if above == node.line:
        field = "idempotency_key" if charge.idempotency_key else "order_id"
        said = (
            f"{charge.name} comes more than once; write ${{n}} into its {field}, or list it once."
        )
    else:
        said = f"{charge.name} stands in line {above} already; pay it once."
    return Mistaken(payment.path, payment.line, (node.error(said),))


def _repeat(written: str) -> int:
    if not _COUNT.fullmatch(written) or not 0 < int(written) <= _REPEAT_MAX:
        raise ValueError(f"'{written}' is not a number from 1 to {_REPEAT_MAX:,}.")
    return int(written)
