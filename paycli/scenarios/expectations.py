"""Expectations: a response or an error against what a step said must come.

A message names some fields and is silent of the others, a list names all of its items, `null` is a
field that is not set, `{matches: PATTERN}` is a regular expression: the same at every depth.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Protocol

import grpc
from google.protobuf.descriptor import FieldDescriptor

from paycli.client.failures import error_info
from paycli.scenarios.references import Answers, Late
from paycli.scenarios.wire_values import json_value


class Expectation(Protocol):
    """What one value must be."""

    def unmet(self, where: str, got: object, answers: Answers) -> Iterator[str]:
        """One sentence for each thing that is not as expected."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Text that a regular expression finds something in; answers in it stand for themselves."""

    text: str | Late

    def unmet(self, where: str, got: object, answers: Answers) -> Iterator[str]:
        """See Expectation."""
        text = self.text if isinstance(self.text, str) else self.text.fill(answers, re.escape)
        shown = str(got).lower() if isinstance(got, bool) else str(got)
        try:
            found = not isinstance(got, Mapping | list | None) and re.search(text, shown)
        except re.error as problem:  # an answer made it so, between the brackets of [a-${...}]
            yield f"{where}: '{text}' is no regular expression: {problem}"
            return
        if not found:
            yield f"{where}: expected to match '{text}', got {_shown(got)}"


@dataclass(frozen=True, slots=True)
class Equal:
    """A single value; without a field, JSON of any form, whose numbers are compared by value."""

    wanted: object
    field: FieldDescriptor | None

    def unmet(self, where: str, got: object, answers: Answers) -> Iterator[str]:
        """See Expectation."""
        wanted = self.wanted
        if isinstance(wanted, Late):
            wanted = wanted.fill(answers)
            try:
                wanted = json_value(self.field, wanted) if self.field is not None else wanted
            except ValueError as problem:
                yield f"{where}: nothing can equal this: {problem}"
                return
        if wanted != got and (self.field is not None or not _same_number(wanted, got)):
            yield f"{where}: expected {_shown(wanted)}, got {_shown(got)}"


@dataclass(frozen=True, slots=True)
class Fields:
    """Some of the fields of a message, or of the entries of a map."""

    wanted: Mapping[str, Expectation]

    def unmet(self, where: str, got: object, answers: Answers) -> Iterator[str]:
        """See Expectation."""
        if not isinstance(got, Mapping):
            yield f"{where}: expected a message, got {_shown(got)}"
            return
        for name, expectation in self.wanted.items():
            inner = f"{where}.{name}" if where else name
            yield from expectation.unmet(inner, got.get(name), answers)


@dataclass(frozen=True, slots=True)
class Items:
    """All items of a list, in order."""

    wanted: Sequence[Expectation]

    def unmet(self, where: str, got: object, answers: Answers) -> Iterator[str]:
        """See Expectation."""
        if not isinstance(got, list) or len(got) != len(self.wanted):
            count = len(self.wanted)
            yield f"{where}: expected {count} item{'' if count == 1 else 's'}, got {_shown(got)}"
            return
        for number, (expectation, item) in enumerate(zip(self.wanted, got, strict=True)):
            yield from expectation.unmet(f"{where}[{number}]", item, answers)


@dataclass(frozen=True, slots=True)
class ErrorExpectation:
    """The error that a call must end with; None means "any"."""

    code: str
    reason: str | Late | None
    message: Pattern | None

    def unmet(self, call: grpc.RpcError, answers: Answers) -> Iterator[str]:
        """One sentence for each part of the error that is not as expected."""
        if call.code().name != self.code:
            yield f"code: expected {self.code}, got {call.code().name}: {call.details()}"
        info = error_info(call)
        reason = self.reason.fill(answers) if isinstance(self.reason, Late) else self.reason
        got = info.reason if info is not None else None
        if reason not in (None, got):
            yield f"reason: expected {reason}, got {got}"
        if self.message is not None:
            yield from self.message.unmet("message", call.details() or "", answers)


def _shown(value: object) -> str:
    return "nothing" if value is None else repr(value)


def _same_number(wanted: object, got: object) -> bool:
    if isinstance(wanted, bool) or isinstance(got, bool):
        return False
    try:
        return Decimal(str(wanted)) == Decimal(str(got))
    except InvalidOperation:
        return False
