"""Batches and their outcomes as bytes, on their way to the writer process and back.

Both ends are the same program in the same interpreter, so `marshal` will do, which is the fastest
there is for tuples. It knows neither named tuples nor enums: records travel as plain tuples. What a
creation made travels as its number alone, since the rules make the same of it here.
"""

from __future__ import annotations

import marshal
import pickle
from collections.abc import Sequence
from typing import Any, Final

from paycli.payments import decide
from paycli.payments.batch import Claimed, NotOnRecord, OnRecord, Outcome, Receipt, Withdrawn
from paycli.payments.commands import (
    Change,
    Command,
    Create,
    Declined,
    Intend,
    Operation,
    Release,
    Resolve,
    Resume,
    Withdraw,
)
from paycli.payments.payment import Entry, Payment
from paycli.payments.states import Action
from paycli.storage.failures import CommitFailed, CommitRefused

# Commands. Those of the table hold nothing but plain values.
_CREATE: Final = 0
_CHANGE: Final = 1
_INTEND: Final = 2
_DECLINED: Final = 3
_PLAIN_COMMANDS: Final[dict[int, Any]] = {4: Resume, 5: Resolve, 6: Withdraw, 7: Release}
# Outcomes.
_RECEIPT: Final = 0
_CLAIMED: Final = 1
_REFUSED: Final = 2
_PLAIN_OUTCOMES: Final[dict[int, Any]] = {3: OnRecord, 4: Withdrawn, 5: NotOnRecord}
_TAGS: Final = {kind: tag for tag, kind in (*_PLAIN_COMMANDS.items(), *_PLAIN_OUTCOMES.items())}
_FAILURES: Final = {kind.__name__: kind for kind in (CommitFailed, CommitRefused)}

_Tagged = tuple[int, Any]
Answer = tuple[list[Outcome], int]  # the outcomes of a batch, and the last seq after it


def commands_to_bytes(commands: Sequence[Command]) -> bytes:
    """A batch for the writer."""
    return marshal.dumps([_tagged_command(command) for command in commands])


def commands_from_bytes(data: bytes) -> list[Command]:
    """The batch again."""
    return [_command(tag, values) for tag, values in marshal.loads(data)]  # noqa: S302 - our own


def answer_to_bytes(
    commands: Sequence[Command], answer: Answer | CommitFailed | CommitRefused
) -> bytes:
    """The outcomes of a batch and the last seq after it, or how its commit failed."""
    if isinstance(answer, CommitFailed | CommitRefused):
        return marshal.dumps((type(answer).__name__, str(answer)))
    outcomes, seq = answer
    return marshal.dumps((list(map(_short, commands, outcomes)), seq))


def answer_from_bytes(commands: Sequence[Command], data: bytes) -> Answer:
    """The answer to these commands again. Raises CommitFailed, CommitRefused."""
    outcomes, seq = marshal.loads(data)  # noqa: S302 - our own
    if isinstance(outcomes, str):
        raise _FAILURES[outcomes](seq)
    return list(map(_long, commands, outcomes)), seq


def _short(command: Command, outcome: Outcome) -> int | _Tagged:
    if (
        isinstance(command, Create | Declined)
        and isinstance(outcome, Receipt)
        and not outcome.replayed
    ):
        return outcome.entry.seq
    return _tagged_outcome(outcome)


def _long(command: Command, outcome: int | _Tagged) -> Outcome:
    if isinstance(outcome, tuple):
        return _outcome(*outcome)
    create, reason = command if isinstance(command, Declined) else (command, "")
    assert isinstance(create, Create)  # a change that was declined is refused
    return Receipt(*decide.create(create, reason, outcome), replayed=False)


def _tagged_command(command: Command) -> _Tagged:
    if isinstance(command, Create | Change):
        return _tagged_operation(command)
    if isinstance(command, Intend):
        return _INTEND, (_tagged_operation(command.operation), command.claim, command.lease_us)
    if isinstance(command, Declined):
        return _DECLINED, (_tagged_operation(command.operation), command.decline_reason)
    return _TAGS[type(command)], tuple(command)


def _command(tag: int, values: Any) -> Command:
    if tag in (_CREATE, _CHANGE):
        return _operation(tag, values)
    if tag == _INTEND:
        operation, claim, lease_us = values
        return Intend(_operation(*operation), claim, lease_us)
    if tag == _DECLINED:
        operation, decline_reason = values
        return Declined(_operation(*operation), decline_reason)
    plain: Command = _PLAIN_COMMANDS[tag]._make(values)
    return plain


def _tagged_operation(operation: Operation) -> _Tagged:
    if isinstance(operation, Create):
        return _CREATE, (*operation[:7], int(operation.capture_method), *operation[8:])
    key, payment_id, action, *rest = operation
    return _CHANGE, (key, payment_id, action.value, *rest)


def _operation(tag: int, values: Any) -> Operation:
    if tag == _CREATE:
        return Create._make(values)
    key, payment_id, action, *rest = values
    return Change(key, payment_id, Action(action), *rest)


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
        operation = _tagged_operation(outcome.operation)
        return _CLAIMED, (operation, outcome.customer_id, outcome.resumed)
    if isinstance(outcome, OnRecord | Withdrawn | NotOnRecord):
        return _TAGS[type(outcome)], tuple(outcome)
    return _REFUSED, pickle.dumps(outcome)


def _outcome(tag: int, values: Any) -> Outcome:
    if tag == _RECEIPT:
        payment, entry, replayed = values
        return Receipt(Payment._make(payment), Entry._make(entry), replayed)
    if tag == _CLAIMED:
        operation, customer_id, resumed = values
        return Claimed(_operation(*operation), customer_id, resumed)
    if tag in _PLAIN_OUTCOMES:
        plain: Outcome = _PLAIN_OUTCOMES[tag]._make(values)
        return plain
    refusal: Outcome = pickle.loads(values)  # noqa: S301 - our own
    return refusal
