"""Batches and their outcomes as bytes, on their way to the writer process and back.

Both ends are the same program in the same interpreter, so `marshal` will do, which is the fastest
there is for tuples. It knows neither named tuples nor enums: records travel as plain tuples.
"""

from __future__ import annotations

import marshal
import pickle
from collections.abc import Sequence
from typing import Any, Final

from paycli.payments.batch import Intended, Outcome, Receipt, Withdrawn
from paycli.payments.commands import Change, Command, Create, Intend, Withdraw
from paycli.payments.payment import Entry, Payment
from paycli.payments.states import Action
from paycli.storage.failures import CommitFailed

_CREATE: Final = 0
_CHANGE: Final = 1
_INTEND: Final = 2
_WITHDRAW: Final = 3

_RECEIPT: Final = 0
_INTENDED: Final = 1
_WITHDRAWN: Final = 2
_REFUSED: Final = 3

_Tagged = tuple[int, Any]


def commands_to_bytes(commands: Sequence[Command]) -> bytes:
    """A batch for the writer."""
    return marshal.dumps([_tagged_command(command) for command in commands])


def commands_from_bytes(data: bytes) -> list[Command]:
    """The batch again."""
    return [_command(tag, values) for tag, values in marshal.loads(data)]  # noqa: S302 - our own


def answer_to_bytes(answer: tuple[list[Outcome], int] | CommitFailed) -> bytes:
    """The outcomes of a batch and the last seq after it, or how the store broke."""
    if isinstance(answer, CommitFailed):
        return marshal.dumps(str(answer))
    outcomes, seq = answer
    return marshal.dumps(([_tagged_outcome(outcome) for outcome in outcomes], seq))


def answer_from_bytes(data: bytes) -> tuple[list[Outcome], int]:
    """The answer again. Raises CommitFailed."""
    answer = marshal.loads(data)  # noqa: S302 - our own
    if isinstance(answer, str):
        raise CommitFailed(answer)
    outcomes, seq = answer
    return [_outcome(tag, values) for tag, values in outcomes], seq


def _tagged_command(command: Command) -> _Tagged:
    if isinstance(command, Create):
        return _CREATE, _create_values(command)
    if isinstance(command, Change):
        key, payment_id, action, *rest = command
        return _CHANGE, (key, payment_id, action.value, *rest)
    if isinstance(command, Intend):
        return _INTEND, _create_values(command.create)
    return _WITHDRAW, command.request_key


def _command(tag: int, values: Any) -> Command:
    if tag == _CREATE:
        return Create._make(values)
    if tag == _CHANGE:
        key, payment_id, action, *rest = values
        return Change(key, payment_id, Action(action), *rest)
    if tag == _INTEND:
        return Intend(Create._make(values))
    return Withdraw(values)


def _tagged_outcome(outcome: Outcome) -> _Tagged:
    if isinstance(outcome, Receipt):
        payment, entry, replayed = outcome
        plain_entry = (*entry[:3], int(entry.kind), *entry[4:])
        return _RECEIPT, (
            (*payment[:6], int(payment.capture_method), *payment[7:]),
            plain_entry,
            replayed,
        )
    if isinstance(outcome, Intended):
        return _INTENDED, _create_values(outcome.create)
    if isinstance(outcome, Withdrawn):
        return _WITHDRAWN, None
    return _REFUSED, pickle.dumps(outcome)


def _outcome(tag: int, values: Any) -> Outcome:
    if tag == _RECEIPT:
        payment, entry, replayed = values
        return Receipt(Payment._make(payment), Entry._make(entry), replayed)
    if tag == _INTENDED:
        return Intended(Create._make(values))
    if tag == _WITHDRAWN:
        return Withdrawn()
    refusal: Outcome = pickle.loads(values)  # noqa: S301 - our own
    return refusal


def _create_values(create: Create) -> tuple[Any, ...]:
    return (*create[:7], int(create.capture_method), *create[8:])
