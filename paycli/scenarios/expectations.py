"""Expectations: a response or an error against what a step said must come.

A message names some fields and is silent of the others, a list names all of its items, `null` is a
field that is not set, matchers such as `{gte: 1}` say more: the same at every depth.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Final, Protocol

import grpc
from google.protobuf.descriptor import FieldDescriptor

from paycli.client.failures import error_info
from paycli.scenarios.problems import Problem, Words
from paycli.scenarios.references import Answers, Late
from paycli.scenarios.wire_values import json_value

_COMPARE: Final = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


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
            yield Problem(where, Words(f"to match '{text}'"), got)


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
            yield Problem(where, wanted, got)


@dataclass(frozen=True, slots=True)
class Fields:
    """Some of the fields of a message, or of the entries of a map.

    `unset` are others, and what they show as long as they are not set, as they must not be; of entries
    that have no names before they are there, `is_all` says that there are no others.
    """

    wanted: Mapping[str, Expectation]
    unset: Mapping[str, object] = field(default_factory=dict)
    is_all: bool = False

    def unmet(self, where: str, got: object, answers: Answers) -> Iterator[str]:
        """See Expectation."""
        if not isinstance(got, Mapping):
            yield Problem(where, Words("a message"), got)
            return
        for name, expectation in self.wanted.items():
            inner = f"{where}.{name}" if where else name
            yield from expectation.unmet(inner, got.get(name), answers)
        unset = dict.fromkeys(got.keys() - self.wanted.keys()) if self.is_all else self.unset
        for name, nothing in unset.items():
            if (value := got.get(name)) != nothing:
                inner = f"{where}.{name}" if where else name
                yield Problem(inner, Words("not to be set"), value)


@dataclass(frozen=True, slots=True)
class Items:
    """All items of a list, in order."""

    wanted: Sequence[Expectation]

    def unmet(self, where: str, got: object, answers: Answers) -> Iterator[str]:
        """See Expectation."""
        if not isinstance(got, list):
            yield _other_count(where, self.wanted, got)
            return
        is_whole = len(got) == len(self.wanted)
        if not is_whole:
            yield _other_count(where, self.wanted, got)
        for number, (expectation, item) in enumerate(zip(self.wanted, got, strict=False)):
            unmet = list(expectation.unmet(f"{where}[{number}]", item, answers))
            yield from unmet
            if unmet and not is_whole:  # behind it all are in another place
                return


@dataclass(frozen=True, slots=True)
class All:
    """A value of which several things are said."""

    wanted: Sequence[Expectation]

    def unmet(self, where: str, got: object, answers: Answers) -> Iterator[str]:
        """See Expectation."""
        for each in self.wanted:
            yield from each.unmet(where, got, answers)


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of several."""

    choices: Sequence[Expectation]

    def unmet(self, where: str, got: object, answers: Answers) -> Iterator[str]:
        """See Expectation."""
        if not any(_meets(each, got, answers) for each in self.choices):
            yield Problem(where, Words(f"one of {len(self.choices)}"), got)


@dataclass(frozen=True, slots=True)
class Not:
    """Anything else; a field that is not set is that too."""

    unwanted: Expectation
    written: str

    def unmet(self, where: str, got: object, answers: Answers) -> Iterator[str]:
        """See Expectation."""
        if _meets(self.unwanted, got, answers):
            yield Problem(where, Words(f"not {self.written}"), got)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A value before or after another, by `order`."""

    operator: str
    wanted: str | Late
    order: Callable[[object], Decimal]

    def unmet(self, where: str, got: object, answers: Answers) -> Iterator[str]:
        """See Expectation."""
        wanted = self.wanted if isinstance(self.wanted, str) else self.wanted.fill(answers)
        try:
            is_met = got is not None and _COMPARE[self.operator](
                self.order(got), self.order(wanted)
            )
        except ValueError as problem:  # an answer made it so
            yield f"{where}: cannot be compared: {problem}"
            return
        if not is_met:
            yield Problem(where, Words(f"{self.operator} {wanted}"), got)


@dataclass(frozen=True, slots=True)
class TextWithin:
    """Text that has another in it."""

    part: str | Late

    def unmet(self, where: str, got: object, answers: Answers) -> Iterator[str]:
        """See Expectation."""
        part = self.part if isinstance(self.part, str) else self.part.fill(answers)
        if not isinstance(got, str) or part not in got:
            yield Problem(where, Words(f"to contain {part!r}"), got)


@dataclass(frozen=True, slots=True)
class Length:
    """How many items a list has, or characters a text."""

    wanted: Expectation

    def unmet(self, where: str, got: object, answers: Answers) -> Iterator[str]:
        """See Expectation."""
        if not isinstance(got, str | list):
            yield Problem(where, Words("a text or a list"), got)
            return
        yield from self.wanted.unmet(f"length of {where}", len(got), answers)


@dataclass(frozen=True, slots=True)
class Containing:
    """A list with at least one such item."""

    item: Expectation
    written: str

    def unmet(self, where: str, got: object, answers: Answers) -> Iterator[str]:
        """See Expectation."""
        if not isinstance(got, list) or not any(_meets(self.item, each, answers) for each in got):
            yield Problem(where, Words(f"an item that is {self.written}"), got)


@dataclass(frozen=True, slots=True)
class Each:
    """A list whose items are all such; an empty one is that too."""

    item: Expectation

    def unmet(self, where: str, got: object, answers: Answers) -> Iterator[str]:
        """See Expectation."""
        if not isinstance(got, list):
            yield Problem(where, Words("a list"), got)
            return
        for number, each in enumerate(got):
            yield from self.item.unmet(f"{where}[{number}]", each, answers)


@dataclass(frozen=True, slots=True)
class Unordered:
    """All items of a list, in any order: each is met by an item of its own."""

    wanted: Sequence[Expectation]

    def unmet(self, where: str, got: object, answers: Answers) -> Iterator[str]:
        """See Expectation."""
        if not isinstance(got, list) or len(got) != len(self.wanted):
            yield _other_count(where, self.wanted, got)
            return
        fits = [
            [number for number, each in enumerate(got) if _meets(wanted, each, answers)]
            for wanted in self.wanted
        ]
        taken: dict[int, int] = {}  # by item, whose it is
        for number in range(len(fits)):
            if not _place(number, fits, taken, set()):
                yield Problem(where, Words(f"item {number + 1} in any place"), got)


def _other_count(where: str, wanted: Sequence[Expectation], got: object) -> Problem:
    count = len(wanted)
    return Problem(where, Words(f"{count} item{'' if count == 1 else 's'}"), got)


def _place(wanted: int, fits: list[list[int]], taken: dict[int, int], tried: set[int]) -> bool:
    """Find an item for it, moving others to other items if need be (Kuhn's bipartite matching)."""
    for item in fits[wanted]:
        if item in tried:
            continue
        tried.add(item)
        if item not in taken or _place(taken[item], fits, taken, tried):
            taken[item] = wanted
            return True
    return False


def _meets(expectation: Expectation, got: object, answers: Answers) -> bool:
    return next(expectation.unmet("", got, answers), None) is None


@dataclass(frozen=True, slots=True)
class ErrorExpectation:
    """The error that a call must end with; None means "any"."""

    code: str
    reason: str | Late | None
    message: Pattern | None
    metadata: Expectation | None = None

    def unmet(self, call: grpc.RpcError, answers: Answers) -> Iterator[str]:
        """One sentence for each part of the error that is not as expected."""
        if call.code().name != self.code:
            got = Words(f"{call.code().name}: {call.details()}")
            yield Problem("code", Words(self.code), got)
        info = error_info(call)
        reason = self.reason.fill(answers) if isinstance(self.reason, Late) else self.reason
        told = Words(info.reason) if info is not None else None
        if reason is not None and reason != told:
            yield Problem("reason", Words(reason), told)
        if self.message is not None:
            yield from self.message.unmet("message", call.details() or "", answers)
        if self.metadata is not None:
            metadata = dict(info.metadata) if info is not None else {}
            yield from self.metadata.unmet("metadata", metadata, answers)


@dataclass(frozen=True, slots=True)
class StreamExpectation:
    """The messages of a stream: the first ones by name, all of them alike, and how many there are.

    With `cancel_at` the stream is cancelled after so many; without, it must end by itself.
    """

    first: Sequence[Expectation] = ()
    each: Expectation | None = None
    count: Expectation | None = None
    cancel_at: int | None = None

    def unmet_by(self, number: int, message: object, answers: Answers) -> Iterator[str]:
        """One sentence for each thing that is not as expected of a message, counted from 1."""
        where = f"message {number}"
        if number <= len(self.first):
            yield from self.first[number - 1].unmet(where, message, answers)
        if self.each is not None:
            yield from self.each.unmet(where, message, answers)

    def unmet_in_all(self, count: int, answers: Answers) -> Iterator[str]:
        """The same of a stream that ended by itself after so many."""
        where, wanted = "number of messages", max(len(self.first), self.cancel_at or 0)
        if count < wanted:
            yield Problem(where, Words(f"at least {wanted}"), count)
        elif self.count is not None:
            yield from self.count.unmet(where, count, answers)


def _same_number(wanted: object, got: object) -> bool:
    if isinstance(wanted, bool) or isinstance(got, bool):
        return False
    try:
        return Decimal(str(wanted)) == Decimal(str(got))
    except InvalidOperation:
        return False
