"""Suites: YAML files of steps that prove a service.

requires: payment.PaymentService      # optional: skip unless the target offers it
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
from paycli.documents import Node
from paycli.errors import DocumentError
from paycli.placeholders import expand
from paycli.scenarios.contracts import Contracts
from paycli.scenarios.record import StepResult, Verdict
from paycli.scenarios.references import Scope
from paycli.scenarios.steps import Step, Unless, read_step, read_tags, read_unless, refuse_name

SUITE_KEYS: Final = (
    *("requires", "skip_unless", "variables", "tags", "setup", "steps", "teardown"),
)
SUITE_UNLESS_KEYS: Final = ("env",)


@dataclass(frozen=True, slots=True)
class Suite:
    """Steps that run in order against one service; those of the teardown run whatever happened before."""

    name: str
    requires: str | None
    steps: tuple[Step, ...]
    setup: tuple[Step, ...] = ()
    teardown: tuple[Step, ...] = ()
    tags: frozenset[str] = frozenset()
    unknown: str = ""  # why its steps were not read: nobody knows what it requires

    @property
    def all_steps(self) -> tuple[Step, ...]:
        """In the order in which they run."""
        return (*self.setup, *self.steps, *self.teardown)

    @property
    def planned(self) -> list[StepResult]:
        """All steps, as errors until they ran."""
        return [self.result(step, Verdict.ERROR) for step in self.all_steps]

    def result(
        self, step: Step, verdict: Verdict, duration_s: float = 0.0, reason: str = ""
    ) -> StepResult:
        """What came of one of its steps."""
        return StepResult(self.name, step.name, step.where, verdict, duration_s, reason)


def read_suite(path: Path, contracts: Contracts | None = None) -> Suite:
    """Read and check a suite; nothing is sent for a suite with a mistake. Raises DocumentError."""
    contracts = contracts or Contracts()
    top = documents.read(path).fields("a suite", SUITE_KEYS)
    if "steps" not in top:
        raise DocumentError(path, "a suite needs 'steps:', a list of what to do.", 1)
    requires = top["requires"].text("requires") if "requires" in top else None
    unknown = contracts.why_unknown(requires) if requires is not None else ""
    if unknown and not contracts.asks_target:
        raise top["requires"].error(f"requires: {unknown}")
    unless = Unless()
    if "skip_unless" in top:
        unless = read_unless(top["skip_unless"], SUITE_UNLESS_KEYS, unless)
    scope = Scope(values=_variables(top["variables"]) if "variables" in top else {})
    read = partial(read_step, scope=scope, contracts=contracts, unless=unless, unread=bool(unknown))
    names: set[str] = set()
    setup = _steps(top["setup"], "setup", read, names) if "setup" in top else ()
    steps = _steps(top["steps"], "steps", read, names)
    if not steps:
        raise top["steps"].error("steps is empty; list at least one.")
    teardown = _steps(top["teardown"], "teardown", read, names) if "teardown" in top else ()
    tags = read_tags(top["tags"]) if "tags" in top else frozenset()
    return Suite(path.stem, requires, steps, setup, teardown, tags, unknown)


def _steps(
    node: Node, what: str, read: Callable[[Node], Step], names: set[str]
) -> tuple[Step, ...]:
    found = []
    for each in node.items(what):
        step = read(each)
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
