"""Events as they happen (`paycli.payments.v1`, WatchEvents): each once and in order, whatever breaks."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple

import grpc
from grpc import StatusCode

from paycli.client.failures import failure_of
from paycli.client.payments import SERVICE
from paycli.client.records import Record, event_record, payment_name
from paycli.errors import InputError, NotTaken, Unreachable
from paycli.generated.paycli.payments.v1 import payments_pb2 as pb
from paycli.generated.paycli.payments.v1 import payments_pb2_grpc

Connect = Callable[[], AbstractContextManager[grpc.Channel]]

_METHOD: Final = f"{SERVICE}/WatchEvents"
SEQUENCE_MAX: Final = 2**63 - 1
_UNKNOWN: Final = "SEQUENCE_UNKNOWN"
# A stream that says nothing may have nobody at its other end any more; a new one is sure of it.
_STREAM_S: Final = 300.0
_PAUSE_S: Final = (0.2, 5.0)  # after the first break, and at most
# What another try would not mend.
_FINAL: Final = (
    StatusCode.INVALID_ARGUMENT,
    StatusCode.NOT_FOUND,
    StatusCode.OUT_OF_RANGE,
    StatusCode.FAILED_PRECONDITION,
    StatusCode.UNIMPLEMENTED,
    StatusCode.UNAUTHENTICATED,
    StatusCode.PERMISSION_DENIED,
)


class Filter(NamedTuple):
    """Which events: all, but for what is said. `kinds` are words such as REFUNDED."""

    payment: str = ""
    order_id: str = ""
    customer_id: str = ""
    kinds: tuple[str, ...] = ()


class Mark(NamedTuple):
    """An event by its number, and a seal of what it was: another history has another one there.

    A seal of zeros is that of no event, and fits any.
    """

    sequence: int
    seal: str


BEGIN: Final = Mark(0, "0" * 16)


def mark_of(event: pb.Event) -> Mark:
    """The mark of an event."""
    what = f"{event.payment.name} {event.payment.version} {event.create_time.ToNanoseconds()}"
    return Mark(event.sequence, hashlib.sha256(what.encode()).hexdigest()[:16])


def newest_sequence(channel: grpc.Channel, timeout_s: float) -> int:
    """The number of the event before those that are still to happen."""
    beyond = pb.WatchEventsRequest(after_sequence=SEQUENCE_MAX)
    try:
        for _ in _stub(channel).WatchEvents(beyond, timeout=timeout_s):
            break
    except grpc.RpcError as problem:
        failure = failure_of(problem, _METHOD, sent=False)
        if failure.reason == _UNKNOWN:  # which says what is known
            return int(failure.metadata["newestSequence"])
        raise failure from problem
    raise AssertionError("a store has no event of the last number there is")


def mark_at(channel: grpc.Channel, sequence: int, timeout_s: float) -> Mark:
    """The mark of the event of this number, or of none. Raises InputError for one that is to come."""
    if not sequence:
        return BEGIN
    newest = newest_sequence(channel, timeout_s)
    if sequence > newest:
        raise InputError(
            f"There is no event {sequence} yet; the newest is {newest}. If the store was made anew, "
            "begin with --after 0."
        )
    before = pb.WatchEventsRequest(after_sequence=sequence - 1)
    call: Any = _stub(channel).WatchEvents(before, timeout=timeout_s)
    try:
        event = next(call)
    except grpc.RpcError as problem:
        raise failure_of(problem, _METHOD, sent=False) from problem
    finally:
        call.cancel()
    return mark_of(event) if event.sequence == sequence else Mark(sequence, BEGIN.seal)


def follow(
    connect: Connect, wanted: Filter, after: Mark, timeout_s: float, say: Callable[[str], None]
) -> Iterator[tuple[Mark, Record]]:
    """The events after one, for ever; a stream that breaks is resumed after the last event.

    Raises Unreachable if nobody answers at first, and what no other try would mend; InputError when the
    store has another history than the one that was watched. `say` hears of breaks, and of their end.
    """
    first_pause_s, longest_pause_s = _PAUSE_S
    pause_s, is_first, is_broken, last = first_pause_s, True, False, after
    while True:
        try:
            with connect() as channel:
                _refuse_another_history(channel, last, timeout_s)
                if is_broken:
                    say("It is there again.")
                is_first = is_broken = False
                request = _request(wanted, last.sequence)
                for event in _stub(channel).WatchEvents(request, timeout=_STREAM_S):
                    pause_s, last = first_pause_s, mark_of(event)
                    yield last, event_record(event)
                why = "the service ended it"
        except (Unreachable, NotTaken) as nobody:
            if is_first:
                raise
            why = str(nobody)
        except grpc.RpcError as problem:
            if problem.code() is StatusCode.DEADLINE_EXCEEDED:
                continue
            failure = failure_of(problem, _METHOD, sent=False)
            if problem.code() in _FINAL:
                raise failure from problem
            why = str(failure)
        if not is_broken:
            resumed = f"it is resumed after event {last.sequence}"
            say(f"The stream broke ({why.rstrip('.')}); {resumed}.")
        is_broken = True
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, longest_pause_s)


def _refuse_another_history(channel: grpc.Channel, last: Mark, timeout_s: float) -> None:
    """Events of a store that was restored, or made anew, are not those after the last one."""
    if last.seal == BEGIN.seal:
        return
    if mark_at(channel, last.sequence, timeout_s) != last:
        raise InputError(
            f"Event {last.sequence} is another one than was seen before: the store was restored or "
            "made anew. See which events are new, and begin after the last that is known, with "
            "--after SEQ and a new position."
        )


def _request(wanted: Filter, after: int) -> pb.WatchEventsRequest:
    return pb.WatchEventsRequest(
        after_sequence=after,
        payment=payment_name(wanted.payment) if wanted.payment else "",
        order_id=wanted.order_id,
        customer_id=wanted.customer_id,
        kinds=[pb.EventKind.Value(f"EVENT_KIND_{kind}") for kind in wanted.kinds],
    )


def _stub(channel: grpc.Channel) -> Any:
    return payments_pb2_grpc.PaymentsStub(channel)
