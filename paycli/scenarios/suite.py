"""Suites: YAML files of steps that prove a service.

requires: payment.PaymentService      # optional: skip unless the health service knows it
variables: {customer: ada}            # ${customer}, in all that follows
setup: []                             # steps that come first; if one fails, the rest does not run
teardown: []                          # steps that come last, whatever happened
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

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from paycli import documents
from paycli.client.calls import service_names
from paycli.documents import Node, nearest
from paycli.errors import DocumentError
from paycli.placeholders import expand
from paycli.scenarios.record import StepResult, Verdict
from paycli.scenarios.references import Scope
from paycli.scenarios.steps import Step, read_step, read_tags, refuse_name

SUITE_KEYS: Final = ("requires", "variables", "tags", "setup", "steps", "teardown")


@dataclass(frozen=True, slots=True)
class Suite:
    """Steps that run in order against one service; those of the teardown run whatever happened before."""

    name: str
    requires: str | None
    steps: tuple[Step, ...]
    setup: tuple[Step, ...] = ()
    teardown: tuple[Step, ...] = ()
    tags: frozenset[str] = frozenset()

    @property
    def all_steps(self) -> tuple[Step, ...]:
        """In the order in which they run."""
        return (*self.setup, *self.steps, *self.teardown)

    def result(
        self, step: Step, verdict: Verdict, duration_s: float = 0.0, reason: str = ""
    ) -> StepResult:
        """What came of one of its steps."""
        return StepResult(self.name, step.name, step.where, verdict, duration_s, reason)


def read_suite(path: Path) -> Suite:
    """Read and check a suite; nothing is sent for a suite with a mistake. Raises DocumentError."""
    top = documents.read(path).fields("a suite", SUITE_KEYS)
    if "steps" not in top:
        raise DocumentError(path, "a suite needs 'steps:', a list of what to do.", 1)
    scope = Scope(values=_variables(top["variables"]) if "variables" in top else {})
    names: set[str] = set()
    setup = _steps(top["setup"], "setup", scope, names) if "setup" in top else ()
    steps = _steps(top["steps"], "steps", scope, names)
    if not steps:
        raise top["steps"].error("steps is empty; list at least one.")
    teardown = _steps(top["teardown"], "teardown", scope, names) if "teardown" in top else ()
    requires = top["requires"].parse("requires", _service_name) if "requires" in top else None
    tags = read_tags(top["tags"]) if "tags" in top else frozenset()
    return Suite(path.stem, requires, steps, setup, teardown, tags)


def _steps(node: Node, what: str, scope: Scope, names: set[str]) -> tuple[Step, ...]:
    found = []
    for each in node.items(what):
        step = read_step(each, scope)
        if step.name in names:
            raise each.error(f"two steps are called '{step.name}'.")
        names.add(step.name)
        found.append(step)
    return tuple(found)


def _variables(node: Node) -> dict[str, Callable[[], str]]:
    """Each is filled in once, and may use those above it."""
    found: dict[str, Callable[[], str]] = {}
    for name, value in node.fields("variables").items():
        refuse_name(value, name, found)
        text = value.parse(name, partial(expand, values=found))
        found[name] = partial(str, text)
    return found


def _service_name(written: str) -> str:
    known = service_names()
    if written not in known:
        raise ValueError(f"no known service is called '{written}'; {nearest(written, known)}")
    return written
