"""Batches and their outcomes as bytes, on their way to the writer process and back.

Both ends are the same program in the same interpreter, so `marshal` will do, which is the fastest
there is for tuples. It knows neither named tuples nor enums: records travel as plain tuples.
"""

from __future__ import annotations

import marshal
import pickle
from collections.abc import Sequence
from typing import Any, Final

from paycli.payments.batch import Claimed, NotOnRecord, OnRecord, Outcome, Receipt, Withdrawn
from paycli.payments.commands import (
    Change,
    Command,
    Create,
    Intend,
    Release,
    Resolve,
    Resume,
    Withdraw,
)
from paycli.payments.payment import Entry, Payment
from paycli.payments.states import Action
from paycli.storage.failures import CommitFailed, CommitRefused

_CREATE: Final = 0
_CHANGE: Final = 1
_INTEND: Final = 2
_RECEIPT: Final = 0
_CLAIMED: Final = 1
_REFUSED: Final = 2
# Those that hold nothing but plain values, by their tags.
_PLAIN_COMMANDS: Final[dict[int, Any]] = {3: Resume, 4: Resolve, 5: Withdraw, 6: Release}
_PLAIN_OUTCOMES: Final[dict[int, Any]] = {3: OnRecord, 4: Withdrawn, 5: NotOnRecord}
_TAGS: Final = {kind: tag for tag, kind in (*_PLAIN_COMMANDS.items(), *_PLAIN_OUTCOMES.items())}
_FAILURES: Final = {kind.__name__: kind for kind in (CommitFailed, CommitRefused)}

_Tagged = tuple[int, Any]


def commands_to_bytes(commands: Sequence[Command]) -> bytes:
    """A batch for the writer."""
    return marshal.dumps([_tagged_command(command) for command in commands])


def commands_from_bytes(data: bytes) -> list[Command]:
    """The batch again."""
    return [_command(tag, values) for tag, values in marshal.loads(data)]  # noqa: S302 - our own


def answer_to_bytes(answer: tuple[list[Outcome], int] | CommitFailed | CommitRefused) -> bytes:
    """The outcomes of a batch and the last seq after it, or how its commit failed."""
    if isinstance(answer, CommitFailed | CommitRefused):
        return marshal.dumps((type(answer).__name__, str(answer)))
    outcomes, seq = answer
    return marshal.dumps(([_tagged_outcome(outcome) for outcome in outcomes], seq))


def answer_from_bytes(data: bytes) -> tuple[list[Outcome], int]:
    """The answer again. Raises CommitFailed, CommitRefused."""
    outcomes, seq = marshal.loads(data)  # noqa: S302 - our own
    if isinstance(outcomes, str):
        raise _FAILURES[outcomes](seq)
    return [_outcome(tag, values) for tag, values in outcomes], seq


def _tagged_command(command: Command) -> _Tagged:
    if isinstance(command, Create):
        return _CREATE, _create_values(command)
    if isinstance(command, Change):
        key, payment_id, action, *rest = command
        return _CHANGE, (key, payment_id, action.value, *rest)
    if isinstance(command, Intend):
        return _INTEND, (_create_values(command.create), command.claim, command.lease_us)
    return _TAGS[type(command)], tuple(command)


def _command(tag: int, values: Any) -> Command:
    if tag == _CREATE:
        return Create._make(values)
    if tag == _CHANGE:
        key, payment_id, action, *rest = values
        return Change(key, payment_id, Action(action), *rest)
    if tag == _INTEND:
        create, claim, lease_us = values
        return Intend(Create._make(create), claim, lease_us)
    plain: Command = _PLAIN_COMMANDS[tag]._make(values)
    return plain


def _tagged_outcome(outcome: Outcome) -> _Tagged:
    if isinstance(outcome, Receipt):
        payment, entry, replayed = outcome
        plain_entry = (*entry[:3], int(entry.kind), *entry[4:])
        return _RECEIPT, (
            (*payment[:6], int(payment.capture_method), *payment[7:]),
            plain_entry,
            replayed,
        )
    if isinstance(outcome, Claimed):
        return _CLAIMED, (_create_values(outcome.create), outcome.resumed)
    if isinstance(outcome, OnRecord | Withdrawn | NotOnRecord):
        return _TAGS[type(outcome)], tuple(outcome)
    return _REFUSED, pickle.dumps(outcome)


def _outcome(tag: int, values: Any) -> Outcome:
    if tag == _RECEIPT:
        payment, entry, replayed = values
        return Receipt(Payment._make(payment), Entry._make(entry), replayed)
    if tag == _CLAIMED:
        create, resumed = values
        return Claimed(Create._make(create), resumed)
    if tag in _PLAIN_OUTCOMES:
        plain: Outcome = _PLAIN_OUTCOMES[tag]._make(values)
        return plain
    refusal: Outcome = pickle.loads(values)  # noqa: S301 - our own
    return refusal


def _create_values(create: Create) -> tuple[Any, ...]:
    return (*create[:7], int(create.capture_method), *create[8:])
