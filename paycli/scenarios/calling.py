"""The calls of a step, made and compared with what it expects."""

from __future__ import annotations

import time
from collections.abc import MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from paycli.client.calls import build_request, call, streamed
from paycli.client.forms import as_json
from paycli.errors import OutcomeUnknown
from paycli.scenarios.references import Late, fill
from paycli.scenarios.steps import CallStep, is_metadata_text
from paycli.scenarios.target import Target, check_alive, ended_with

Answers = MutableMapping[str, dict[str, Any]]  # by step
Metadata = tuple[tuple[str, str], ...]

_AT_ONCE_MAX: Final = 64
_PROBLEMS_MAX: Final = 20  # of the messages of one stream


class NotSent(Exception):
    """A step cannot be sent, for what an earlier step did not answer."""


def call_at_once(
    calls: Sequence[CallStep], target: Target, each_with: Sequence[Answers]
) -> list[list[str]]:
    """The problems of each. Raises OutcomeUnknown at an interrupt."""
    pool = ThreadPoolExecutor(min(len(calls), _AT_ONCE_MAX))
    try:
        return list(
            pool.map(lambda call, answers: call_until(call, target, answers), calls, each_with)
        )
    except KeyboardInterrupt as interrupt:
        raise OutcomeUnknown(
            f"Interrupted before all calls of step '{calls[0].name}' had an answer; they may have been "
            "carried out."
        ) from interrupt
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def call_until(step: CallStep, target: Target, answers: Answers) -> list[str]:
    """The problems of a call; of the last one, if it is tried until there are none."""
    until = step.retry_until
    if until is None:
        return _call(step, target, answers)
    give_up = time.monotonic() + until.timeout_s
    tries = 0
    while True:
        problems = _call(step, target, answers)
        tries += 1
        if not problems:
            return []
        if time.monotonic() + until.every_s > give_up:
            return [f"still so after {until.timeout_s:g} s and {tries} tries", *problems]
        time.sleep(until.every_s)


def _call(step: CallStep, target: Target, answers: Answers) -> list[str]:
    requests, metadata = requests_of(step, answers)
    answers.pop(step.name, None)  # of an earlier try
    answer = _stream if step.method.server_streaming else _answer
    started = time.perf_counter()
    try:
        problems = answer(step, target, requests, metadata, answers)
    except KeyboardInterrupt as interrupt:
        raise OutcomeUnknown(
            f"Interrupted before step '{step.name}' had an answer; it may have been carried out. "
            f"Its request was {shown(step.method, requests)}."
        ) from interrupt
    except ValueError as problem:
        return [str(problem)]
    return [*problems, *_late(step, (time.perf_counter() - started) * 1000)]


def _answer(
    step: CallStep,
    target: Target,
    requests: Sequence[Message],
    metadata: Metadata,
    answers: Answers,
) -> list[str]:
    try:
        response = call(target.channel, step.method, requests, target.timeout_s, metadata)
    except grpc.RpcError as ended:
        return _ended(step, target, ended, answers)
    if step.expect_error is not None and not step.either:
        return [f"expected {step.expect_error.code}, but the call succeeded with {response}"]
    answers[step.name] = response
    return list(step.expect.unmet("", response, answers))


def _stream(
    step: CallStep,
    target: Target,
    requests: Sequence[Message],
    metadata: Metadata,
    answers: Answers,
) -> list[str]:
    """Later steps know the last message."""
    problems: list[str] = []
    count = 0
    try:
        with streamed(
            target.channel, step.method, requests, target.timeout_s, metadata
        ) as messages:
            for count, message in enumerate(messages, 1):
                answers[step.name] = message
                if len(problems) < _PROBLEMS_MAX:
                    problems += step.stream.unmet_by(count, message, answers)
                if count == step.stream.cancel_at:
                    return problems
    except grpc.RpcError as ended:
        told = _ended(step, target, ended, answers)
        if step.expect_error is None:
            after = f" after {count:,} message{'' if count == 1 else 's'}"
            told = [f"{each}{after}" for each in told]
        else:
            answers.pop(step.name, None)  # refused, whatever came before
        return [*problems, *told]
    answers.setdefault(step.name, {})  # one without messages is answered, too
    problems += step.stream.unmet_in_all(count, answers)
    if step.expect_error is not None and not step.either:
        problems.append(f"expected {step.expect_error.code}, but the stream ended without an error")
    return problems


def _ended(step: CallStep, target: Target, ended: grpc.RpcError, answers: Answers) -> list[str]:
    """What is wrong with an error. Raises Gone."""
    check_alive(target, ended)
    if step.expect_error is None:
        return [ended_with(ended, target)]
    return list(step.expect_error.unmet(ended, answers))


def requests_of(step: CallStep, answers: Answers) -> tuple[Sequence[Message], Metadata]:
    """What is sent, with answers filled in. Raises NotSent."""
    try:
        for reference in step.needs:
            reference.value(answers)
        requests = [build_request(step.method, fill(each, answers)) for each in step.requests]
        metadata = tuple(
            (key, value.fill(answers) if isinstance(value, Late) else value)
            for key, value in step.metadata.items()
        )
    except (ValueError, LookupError) as problem:
        raise NotSent(str(problem)) from problem
    for key, value in metadata:
        if not is_metadata_text(value):
            raise NotSent(f"metadata {key} must be printable ASCII; '{value}' is not")
    return requests, metadata


def shown(method: MethodDescriptor, requests: Sequence[Message]) -> str:
    """Requests as `paycli call` takes them."""
    pool: Any = method.input_type.file.pool
    return "".join(as_json(each, pool, indent=None) for each in requests)


def _late(step: CallStep, took_ms: float) -> list[str]:
    if step.within_ms is None or took_ms <= step.within_ms:
        return []
    return [f"expected an answer within {step.within_ms:g} ms, got it after {took_ms:.1f} ms"]
