"""The `expect:` of a step, checked against the response type before anything is sent."""

from __future__ import annotations

import re
import warnings
from typing import Final

import grpc
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from paycli.documents import Node, nearest
from paycli.scenarios.expectations import (
    Equal,
    ErrorExpectation,
    Expectation,
    Fields,
    Items,
    Pattern,
)
from paycli.scenarios.references import Late, Scope
from paycli.scenarios.wire_values import (
    fields_of,
    is_free,
    is_map,
    map_value,
    message_of,
    read_value,
    type_of,
)

_MATCHERS: Final = ("matches",)
_ERROR_KEYS: Final = ("code", "reason", "message")
_CODES: Final = tuple(name for name in grpc.StatusCode.__members__ if name != "OK")


def read_expect(node: Node, kind: Descriptor, scope: Scope) -> Fields:
    """What a response must be. Raises DocumentError for what no response of the type can be."""
    return Fields(
        {field.name: _field(value, field, scope) for field, value in fields_of(node, kind)}
    )


def read_expect_error(node: Node, scope: Scope) -> ErrorExpectation:
    """The error that a call must end with. Raises DocumentError."""
    fields = node.fields("expect_error", _ERROR_KEYS)
    code = fields["code"].text("code") if "code" in fields else ""
    if code not in _CODES:
        raise fields.get("code", node).error(
            f"expect_error needs a code, one of {', '.join(_CODES)}; {nearest(code, _CODES)}"
            if code
            else f"expect_error needs a code, one of {', '.join(_CODES)}."
        )
    return ErrorExpectation(
        code,
        scope.read(fields["reason"], "reason") if "reason" in fields else None,
        _pattern(fields["message"], "message", scope) if "message" in fields else None,
    )


def _field(node: Node, field: FieldDescriptor, scope: Scope) -> Expectation:
    if node.is_null:
        return _unset(node, field)
    if is_map(field):
        entries = node.fields(field.name)
        return Fields({key: _one(each, map_value(field), scope) for key, each in entries.items()})
    if field.is_repeated:
        return Items([_one(each, field, scope) for each in node.items(field.name)])
    return _one(node, field, scope)


def _unset(node: Node, field: FieldDescriptor) -> Expectation:
    if field.has_presence:
        return Equal(None, field)
    empty = "{}" if is_map(field) else "[]" if field.is_repeated else "its default, '' or 0"
    raise node.error(f"{field.name} is never null; write {empty}.")


def _one(node: Node, field: FieldDescriptor, scope: Scope) -> Expectation:
    if (message := message_of(field)) is not None:
        return read_expect(node, message, scope)
    if is_free(field):
        return _free(node, scope)
    if not node.is_scalar and not node.is_list:
        return _matcher(node, field, scope)
    filled = scope.read(node, field.name) if node.is_scalar and not node.is_null else None
    if isinstance(filled, Late):
        return Equal(filled, field)
    changed = filled is not None and filled != node.text(field.name)
    return Equal(read_value(node, field, filled if changed else None), field)


def _matcher(node: Node, field: FieldDescriptor, scope: Scope) -> Pattern:
    """`{matches: PATTERN}`, the one mapping that a single value can be compared with."""
    what = f"{field.name} ({type_of(field)})"
    fields = node.fields(what, _MATCHERS, unknown="unknown matcher '{key}' for {what}")
    if not fields:
        raise node.must_be(field.name, f"{type_of(field)} or {{matches: PATTERN}}")
    return _pattern(fields["matches"], "matches", scope)


def _free(node: Node, scope: Scope) -> Expectation:
    if node.is_list:
        return Items([_free(each, scope) for each in node.items("the value")])
    if not node.is_scalar:
        fields = node.fields("the value")
        if set(fields) == set(_MATCHERS):
            return _pattern(fields["matches"], "matches", scope)
        return Fields({key: _free(each, scope) for key, each in fields.items()})
    if node.is_null:
        return Equal(None, None)
    filled = scope.read(node, "the value")
    return Equal(node.typed() if filled == node.text("the value") else filled, None)


def _pattern(node: Node, what: str, scope: Scope) -> Pattern:
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
    return Pattern(text)
