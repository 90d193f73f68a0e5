"""Suites: YAML files of steps that prove a service.

requires: payment.PaymentService      # optional: skip unless the health service knows it
steps:
  - name: first
    call: payment.PaymentService/ProcessPayment
    request: {order_id: "${uuid}", amount: 99.99, currency: EUR, user_id: alice}
    expect: {status: SUCCESS, payment_id: {matches: ".+"}}
  - name: refused
    call: payment.PaymentService/ProcessPayment
    request: {order_id: "${uuid}", amount: -1, currency: EUR}
    expect_error: {code: INVALID_ARGUMENT, reason: AMOUNT_NOT_POSITIVE}
  - name: the shop's morning
    fixture: ../fixtures/coffee-shop.yaml    # every payment gets the status it expects
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from google.protobuf.descriptor import Descriptor, MethodDescriptor

from paycli import documents
from paycli.client.calls import build_request, find_method, service_names
from paycli.client.fixture_payments import Mistaken
from paycli.client.fixtures import Fixture
from paycli.documents import Node, nearest
from paycli.errors import DocumentError
from paycli.scenarios.expect import read_expect, read_expect_error
from paycli.scenarios.expectations import ErrorExpectation, Fields
from paycli.scenarios.record import StepResult, Verdict
from paycli.scenarios.references import Late, Reference, Scope
from paycli.scenarios.requests import Request, read_request

_SUITE_KEYS: Final = ("requires", "steps")
_EXPECTS: Final = ("expect", "expect_exactly", "expect_error")
_STEP_KEYS: Final = ("name", "call", "request", "metadata", *_EXPECTS, "fixture")
_METADATA_KEY: Final = re.compile("[0-9a-z_.-]+")


@dataclass(frozen=True, slots=True)
class CallStep:
    """One call and what must come of it: a response, or an error."""

    name: str
    where: str
    method: MethodDescriptor
    request: Request = field(default_factory=dict)
    metadata: Mapping[str, str | Late] = field(default_factory=dict)
    expect: Fields = field(default_factory=lambda: Fields({}))
    expect_error: ErrorExpectation | None = None
    needs: Sequence[Reference] = ()  # what earlier steps must have answered


@dataclass(frozen=True, slots=True)
class FixtureStep:
    """Payments of a fixture, and what is done with them; each must end as it expects."""

    name: str
    where: str
    fixture: Fixture


Step = CallStep | FixtureStep


@dataclass(frozen=True, slots=True)
class Suite:
    """Steps that run in order against one service."""

    name: str
    requires: str | None
    steps: tuple[Step, ...]

    def result(
        self, step: Step, verdict: Verdict, duration_s: float = 0.0, reason: str = ""
    ) -> StepResult:
        """What came of one of its steps."""
        return StepResult(self.name, step.name, step.where, verdict, duration_s, reason)


def read_suite(path: Path) -> Suite:
    """Read and check a suite; nothing is sent for a suite with a mistake. Raises DocumentError."""
    top = documents.read(path).fields("a suite", _SUITE_KEYS)
    if "steps" not in top:
        raise DocumentError(path, "a suite needs 'steps:', a list of what to do.", 1)
    steps: dict[str, Step] = {}
    responses: dict[str, Descriptor] = {}  # by step, of those before
    for node in top["steps"].items("steps"):
        step = _read_step(node, responses)
        if step.name in steps:
            raise node.error(f"two steps are called '{step.name}'.")
        steps[step.name] = step
        if isinstance(step, CallStep) and step.expect_error is None:
            responses[step.name] = step.method.output_type
    if not steps:
        raise top["steps"].error("steps is empty; list at least one.")
    requires = top["requires"].parse("requires", _service_name) if "requires" in top else None
    return Suite(path.stem, requires, tuple(steps.values()))


def _read_step(node: Node, responses: Mapping[str, Descriptor]) -> Step:
    fields = node.fields("a step", _STEP_KEYS)
    if "name" not in fields:
        raise node.error("name is missing; say in a few words what the step shows.")
    name = fields["name"].parse("name", _step_name)
    where = f"{node.path}:{node.line}"
    if ("call" in fields) == ("fixture" in fields):
        raise node.error("a step has either 'call' or 'fixture'.")
    if "fixture" in fields:
        return FixtureStep(name, where, _read_fixture(node, fields))
    return _read_call(fields, name, where, Scope(responses))


def _read_call(fields: Mapping[str, Node], name: str, where: str, scope: Scope) -> CallStep:
    method = fields["call"].parse("call", find_method)
    if len(expects := [each for each in _EXPECTS if each in fields]) > 1:
        raise fields[expects[1]].error(f"a step has {expects[0]} or {expects[1]}, not both.")
    request: Request = {}
    if "request" in fields:
        request = read_request(fields["request"], method.input_type, scope)
        _check_whole(fields["request"], method, request)
    metadata = fields["metadata"].fields("metadata") if "metadata" in fields else {}
    expect = Fields({})
    for key in ("expect", "expect_exactly"):
        if key in fields:
            is_exact = key == "expect_exactly"
            expect = read_expect(fields[key], method.output_type, scope, is_exact=is_exact)
    error = read_expect_error(fields["expect_error"], scope) if "expect_error" in fields else None
    sent = {key: _read_metadata(value, key, scope) for key, value in metadata.items()}
    return CallStep(name, where, method, request, sent, expect, error, tuple(scope.used))


def _read_fixture(node: Node, fields: Mapping[str, Node]) -> Fixture:
    for name in fields.keys() - {"name", "fixture"}:
        raise fields[name].error(f"a step with 'fixture' has no '{name}'.")
    written = fields["fixture"]
    path = node.path.parent / written.text("fixture")
    try:
        fixture = Fixture(path)
        for entry in fixture:
            if isinstance(entry, Mistaken):
                raise entry.problems[0]
    except DocumentError as problem:
        raise written.error(f"fixture: {problem}") from problem
    return fixture


def _read_metadata(node: Node, key: str, scope: Scope) -> str | Late:
    if not _METADATA_KEY.fullmatch(key) or key.startswith("grpc-") or key.endswith("-bin"):
        raise node.error(
            f"metadata cannot have the key '{key}'; take small letters, digits and _ . - only, "
            "no 'grpc-' before and no '-bin' behind."
        )
    value = scope.read(node, f"metadata {key}")
    if isinstance(value, str) and not is_metadata_text(value):
        raise node.error(f"metadata {key} must be printable ASCII, as gRPC's is; '{value}' is not.")
    return value


def is_metadata_text(value: str) -> bool:
    """Whether gRPC can carry the text."""
    return value.isascii() and value.isprintable()


def _check_whole(node: Node, method: MethodDescriptor, request: Request) -> None:
    """Find what no field shows alone, such as two fields of one oneof."""
    literal = {key: value for key, value in request.items() if not _is_late(value)}
    try:
        build_request(method, literal)
    except ValueError as problem:
        raise node.error(str(problem)) from problem


def _is_late(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(map(_is_late, value.values()))
    return any(map(_is_late, value)) if isinstance(value, list) else isinstance(value, Late)


def _step_name(written: str) -> str:
    if "." in written or "}" in written or not written.strip():
        raise ValueError(f"'{written}' is no name; use words without '.' and '}}'.")
    return written


def _service_name(written: str) -> str:
    known = service_names()
    if written not in known:
        raise ValueError(f"no known service is called '{written}'; {nearest(written, known)}")
    return written
