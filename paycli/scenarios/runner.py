"""Run suites against a service, step by step, and say what came of each."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import grpc

from paycli.client.calls import build_request, call, find_method
from paycli.client.charges import send
from paycli.client.failures import failure_of
from paycli.errors import PaycliError
from paycli.placeholders import expand
from paycli.scenarios.expectations import unmet_in_error, unmet_in_response
from paycli.scenarios.suite import FixtureStep, Step, Suite

_HEALTH_CHECK: Final = "grpc.health.v1.Health/Check"
_NOT_OFFERED: Final = (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.NOT_FOUND)
_PLACEHOLDER: Final = re.compile(r"\$\{(steps\.[^}]+)\}")


class Verdict(StrEnum):
    """How a step ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class StepResult:
    """A step, how it ended, how long it took, and why it did not pass."""

    suite: str
    step: str
    where: str
    verdict: Verdict
    duration_s: float
    reason: str = ""


def run_suites(
    suites: Iterable[Suite],
    channel: grpc.Channel,
    timeout_s: float,
    report: Callable[[StepResult], None],
) -> list[StepResult]:
    """Run every step of every suite in order; a failed step does not stop the ones after it."""
    results: list[StepResult] = []
    for suite in suites:
        missing = suite.requires is not None and not _offers(channel, suite.requires, timeout_s)
        answers: dict[str, dict[str, Any]] = {}
        for step in suite.steps:
            started = time.perf_counter()
            if missing:
                reason = f"the health service of the target does not know {suite.requires}"
                verdict = Verdict.SKIPPED
            else:
                problems = _run_step(step, channel, timeout_s, answers)
                reason = "; ".join(problems)
                verdict = Verdict.FAILED if problems else Verdict.PASSED
            duration_s = time.perf_counter() - started
            result = StepResult(suite.name, step.name, step.where, verdict, duration_s, reason)
            report(result)
            results.append(result)
    return results


def _run_step(
    step: Step, channel: grpc.Channel, timeout_s: float, answers: dict[str, dict[str, Any]]
) -> list[str]:
    if isinstance(step, FixtureStep):
        return _run_fixture(step, channel, timeout_s)
    try:
        request = build_request(step.method, _fill(step.request, answers))
        expect = _fill(step.expect, answers)
        metadata = tuple((key, str(_fill(value, answers))) for key, value in step.metadata.items())
    except (ValueError, LookupError) as problem:
        return [f"not sent: {problem}"]
    try:
        response = call(channel, step.method, request, timeout_s, metadata)
    except grpc.RpcError as ended:
        if step.expect_error is None:
            return [f"ended with {ended.code().name}: {ended.details()}"]
        return unmet_in_error(step.expect_error, ended)
    if step.expect_error is not None:
        return [f"expected {step.expect_error.code}, but the call succeeded with {response}"]
    answers[step.name] = response
    return unmet_in_response(expect, response)


def _run_fixture(step: FixtureStep, channel: grpc.Channel, timeout_s: float) -> list[str]:
    problems = []
    for payment in step.payments:
        where = f"{payment.path.name}:{payment.line}"
        try:
            status = send(channel, payment.charge, timeout_s).status
        except PaycliError as failure:
            problems.append(f"{where}: {failure}")
        else:
            if status != payment.expect:
                problems.append(f"{where}: expected {payment.expect}, got {status}")
    return problems


def _offers(channel: grpc.Channel, service: str, timeout_s: float) -> bool:
    method = find_method(_HEALTH_CHECK)
    try:
        call(channel, method, build_request(method, {"service": service}), timeout_s)
    except grpc.RpcError as ended:
        if ended.code() in _NOT_OFFERED:
            return False
        raise failure_of(ended, _HEALTH_CHECK, sent=False) from ended
    return True


def _fill(value: Any, answers: Mapping[str, Mapping[str, Any]]) -> Any:
    """The value with every placeholder filled in. Raises LookupError for a step that failed."""
    if isinstance(value, Mapping):
        return {key: _fill(each, answers) for key, each in value.items()}
    if isinstance(value, list):
        return [_fill(each, answers) for each in value]
    if not isinstance(value, str) or "${" not in value:
        return value
    values = {
        name: lambda name=name: _answer(name, answers) for name in _PLACEHOLDER.findall(value)
    }
    return expand(value, values)


def _answer(reference: str, answers: Mapping[str, Mapping[str, Any]]) -> str:
    _, step, field = reference.split(".", 2)
    if step not in answers:
        raise LookupError(f"step '{step}' has no response to take '{field}' from")
    return str(answers[step][field])
