"""The chaos file: which calls meet which fault.

seed: 7                        # the same calls in the same order meet the same faults
faults:                        # the first that matches a call, and whose dice say so, is done
  - do: drop                   # see `Kind`
    method: ProcessPayment     # also Payments/Create*, or a full name; * stands for anything
    order: "A-*"
    customer: ada
    amount: "99.99"            # exact
    probability: 0.1
    after: 3                   # let so many matching calls through first
    times: 5                   # and then do it at most so often
  - do: delay
    for: 100ms..2s
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from paycli.documents import Node, nearest, read
from paycli.errors import DocumentError

_KEYS: Final = (
    "do",
    "for",
    "method",
    "order",
    "customer",
    "amount",
    "probability",
    "after",
    "times",
)
_UNIT_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0}
_SPAN: Final = re.compile(r"(?P<number>\d+(\.\d+)?)(?P<unit>ms|s|m)")
_SPAN_MAX_S: Final = 3600.0
_COUNT_MAX: Final = 10**9

_Value = TypeVar("_Value")
_Default = TypeVar("_Default")


class Kind(StrEnum):
    """What is done to a call."""

    DELAY = "delay"
    """The call waits before the work."""
    UNAVAILABLE = "unavailable"
    """UNAVAILABLE instead of the work."""
    RESOURCE_EXHAUSTED = "resource_exhausted"
    """RESOURCE_EXHAUSTED instead of the work, with a RetryInfo of `for`."""
    DROP = "drop"
    """The work is done, and then the connection closed: the answer is lost."""
    DUPLICATE = "duplicate"
    """The request is delivered twice; the caller gets the second answer."""
    SLOW_STREAM = "slow_stream"
    """A pause before each message of a stream but the first."""


# What `for` is when it is not said; kinds that are not here take none.
_FOR: Final = {Kind.DELAY: None, Kind.SLOW_STREAM: None, Kind.RESOURCE_EXHAUSTED: "1s"}


class Span(NamedTuple):
    """A time, or any between two, in seconds."""

    least_s: float
    most_s: float

    def __str__(self) -> str:
        if self.least_s == self.most_s:
            return f"{self.least_s:g} s"
        return f"{self.least_s:g} to {self.most_s:g} s"


class Subject(NamedTuple):
    """What a request is about, as far as it says."""

    order: str | None = None
    customer: str | None = None
    amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of `faults`. Patterns are globs; None matches whatever there is, or nothing."""

    path: Path
    line: int
    kind: Kind
    span: Span
    method: str | None = None
    order: str | None = None
    customer: str | None = None
    amount: Decimal | None = None
    probability: float = 1.0
    after: int = 0
    times: int = _COUNT_MAX

    @property
    def is_about_requests(self) -> bool:
        """Whether it has to look into a request."""
        return (self.order, self.customer, self.amount) != (None, None, None)

    def is_for(self, method: str) -> bool:
        """Whether it is about a method, by its path /package.Service/Method."""
        if self.method is None:
            return True
        return any(fnmatchcase(each, self.method) for each in _names_of(method))

    def matches(self, subject: Subject) -> bool:
        """Whether a request is one of those that it is about."""
        return (
            _fits(self.order, subject.order)
            and _fits(self.customer, subject.customer)
            and self.amount in (None, subject.amount)
        )

    def __str__(self) -> str:
        told = [str(self.kind), *([f"({self.span})"] if self.kind in _FOR else [])]
        told += [f"in {100 * self.probability:g} % of"] if self.probability < 1 else []
        told.append(self.method or "all methods")
        said = {"order": self.order, "customer": self.customer, "amount": self.amount}
        told += [f"with {name} {value}" for name, value in said.items() if value is not None]
        told += [f"after {self.after} calls"] if self.after else []
        told += [f"at most {self.times} times"] if self.times < _COUNT_MAX else []
        return " ".join(told)


class Plan(NamedTuple):
    """What a chaos file says; `seed` None lets chance choose one."""

    path: Path
    seed: int | None
    rules: Sequence[Rule]


def refuse_idle(rules: Sequence[Rule], methods: Sequence[str]) -> None:
    """Raise DocumentError for the first rule that is about none of all methods there are."""
    for rule in rules:
        if rule.method is not None and not any(map(rule.is_for, methods)):
            written = [_names_of(each) for each in methods]
            known = {
                name for each in written for name in each if ("/" in name) == ("/" in rule.method)
            }
            said = f"no method here is '{rule.method}'; {nearest(rule.method, known)}"
            raise DocumentError(rule.path, said, rule.line)


def _names_of(method: str) -> tuple[str, str, str]:
    """How a method may be written: in full, short, alone."""
    full = method.removeprefix("/")
    service, _, name = full.partition("/")
    return full, f"{service.rpartition('.')[2]}/{name}", name


def read_plan(path: Path) -> Plan:
    """Raises DocumentError with the line of the first mistake."""
    root = read(path)
    top = root.fields("the chaos file", ("seed", "faults"))
    if "faults" not in top:
        raise root.error("there are no 'faults:'.")
    seed = top["seed"].parse("'seed'", _count) if "seed" in top else None
    rules = [_rule(node) for node in top["faults"].items("'faults'")]
    if not rules:
        raise top["faults"].error("'faults' is empty.")
    return Plan(path, seed, rules)


def _rule(node: Node) -> Rule:
    fields = node.fields("a fault", _KEYS)
    if "do" not in fields:
        raise node.error(f"a fault needs 'do:', one of {', '.join(Kind)}.")
    kind = _kind(fields["do"])
    return Rule(
        node.path,
        node.line,
        kind,
        _span_of(node, kind, fields.get("for")),
        _value(fields, "method", str, None),
        _value(fields, "order", str, None),
        _value(fields, "customer", str, None),
        _value(fields, "amount", _amount, None),
        _value(fields, "probability", _share, 1.0),
        _value(fields, "after", _count, 0),
        _value(fields, "times", _count, _COUNT_MAX),
    )


def _value(
    fields: Mapping[str, Node], name: str, parse: Callable[[str], _Value], default: _Default
) -> _Value | _Default:
    return fields[name].parse(f"'{name}'", parse) if name in fields else default


def _kind(node: Node) -> Kind:
    name = node.text("'do'")
    if name not in list(Kind):
        raise node.error(f"there is no fault '{name}'; {nearest(name, list(Kind))}")
    return Kind(name)


def _span_of(fault: Node, kind: Kind, node: Node | None) -> Span:
    if kind not in _FOR:
        if node is not None:
            raise node.error(f"'{kind}' takes no 'for:'.")
        return Span(0, 0)
    default = _FOR[kind]
    if node is not None:
        return node.parse("'for'", _span)
    if default is None:
        raise fault.error(f"'{kind}' needs 'for:', such as 200ms or 100ms..2s.")
    return _span(default)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:  # nan, too
        raise ValueError(f"{text} is not between 0 and 1.")
    return value


def _count(text: str) -> int:
    value = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= value <= _COUNT_MAX:
        raise ValueError(f"'{text}' is not a whole number from 0 to {_COUNT_MAX:,}.")
    return value


def _amount(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("nan")
    if not value.is_finite():
        raise ValueError(f"'{text}' is not an amount, such as 99.99.")
    return value


def _span(text: str) -> Span:
    least, dots, most = text.partition("..")
    span = Span(_seconds(least), _seconds(most if dots else least))
    if span.least_s > span.most_s:
        raise ValueError(f"'{text}' ends before it begins.")
    return span


def _seconds(text: str) -> float:
    match = _SPAN.fullmatch(text.strip())
    seconds = float(match["number"]) * _UNIT_S[match["unit"]] if match else -1.0
    if not 0 <= seconds <= _SPAN_MAX_S:
        raise ValueError(f"'{text}' is not a time of at most an hour, such as 200ms, 1.5s or 2m.")
    return seconds


def _fits(pattern: str | None, value: str | None) -> bool:
    return pattern is None or (value is not None and fnmatchcase(value, pattern))
