"""Run suites against a service, step by step, and say what came of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

import grpc
from google.protobuf import json_format

from paycli.client.calls import build_request, call, find_method
from paycli.client.charges import Paid, send, unknown
from paycli.client.failures import error_info
from paycli.client.fixture_payments import Expected, FixturePayment, Mistaken
from paycli.client.payments import Payments
from paycli.client.persistence import Persistence
from paycli.errors import CheckFailed, OutcomeUnknown, PaycliError, Refused
from paycli.scenarios.record import Record, Verdict
from paycli.scenarios.references import Late, fill
from paycli.scenarios.suite import CallStep, FixtureStep, Step, Suite, is_metadata_text

_HEALTH_CHECK: Final = "grpc.health.v1.Health/Check"
_REFUSALS: Final = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
# What a call ends with when nobody is there any more, and a service says now and then by itself.
_NO_ANSWER: Final = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
)
_SIGN_OF_LIFE_S: Final = 5.0  # a target that is merely slow shows one in this time


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


def run_suites(suites: Iterable[Suite], target: Target, record: Record, *, strict: bool) -> None:
    """Run every step of every suite in order; a failed step does not stop the ones after it.

    What cannot run any more since the target is gone is recorded as an error. Raises CheckFailed or
    Refused when the health service does not say what the target offers.
    """
    try:
        for suite in suites:
            _run_suite(suite, target, record, strict=strict)
    except _Gone as ended:
        record.finish(str(ended))


def _run_suite(suite: Suite, target: Target, record: Record, *, strict: bool) -> None:
    missing = _missing(suite.requires, target) if suite.requires is not None else ""
    if missing and strict:
        reason = f"not run: {missing}, and --strict forbids skips"
        record.add([suite.result(step, Verdict.ERROR, reason=reason) for step in suite.steps])
    elif missing:
        record.add([suite.result(step, Verdict.SKIPPED, reason=missing) for step in suite.steps])
    else:
        answers: dict[str, dict[str, Any]] = {}
        for step in suite.steps:
            _run_step(suite, step, target, record, answers)


def _run_step(
    suite: Suite, step: Step, target: Target, record: Record, answers: dict[str, dict[str, Any]]
) -> None:
    started = time.perf_counter()
    result = suite.result(step, Verdict.PASSED)
    gone: _Gone | None = None
    try:
        if isinstance(step, FixtureStep):
            problems = _pay(step, target)
        else:
            problems = _call(step, target, answers)
    except _Gone as ended:
        gone, problems = ended, [*ended.problems, str(ended)]
    except OutcomeUnknown as lost:
        with suppress(
            BrokenPipeError, CheckFailed
        ):  # that nobody reads on makes it no better known
            record.add([replace(result, verdict=Verdict.ERROR, reason=str(lost))])
        raise
    except _NotSent as problem:
        problems, result = [], replace(result, verdict=Verdict.ERROR, reason=f"not sent: {problem}")
    if problems:
        result = replace(result, verdict=Verdict.FAILED, reason="; ".join(problems))
    record.add([replace(result, duration_s=time.perf_counter() - started)])
    if gone is not None:
        raise gone


def _call(step: CallStep, target: Target, answers: dict[str, dict[str, Any]]) -> list[str]:
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
    try:
        response = call(target.channel, step.method, request, target.timeout_s, metadata)
    except grpc.RpcError as ended:
        _check_alive(target, ended)
        if step.expect_error is None:
            return [_ended(ended, target)]
        return list(step.expect_error.unmet(ended, answers))
    except KeyboardInterrupt as interrupt:
        raise OutcomeUnknown(
            f"Interrupted before step '{step.name}' had an answer; it may have been carried out. "
            f"Its request was {json_format.MessageToDict(request, preserving_proto_field_name=True)}."
        ) from interrupt
    except (ValueError, TypeError) as problem:  # a timestamp of the year 200000, say
        return [f"the response cannot be shown as JSON: {problem}"]
    if step.expect_error is not None:
        return [f"expected {step.expect_error.code}, but the call succeeded with {response}"]
    answers[step.name] = response
    return list(step.expect.unmet("", response, answers))


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
