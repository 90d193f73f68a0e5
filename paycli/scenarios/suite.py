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
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
from google.protobuf.descriptor import MethodDescriptor

from paycli import documents
from paycli.client.calls import build_request, find_method
from paycli.client.fixtures import FixturePayment, read_fixture
from paycli.documents import Node
from paycli.errors import DocumentError
from paycli.placeholders import expand

_SUITE_KEYS: Final = ("requires", "steps")
_STEP_KEYS: Final = ("name", "call", "request", "metadata", "expect", "expect_error", "fixture")
_ERROR_KEYS: Final = ("code", "reason", "message")
_STEP_REFERENCE: Final = re.compile(r"\$\{steps\.([^.}]+)\.([^}]+)\}")


@dataclass(frozen=True, slots=True)
class ErrorExpectation:
    """The error that a call must end with; None means "any"."""

    code: str
    reason: str | None
    message: str | None


@dataclass(frozen=True, slots=True)
class CallStep:
    """One call and what must come of it: a response, or an error."""

    name: str
    where: str
    method: MethodDescriptor
    request: Mapping[str, object]
    metadata: Mapping[str, str]
    expect: Mapping[str, object]
    expect_error: ErrorExpectation | None


@dataclass(frozen=True, slots=True)
class FixtureStep:
    """Payments of a fixture; each must get the status it expects."""

    name: str
    where: str
    payments: tuple[FixturePayment, ...]


Step = CallStep | FixtureStep


@dataclass(frozen=True, slots=True)
class Suite:
    """Steps that run in order against one service."""

    name: str
    requires: str | None
    steps: tuple[Step, ...]


def read_suite(path: Path) -> Suite:
    """Read and check a suite; nothing is sent for a suite with a mistake. Raises DocumentError."""
    top = documents.read(path).fields("a suite", _SUITE_KEYS)
    if "steps" not in top:
        raise DocumentError(path, "a suite needs 'steps:', a list of what to do.", 1)
    steps: dict[str, Step] = {}
    for node in top["steps"].items("steps"):
        step = _read_step(node)
        if step.name in steps:
            raise node.error(f"two steps are called '{step.name}'.")
        _check_references(node, step, steps)
        steps[step.name] = step
    if not steps:
        raise top["steps"].error("steps is empty; list at least one.")
    requires = top["requires"].text("requires") if "requires" in top else None
    return Suite(path.stem, requires, tuple(steps.values()))


def _read_step(node: Node) -> Step:
    fields = node.fields("a step", _STEP_KEYS)
    if "name" not in fields:
        raise node.error("name is missing; say in a few words what the step shows.")
    name = fields["name"].parse("name", _step_name)
    where = f"{node.path}:{node.line}"
    if ("call" in fields) == ("fixture" in fields):
        raise node.error("a step has either 'call' or 'fixture'.")
    if "fixture" in fields:
        return FixtureStep(name, where, _read_payments(node, fields))
    method = fields["call"].parse("call", find_method)
    if "expect" in fields and "expect_error" in fields:
        raise node.error("a step expects a response (expect) or an error (expect_error), not both.")
    request = _plain_mapping(fields, "request")
    _check_request(fields.get("request", node), method, request)
    return CallStep(
        name,
        where,
        method,
        request,
        {key: str(value) for key, value in _plain_mapping(fields, "metadata").items()},
        _plain_mapping(fields, "expect"),
        _read_error(fields["expect_error"]) if "expect_error" in fields else None,
    )


def _read_payments(node: Node, fields: Mapping[str, Node]) -> tuple[FixturePayment, ...]:
    for name in fields.keys() - {"name", "fixture"}:
        raise fields[name].error(f"a step with 'fixture' has no '{name}'.")
    named = node.path.parent / fields["fixture"].text("fixture")
    payments = []
    for item in read_fixture(named):
        if isinstance(item, DocumentError):
            raise item
        payments.append(item)
    return tuple(payments)


def _read_error(node: Node) -> ErrorExpectation:
    fields = {
        name: value.text(name) for name, value in node.fields("expect_error", _ERROR_KEYS).items()
    }
    code = fields.get("code", "")
    if code not in grpc.StatusCode.__members__:
        known = ", ".join(grpc.StatusCode.__members__)
        raise node.error(f"expect_error needs a code, one of {known}.")
    return ErrorExpectation(code, fields.get("reason"), fields.get("message"))


def _plain_mapping(fields: Mapping[str, Node], name: str) -> dict[str, object]:
    if name not in fields:
        return {}
    return {key: value.typed() for key, value in fields[name].fields(name).items()}


def _check_request(node: Node, method: MethodDescriptor, request: Mapping[str, object]) -> None:
    """Find misspelt fields and wrong types now, with every placeholder standing for itself."""
    known = method.input_type.fields_by_name
    for key in request:
        if key not in known:
            raise node.error(
                f"{method.input_type.full_name} has no field '{key}'; it has {', '.join(known)}."
            )
    literal = {key: value for key, value in request.items() if "${" not in str(value)}
    try:
        build_request(method, literal)
    except ValueError as problem:
        raise node.error(str(problem)) from problem


def _check_references(node: Node, step: Step, earlier: Mapping[str, Step]) -> None:
    if not isinstance(step, CallStep):
        return
    written = f"{dict(step.request)}{dict(step.metadata)}{dict(step.expect)}"
    for name, field in _STEP_REFERENCE.findall(written):
        source = earlier.get(name)
        if not isinstance(source, CallStep) or source.expect_error is not None:
            raise node.error(f"${{steps.{name}.{field}}} names no earlier step with a response.")
        if field not in source.method.output_type.fields_by_name:
            fields = ", ".join(source.method.output_type.fields_by_name)
            raise node.error(f"the response of step '{name}' has no '{field}'; it has {fields}.")
    try:
        expand(_STEP_REFERENCE.sub("", written), {})
    except ValueError as problem:
        raise node.error(str(problem)) from problem


def _step_name(written: str) -> str:
    if "." in written or "}" in written or not written.strip():
        raise ValueError(f"'{written}' is no name; use words without '.' and '}}'.")
    return written
