"""Matchers: mappings that stand where a single value or a list is expected, and say more than "equal".

{matches: PATTERN}  {contains: TEXT}  {one_of: [A, B]}  {not: A}  {gt: 1, lte: 5}  {length: 3}
and of lists  {length: {gte: 1}}  {contains: ITEM}  {unordered: [A, B]}  {each: ITEM}
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Final

from google.protobuf.descriptor import FieldDescriptor

from paycli.client.json_values import type_of
from paycli.documents import Node
from paycli.scenarios.expectations import (
    All,
    Comparison,
    Containing,
    Each,
    Equal,
    Expectation,
    Length,
    Not,
    OneOf,
    Pattern,
    TextWithin,
    Unordered,
)
from paycli.scenarios.references import Late, Scope
from paycli.scenarios.wire_values import order_of

COMPARISONS: Final = ("gt", "gte", "lt", "lte")
VALUE_MATCHERS: Final = ("matches", "contains", "one_of", "not", *COMPARISONS, "length")
LIST_MATCHERS: Final = ("length", "contains", "unordered", "each")
_UNKNOWN: Final = "unknown matcher '{key}' for {what}"

_Read = Callable[[Node], Expectation]


def read_value_matcher(node: Node, field: FieldDescriptor | None, scope: Scope, read: _Read) -> All:
    """What a single value must be; `read` reads one that stands inside. Raises DocumentError.

    Without a field the value is JSON of any form.
    """
    kind = type_of(field) if field is not None else "a value"
    what = f"{field.name} ({kind})" if field is not None else kind
    fields = node.fields(what, VALUE_MATCHERS, unknown=_UNKNOWN)
    if not fields:
        raise node.must_be(field.name if field is not None else what, f"{kind} or a matcher")
    found: list[Expectation] = []
    for name, inner in fields.items():
        match name:
            case "matches":
                found.append(Pattern(read_pattern(inner, name, scope)))
            case "contains":
                found.append(TextWithin(scope.read(inner, name)))
            case "one_of":
                choices = [read(each) for each in inner.items(name)]
                if not choices:
                    raise inner.error("one_of is empty; list what it may be.")
                found.append(OneOf(choices))
            case "not":
                found.append(Not(read(inner), inner.shown()))
            case "length":
                found.append(Length(read_count(inner, "length", scope)))
            case _:
                found.append(_comparison(name, inner, field, scope))
    return All(found)


def read_list_matcher(node: Node, name: str, scope: Scope, read: _Read) -> All:
    """What a list must be; `read` reads an item. Raises DocumentError."""
    fields = node.fields(f"the list {name}", LIST_MATCHERS, unknown=_UNKNOWN)
    if not fields:
        raise node.must_be(name, "a list or a matcher")
    found: list[Expectation] = []
    for key, inner in fields.items():
        match key:
            case "length":
                found.append(Length(read_count(inner, "length", scope)))
            case "contains":
                found.append(Containing(read(inner), inner.shown()))
            case "each":
                found.append(Each(read(inner)))
            case _:
                found.append(Unordered([read(each) for each in inner.items(key)]))
    return All(found)


def read_pattern(node: Node, what: str, scope: Scope) -> str | Late:
    """A regular expression, in which answers stand for themselves. Raises DocumentError."""
    text = scope.read(node, what)
    sample = (
        "".join(part if isinstance(part, str) else "x" for part in text.parts)
        if isinstance(text, Late)
        else text
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what may change in a later Python is no mistake
            re.compile(sample)
    except (re.error, OverflowError, RecursionError) as problem:
        raise node.error(f"{what}: '{sample}' is no regular expression: {problem}.") from problem
    return text


def read_count(node: Node, what: str, scope: Scope) -> Expectation:
    """How many there must be: a number, or comparisons. Raises DocumentError."""
    if node.is_scalar:
        return Equal(node.parse(what, count_of), None)
    fields = node.fields(what, COMPARISONS)
    if not fields:
        raise node.must_be(what, "a number or a comparison, such as {gte: 1}")
    return All([_comparison(name, each, None, scope) for name, each in fields.items()])


def count_of(written: str) -> int:
    """A number of things. Raises ValueError."""
    if not re.fullmatch("[0-9]{1,9}", written):
        raise ValueError(f"'{written}' is no number of items, messages or characters.")
    return int(written)


def _comparison(
    operator: str, node: Node, field: FieldDescriptor | None, scope: Scope
) -> Comparison:
    text = scope.read(node, operator)
    order = order_of(field)
    if order is None:
        assert field is not None
        raise node.error(f"{operator}: {field.name} is {type_of(field)}, which has no order.")
    if isinstance(text, str):
        try:
            order(text)
        except ValueError as problem:
            raise node.error(f"{operator}: {problem}") from problem
    return Comparison(operator, text, order)
