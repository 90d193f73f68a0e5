"""Run suites against a service, step by step, and say what came of each."""

from __future__ import annotations

import time
from collections import ChainMap
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

import grpc
from google.protobuf import json_format
from google.protobuf.message import Message

from paycli.client.calls import build_request, call, find_method
from paycli.client.charges import Paid, send, unknown
from paycli.client.failures import error_info
from paycli.client.fixture_payments import Expected, FixturePayment, Mistaken
from paycli.client.payments import Payments
from paycli.client.persistence import Persistence
from paycli.errors import CheckFailed, OutcomeUnknown, PaycliError, Refused
from paycli.scenarios.record import Record, Verdict
from paycli.scenarios.references import Late, Reference, fill
from paycli.scenarios.steps import CallStep, FixtureStep, ManyStep, Step, is_metadata_text
from paycli.scenarios.suite import Suite

_HEALTH_CHECK: Final = "grpc.health.v1.Health/Check"
_REFUSALS: Final = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
# What a call ends with when nobody is there any more, and a service says now and then by itself.
_NO_ANSWER: Final = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
)
_AT_ONCE_MAX: Final = 64
_LISTED_MAX: Final = 5
_SIGN_OF_LIFE_S: Final = 5.0  # a target that is merely slow shows one in this time

_Answers = MutableMapping[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Target:
    """The service under proof. `last_words` says why it is gone, if that is known."""

    channel: grpc.Channel
    timeout_s: float
    address: str
    last_words: Callable[[], str] = str


class _Gone(Exception):
    """The target does not answer any more; what came of the step that noticed is in `problems`."""

    def __init__(self, why: str, problems: Iterable[str] = ()) -> None:
        super().__init__(why)
        self.problems = list(problems)


class _NotSent(Exception):
    """A step cannot be sent, for what an earlier step did not answer."""


class _FirstFailure(Exception):
    """A step failed, and none is to come after it."""


def run_suites(
    suites: Iterable[Suite],
    target: Target,
    record: Record,
    *,
    strict: bool = False,
    fail_fast: bool = False,
) -> None:
    """Run every step of every suite in order; a failed step does not stop the ones after it.

    What cannot run any more since the target is gone, or is not to run after a failure (`fail_fast`), is
    recorded as an error. Raises CheckFailed or Refused when the health service does not say what the
    target offers.
    """
    try:
        for suite in suites:
            missing = _missing(suite.requires, target) if suite.requires is not None else ""
            if missing and strict:
                reason = f"not run: {missing}, and --strict forbids skips"
                _not_run(suite, suite.all_steps, Verdict.ERROR, reason, record)
            elif missing:
                _not_run(suite, suite.all_steps, Verdict.SKIPPED, missing, record)
            else:
                _Run(suite, target, record, fail_fast=fail_fast).run()
    except _FirstFailure as ended:
        record.finish(str(ended))
    except _Gone as ended:
        record.finish(str(ended))


def _not_run(
    suite: Suite, steps: Sequence[Step], verdict: Verdict, reason: str, record: Record
) -> None:
    if steps:
        record.add([suite.result(step, verdict, reason=reason) for step in steps])


class _Run:
    """The run of one suite, and the answers so far."""

    def __init__(self, suite: Suite, target: Target, record: Record, *, fail_fast: bool) -> None:
        self._suite = suite
        self._target = target
        self._record = record
        self._fail_fast = fail_fast
        self._answers: dict[str, dict[str, Any]] = {}

    def run(self) -> None:
        """The setup, then the steps unless it failed, and the teardown whatever happened."""
        is_there = True
        setup = len(self._suite.setup)
        first = (*self._suite.setup, *self._suite.steps)
        try:
            for number, step in enumerate(first, 1):
                if self._passes(step):
                    continue
                if self._fail_fast:
                    raise _FirstFailure(f"--fail-fast, after '{step.name}' failed")
                if number <= setup:
                    reason = f"not run: '{step.name}' of the setup failed"
                    _not_run(self._suite, first[number:], Verdict.ERROR, reason, self._record)
                    break
        except _Gone:
            is_there = False
            raise
        finally:
            if is_there:
                for step in self._suite.teardown:
                    self._passes(step)

    def _passes(self, step: Step) -> bool:
        """Run it and note what came of it. Raises _Gone, and OutcomeUnknown at an interrupt."""
        started = time.perf_counter()
        result = self._suite.result(step, Verdict.PASSED)
        gone: _Gone | None = None
        try:
            problems = self._problems(step)
        except _Gone as ended:
            gone, problems = ended, [*ended.problems, str(ended)]
        except OutcomeUnknown as lost:
            # That nobody reads on makes it no better known.
            with suppress(BrokenPipeError, CheckFailed):
                self._record.add([replace(result, verdict=Verdict.ERROR, reason=str(lost))])
            raise
        except _NotSent as problem:
            problems = []
            result = replace(result, verdict=Verdict.ERROR, reason=f"not sent: {problem}")
        if problems:
            result = replace(result, verdict=Verdict.FAILED, reason="; ".join(problems))
        result = replace(result, duration_s=time.perf_counter() - started)
        self._record.add([result])
        if gone is not None:
            raise gone
        return result.verdict is Verdict.PASSED

    def _problems(self, step: Step) -> list[str]:
        if isinstance(step, FixtureStep):
            return _pay(step, self._target)
        if isinstance(step, ManyStep):
            return self._many(step)
        return _call_until(step, self._target, self._answers)

    def _many(self, step: ManyStep) -> list[str]:
        each_with = [ChainMap[str, dict[str, Any]]({}, self._answers) for _ in step.calls]
        if step.is_parallel:
            problems = _at_once(step.calls, self._target, each_with)
        else:
            called = zip(step.calls, each_with, strict=True)
            problems = [_call_until(call, self._target, answers) for call, answers in called]
        told = [f"#{n}: {each}" for n, found in enumerate(problems, 1) for each in found]
        answered = [each for each in each_with if step.name in each.maps[0]]
        if answered:
            self._answers[step.name] = answered[-1][step.name]
        if step.successes not in (None, len(answered)):
            told.append(f"expected {step.successes} to succeed, and {len(answered)} did")
        for reference in step.same:
            values = {_value_of(reference, answers) for answers in answered}
            if len(values) > 1:
                told.append(
                    f"{reference.path}: expected the same from all, got {_listed(sorted(values))}"
                )
        return told


def _at_once(
    calls: Sequence[CallStep], target: Target, each_with: Sequence[_Answers]
) -> list[list[str]]:
    """The problems of each. Raises OutcomeUnknown at an interrupt."""
    pool = ThreadPoolExecutor(min(len(calls), _AT_ONCE_MAX))
    try:
        return list(
            pool.map(lambda call, answers: _call_until(call, target, answers), calls, each_with)
        )
    except KeyboardInterrupt as interrupt:
        raise OutcomeUnknown(
            f"Interrupted before all calls of step '{calls[0].name}' had an answer; they may have been "
            "carried out."
        ) from interrupt
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _value_of(reference: Reference, answers: _Answers) -> str:
    try:
        return reference.value(answers)
    except LookupError:
        return "nothing"


def _listed(values: Sequence[str]) -> str:
    more = len(values) - _LISTED_MAX
    return ", ".join(values[:_LISTED_MAX]) + (f" and {more} more" if more > 0 else "")


def _call_until(step: CallStep, target: Target, answers: _Answers) -> list[str]:
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
            return [
                f"still so after {until.timeout_s:g} s and {tries} tries: {problems[0]}",
                *problems[1:],
            ]
        time.sleep(until.every_s)


def _call(step: CallStep, target: Target, answers: _Answers) -> list[str]:
    request, metadata = _request(step, answers)
    started = time.perf_counter()
    try:
        response = call(target.channel, step.method, request, target.timeout_s, metadata)
    except grpc.RpcError as ended:
        took_ms = (time.perf_counter() - started) * 1000
        _check_alive(target, ended)
        if step.expect_error is None:
            return [_ended(ended, target)]
        return [*step.expect_error.unmet(ended, answers), *_late(step, took_ms)]
    except KeyboardInterrupt as interrupt:
        raise OutcomeUnknown(
            f"Interrupted before step '{step.name}' had an answer; it may have been carried out. "
            f"Its request was {json_format.MessageToDict(request, preserving_proto_field_name=True)}."
        ) from interrupt
    except (ValueError, TypeError) as problem:  # a timestamp of the year 200000, say
        return [f"the response cannot be shown as JSON: {problem}"]
    took_ms = (time.perf_counter() - started) * 1000
    if step.expect_error is not None and not step.either:
        return [f"expected {step.expect_error.code}, but the call succeeded with {response}"]
    answers[step.name] = response
    return [*step.expect.unmet("", response, answers), *_late(step, took_ms)]


def _request(step: CallStep, answers: _Answers) -> tuple[Message, tuple[tuple[str, str], ...]]:
    """What is sent, with answers filled in. Raises _NotSent."""
    try:
        for reference in step.needs:
            reference.value(answers)
        request = build_request(step.method, fill(step.request, answers))
        metadata = tuple(
            (key, value.fill(answers) if isinstance(value, Late) else value)
            for key, value in step.metadata.items()
        )
    except (ValueError, LookupError) as problem:
        raise _NotSent(str(problem)) from problem
    for key, value in metadata:
        if not is_metadata_text(value):
            raise _NotSent(f"metadata {key} must be printable ASCII; '{value}' is not")
    return request, metadata


def _late(step: CallStep, took_ms: float) -> list[str]:
    if step.within_ms is None or took_ms <= step.within_ms:
        return []
    return [f"expected an answer within {step.within_ms:g} ms, got it after {took_ms:.1f} ms"]


def _pay(step: FixtureStep, target: Target) -> list[str]:
    """Pay a fixture; what is wrong, at most up to where the target went away."""
    problems: list[str] = []
    for payment in step.fixture.to_send():
        if isinstance(payment, Mistaken):  # it refers to a payment that got no answer
            problems += map(str, payment.problems)
            continue
        where = f"{payment.path.name}:{payment.line}"
        try:
            paid = send(target.channel, payment.charge, target.timeout_s)
        except KeyboardInterrupt as interrupt:
            raise unknown(payment.charge, "Interrupted before an answer came") from interrupt
        except PaycliError as failure:
            _keep(failure, where, target, problems)
            continue
        payment.answered(paid)
        if not payment.expect.is_met(paid):
            problems.append(f"{where}: expected {payment.expect}, got {Expected.of(paid)}")
        elif paid.succeeded:
            _follow_up(payment, paid, target, problems)
    return problems


def _follow_up(payment: FixturePayment, paid: Paid, target: Target, problems: list[str]) -> None:
    """Do what is to be done with it, as long as all goes well."""
    payments = Payments(target.channel, target.timeout_s)
    once = Persistence(target.channel, target.timeout_s, 0)
    for each in payment.then:
        try:
            done = each.carry_out(payments, paid.payment_id, paid.charge.currency, once)
        except KeyboardInterrupt as interrupt:
            raise each.unheard() from interrupt
        if done.problem is not None:
            where = f"{payment.path.name}:{each.line}: {each.action}"
            _keep(done.problem, where, target, problems)
            return


def _keep(failure: PaycliError, where: str, target: Target, problems: list[str]) -> None:
    """Add what is wrong. Raises _Gone when nobody answers any more."""
    ended = failure.__cause__
    if not isinstance(ended, grpc.RpcError):
        problems.append(f"{where}: {failure}")
        return
    problems.append(f"{where}: {_ended(ended, target)}")
    try:
        _check_alive(target, ended)
    except _Gone as gone:
        raise _Gone(str(gone), problems) from ended


def _check_alive(target: Target, ended: grpc.RpcError) -> None:
    """Ask for a sign of life after a call that nobody answered. Raises _Gone."""
    if ended.code() not in _NO_ANSWER or error_info(ended) is not None:
        return
    try:
        _check_health(target, "", max(target.timeout_s, _SIGN_OF_LIFE_S))
    except grpc.RpcError as problem:
        if problem.code() in _NO_ANSWER:
            why = target.last_words() or f"no service answers at {target.address} any more"
            raise _Gone(why, [_ended(ended, target)]) from problem


def _missing(service: str, target: Target) -> str:
    """Why the target does not offer a service; "" if it does. Raises _Gone and PaycliError."""
    try:
        _check_health(target, service, target.timeout_s)
    except grpc.RpcError as ended:
        if ended.code() is grpc.StatusCode.NOT_FOUND:
            return f"the health service of the target does not know {service}"
        if ended.code() is grpc.StatusCode.UNIMPLEMENTED:
            return f"the target has no health service that could say that it offers {service}"
        _check_alive(target, ended)
        kind = Refused if ended.code() in _REFUSALS else CheckFailed
        said = f"The health service of {target.address} does not say whether it offers {service}"
        raise kind(f"{said}: the call {_ended(ended, target)}.") from ended
    return ""


def _check_health(target: Target, service: str, timeout_s: float) -> None:
    method = find_method(_HEALTH_CHECK)
    call(target.channel, method, build_request(method, {"service": service}), timeout_s)


def _ended(call: grpc.RpcError, target: Target) -> str:
    limit = ""
    if call.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        limit = f" (--timeout is {target.timeout_s:g} s)"
    return f"ended with {call.code().name}{limit}: {call.details()}"
