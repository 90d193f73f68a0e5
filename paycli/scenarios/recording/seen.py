"""Calls that were seen, and those that no suite can make again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.message import DecodeError, Message

from paycli.client.failures import info_in
from paycli.client.forms import as_plain, unknown_fields
from paycli.errors import PaycliError
from paycli.scenarios.contracts import Contracts
from paycli.scenarios.target import NO_ANSWER

Data = dict[str, Any]  # of a message, as protobuf's JSON has it, with the names of the proto
Metadata = Sequence[tuple[str, str | bytes]]

_OF_GRPC: Final = "/grpc."  # whoever asks whether a server lives, or what it offers, tests nothing
_MESSAGE_BYTES_MAX: Final = 65_536  # nobody reads a suite with more
_CALLS_MAX: Final = 10_000
# How a stream ends whose caller has what it wants; what a server says with these it says rarely.
_LEFT: Final = (grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED)
_DEPTH_MAX: Final = 24  # of what YAML takes, some is the suite's own


class Passed(Protocol):
    """Messages of a call, one way: how many there were, and the first of them."""

    count: int
    kept: list[bytes]


@dataclass(frozen=True, slots=True)
class Interpolated:
    """A text that has variables of the environment in it: pieces of text at even places, names at odd ones."""

    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """A call: what was sent, and what came of it: responses, an error; None of both if nobody looked.

    `responses` are the first ones of `count`, so that a long stream takes no room. What was read, and not
    seen, may have an Interpolated anywhere in its requests, and None for a field that is not set.
    """

    method: MethodDescriptor
    metadata: Sequence[tuple[str, str | bytes | Interpolated]]
    requests: Sequence[Data]
    responses: Sequence[Data] | None = None
    error: tuple[str, str] | None = None  # code and reason; the reason may be ""
    count: int = 1
    is_cancelled: bool = False  # by its caller, after `count` responses
    within_ms: float | None = None
    where: str = ""  # file:line, of what was read
    began: float = 0.0
    ended: float = 0.0
    """By a monotonic clock: of two calls at once the later answer may be that of the first."""


class LeftOut(NamedTuple):
    """A call that is in no suite: its method as a path, why, file:line if it was read, what is known of it."""

    path: str
    why: str
    where: str = ""
    call: Seen | None = None

    @property
    def said(self) -> str:
        """All of it, in a line."""
        return ": ".join(filter(None, (self.where, self.path.lstrip("/"), self.why)))


class Unfit(Exception):
    """Why a call cannot be in a suite."""


class Tape:
    """Calls in the order in which they were answered."""

    def __init__(
        self, own_headers: Sequence[tuple[str, str]] = (), contracts: Contracts | None = None
    ) -> None:
        """`own_headers` take the place of those of callers, and are none of a suite's business."""
        self._contracts = contracts or Contracts()
        self._own = {key for key, _ in own_headers}
        self.entries: list[Seen | LeftOut] = []
        self.steps = 0
        self.missed = 0

    def hear(
        self,
        path: str,
        metadata: Metadata,
        requests: Passed,
        responses: Passed,
        code: grpc.StatusCode,
        trailing: Metadata,
        began: float,
    ) -> None:
        """Note a call that has ended; `responses` are those that came before its status."""
        ended = time.monotonic()
        if path.startswith(_OF_GRPC):
            return
        if len(self.entries) >= _CALLS_MAX:
            self.missed += 1
            return
        method = None
        try:
            method = method_of(path, self._contracts)
            if not requests.count:  # it was not even heard, perhaps
                _refuse_unanswered(code, trailing)
            sent_data = _requests(method, requests)
            answered, error = _end(method, responses, code, trailing)
            is_cancelled = code in _LEFT and error is None
            sent = [(key, value) for key, value in metadata if key not in self._own]
            self.entries.append(
                Seen(
                    *(method, sent, sent_data, answered, error, responses.count, is_cancelled),
                    began=began,
                    ended=ended,
                )
            )
            self.steps += 1
        except Unfit as unfit:
            call = _known_of(method, requests, responses, code) if method is not None else None
            self.entries.append(LeftOut(path, str(unfit), call=call))


def method_of(path: str, contracts: Contracts) -> MethodDescriptor:
    """The method of a path, if suites can call it. Raises Unfit."""
    try:
        method = contracts.method(path.removeprefix("/"))
    except ValueError as problem:
        raise Unfit("no suite can call it: nobody tells what its messages are") from problem
    except PaycliError as problem:  # of a server that tells half of it
        raise Unfit(f"no suite can call it: {problem}") from problem
    return method


def _requests(method: MethodDescriptor, requests: Passed) -> list[Data]:
    """All of them: without the last ones it would be another call."""
    is_whole = len(requests.kept) == requests.count
    if not is_whole or (requests.count != 1 and not method.client_streaming):
        raise Unfit(f"it was sent {requests.count or 'no'} requests")
    return [_request(method.input_type, each) for each in requests.kept]


def _end(
    method: MethodDescriptor,
    responses: Passed,
    code: grpc.StatusCode,
    trailing: Metadata,
) -> tuple[list[Data] | None, tuple[str, str] | None]:
    is_left = method.server_streaming and code in _LEFT and responses.count > 0
    if code is grpc.StatusCode.OK or is_left:
        if responses.count != 1 and not method.server_streaming:
            raise Unfit(f"it was answered with {responses.count or 'no'} responses")
        return [data_of(method.output_type, each, "response") for each in responses.kept], None
    _refuse_unanswered(code, trailing)
    info = info_in(code, trailing)
    return None, (code.name, info.reason if info is not None else "")


def _refuse_unanswered(code: grpc.StatusCode, trailing: Metadata) -> None:
    if code in NO_ANSWER and info_in(code, trailing) is None:
        raise Unfit(f"it ended with {code.name}, which another time it may not")


def _known_of(
    method: MethodDescriptor, requests: Passed, responses: Passed, code: grpc.StatusCode
) -> Seen | None:
    """A call that cannot be in a suite, for what it did."""
    try:
        sent = [data_of(method.input_type, each, "request") for each in requests.kept]
        return Seen(method, (), sent, _end(method, responses, code, ())[0])
    except Unfit:
        return None


def _request(kind: Descriptor, content: bytes) -> Data:
    """Without a field that nobody tells of it would be another call."""
    pool: Any = kind.file.pool
    message = _message(kind, content, "request")
    found = _plain(message, "request")
    if unknown := ", ".join(unknown_fields(message, pool)):
        raise Unfit(f"its request has fields that nobody tells of, by number {unknown}")
    return found


def data_of(kind: Descriptor, content: bytes, what: str) -> Data:
    """A message as plain data. Raises Unfit for what no suite can say."""
    return _plain(_message(kind, content, what), what)


def _message(kind: Descriptor, content: bytes, what: str) -> Message:
    if len(content) > _MESSAGE_BYTES_MAX:
        raise Unfit(f"its {what} has {len(content):,} bytes")
    try:
        return message_factory.GetMessageClass(kind).FromString(content)
    except DecodeError as problem:
        raise Unfit(f"its {what} is no {kind.full_name}") from problem


def _plain(message: Message, what: str) -> Data:
    try:
        pool: Any = message.DESCRIPTOR.file.pool
        found = as_plain(message, pool)
    except ValueError as problem:
        raise Unfit(f"its {what} cannot be shown as JSON") from problem
    refuse_depth(found, what)
    return found


def refuse_depth(data: Data, what: str) -> None:
    """Raises Unfit for what YAML does not take."""
    if _depth(data) > _DEPTH_MAX:
        raise Unfit(f"its {what} is nested too deeply")


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)
