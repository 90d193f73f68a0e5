"""A call of any method, with requests and responses as plain data."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message

# Imported for what it adds to the default pool: what travels inside a google.rpc.Status.
from google.rpc import error_details_pb2 as _details  # noqa: F401 - for the default pool

from paycli.client.failures import error_info, failure_of, status_details
from paycli.client.forms import as_json, message_of
from paycli.client.plain import class_of
from paycli.client.schema import path_of
from paycli.errors import InputError, OutcomeUnknown, PaycliError, Retry
from paycli.wire_names import ERROR_DOMAIN

Metadata = Sequence[tuple[str, str | bytes]]

_MAY: Final = "it may have been carried out"
_TOO_LARGE: Final = "CLIENT: Received message larger than max"  # gRPC's words, of what was answered
_NO_ANSWER: Final = (
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNAVAILABLE,
)
# Of a method that may change something.
_PROVES_NOTHING: Final = (
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.DATA_LOSS,
)


class Heard(NamedTuple):
    """What a call brings besides its responses; called when it is there."""

    initial: Callable[[Metadata], None]
    trailing: Callable[[Metadata], None]


def requests_of(
    method: MethodDescriptor,
    documents: Sequence[object],
    pool: DescriptorPool,
    name: str,
    text: str,
) -> list[Message]:
    """The messages of the documents of a text, which `name` calls. Raises InputError for what does not fit."""
    if not method.client_streaming and len(documents) > 1:
        raise InputError(f"{path_of(method)} takes one request, and {len(documents)} were given.")
    if not method.client_streaming and not documents:
        documents = [{}]
    return [
        message_of(method.input_type, each, pool, name, text=text, number=number)
        for number, each in enumerate(documents)
    ]


def invoke(
    channel: grpc.Channel,
    method: MethodDescriptor,
    requests: Sequence[Message],
    pool: DescriptorPool,
    timeout_s: float | None,
    heard: Heard,
) -> Iterator[Message]:
    """The responses as they come. Raises the error that the call ends with.

    What no answer proves is OutcomeUnknown; other statuses are taken at their word, but for whether the
    same may be sent again.
    """
    stub: Any = channel.stream_stream(
        f"/{path_of(method)}",
        request_serializer=lambda message: message.SerializeToString(),
    )
    call: Any = stub(iter(requests), timeout=timeout_s)
    answers = 0
    try:
        heard.initial(tuple(call.initial_metadata()))
        for content in call:
            answers += 1
            yield _answer(method, content)
        heard.trailing(tuple(call.trailing_metadata()))
    except grpc.RpcError as problem:
        trailing: Any = problem.trailing_metadata()
        heard.trailing(tuple(trailing or ()))
        raise _failure(problem, method, pool, has_answered=answers > 0) from problem
    finally:
        call.cancel()  # of no effect on one that has ended
    if answers != 1 and not method.server_streaming:
        raise OutcomeUnknown(f"The service gave {answers} answers where there is one; {_MAY}.")


def _answer(method: MethodDescriptor, content: bytes) -> Message:
    try:
        return class_of(method.output_type).FromString(content)
    except DecodeError as problem:
        name = method.output_type.full_name
        raise OutcomeUnknown(f"What the service answered is no {name}; {_MAY}.") from problem


def _failure(
    problem: grpc.RpcError, method: MethodDescriptor, pool: DescriptorPool, *, has_answered: bool
) -> PaycliError:
    status = status_details(problem)
    details = [] if status is None else [_detail(each, pool) for each in status.details]
    code, info = problem.code(), error_info(problem)
    said = " ".join((problem.details() or "").split())
    ours = info is not None and info.domain == ERROR_DOMAIN
    failure = failure_of(problem, path_of(method), sent=ours, may=_MAY)
    if (code in _NO_ANSWER and not details) or _TOO_LARGE in said:
        what = "The stream" if has_answered else "The call"
        failure = OutcomeUnknown(f"{what} ended without proof ({code.name}: {said}); {_MAY}.")
        failure.status = code.name
    elif code in _PROVES_NOTHING and not ours:
        failure.retry = Retry.UNKNOWN
    for number, detail in enumerate(details, 1):
        failure.metadata[f"detail{number}"] = detail
    return failure


def _detail(packed: Any, pool: DescriptorPool) -> str:
    """A detail of an error as JSON; of a kind that nobody here knows, its name and bytes."""
    for known in (descriptor_pool.Default(), pool):  # google.rpc's need nobody who tells
        with suppress(PaycliError):
            return as_json(packed, known)
    kind = packed.type_url.rpartition("/")[2]
    return f"{kind} {base64.b64encode(packed.value).decode()}"
