"""The `expect:` of a step, checked against the response type before anything is sent."""

from __future__ import annotations

from functools import partial
from typing import Final

import grpc
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.rpc import error_details_pb2

from paycli.documents import Node, nearest
from paycli.scenarios.expectations import (
    Equal,
    ErrorExpectation,
    Expectation,
    Fields,
    Items,
    Pattern,
    StreamExpectation,
)
from paycli.scenarios.matchers import (
    COMPARISONS,
    count_of,
    read_count,
    read_list_matcher,
    read_pattern,
    read_value_matcher,
)
from paycli.scenarios.references import Late, Scope
from paycli.scenarios.wire_values import (
    fields_of,
    is_free,
    is_map,
    map_value,
    message_of,
    read_value,
    unset_fields,
)

# In JSON of any form other names may well be keys of data.
FREE_MATCHERS: Final = ("matches", *COMPARISONS)
ERROR_KEYS: Final = ("code", "reason", "message", "metadata")
STREAM_KEYS: Final = ("count", "messages", "each", "then")
_METADATA: Final = error_details_pb2.ErrorInfo.DESCRIPTOR.fields_by_name["metadata"]
CODES: Final = tuple(name for name in grpc.StatusCode.__members__ if name != "OK")


def read_expect(node: Node, kind: Descriptor, scope: Scope, *, is_exact: bool = False) -> Fields:
    """What a response must be; `is_exact` says that what is not named must not be set, at every depth.

    Raises DocumentError for what no response of the type can be.
    """
    return _Reader(scope, is_exact).message(node, kind)


def read_expect_error(node: Node, scope: Scope) -> ErrorExpectation:
    """The error that a call must end with. Raises DocumentError."""
    fields = node.fields("expect_error", ERROR_KEYS)
    code = fields["code"].text("code") if "code" in fields else ""
    if code not in CODES:
        raise fields.get("code", node).error(
            f"expect_error needs a code, one of {', '.join(CODES)}; {nearest(code, CODES)}"
            if code
            else f"expect_error needs a code, one of {', '.join(CODES)}."
        )
    return ErrorExpectation(
        code,
        scope.read(fields["reason"], "reason") if "reason" in fields else None,
        Pattern(read_pattern(fields["message"], "message", scope)) if "message" in fields else None,
        _Reader(scope, False).field(fields["metadata"], _METADATA)
        if "metadata" in fields
        else None,
    )


def read_expect_stream(node: Node, kind: Descriptor, scope: Scope) -> StreamExpectation:
    """The messages that a stream must bring. Raises DocumentError."""
    fields = node.fields("expect_stream", STREAM_KEYS)
    then = fields["then"].parse("then", _then) if "then" in fields else "end"
    first = [
        read_expect(each, kind, scope)
        for each in (fields["messages"].items("messages") if "messages" in fields else ())
    ]
    each = read_expect(fields["each"], kind, scope) if "each" in fields else None
    if then == "end":
        count: Expectation | None = Equal(len(first), None) if first else None
        if "count" in fields:
            count = read_count(fields["count"], "count", scope)
        return StreamExpectation(first, each, count)
    cancel_at = fields["count"].parse("count", count_of) if "count" in fields else len(first)
    if cancel_at < max(1, len(first)):
        raise node.error(
            "a stream is cancelled after 'count' messages, at least those that are listed."
        )
    return StreamExpectation(first, each, None, cancel_at)


def _then(written: str) -> str:
    if written not in ("cancel", "end"):
        raise ValueError(f"'{written}' is neither 'end' (of itself) nor 'cancel'.")
    return written


class _Reader:
    def __init__(self, scope: Scope, is_exact: bool) -> None:
        self._scope = scope
        self._is_exact = is_exact

    def message(self, node: Node, kind: Descriptor) -> Fields:
        wanted = {field.name: self.field(value, field) for field, value in fields_of(node, kind)}
        if not self._is_exact:
            return Fields(wanted)
        unset = unset_fields(kind)
        return Fields(wanted, {name: unset[name] for name in unset if name not in wanted})

    def field(self, node: Node, field: FieldDescriptor) -> Expectation:
        if node.is_null:
            return _unset(node, field)
        if is_map(field):
            entries = node.fields(field.name)
            wanted = {key: self._one(each, map_value(field)) for key, each in entries.items()}
            return Fields(wanted, is_all=self._is_exact)
        if not field.is_repeated:
            return self._one(node, field)
        if node.is_scalar or node.is_list:
            return Items([self._one(each, field) for each in node.items(field.name)])
        return read_list_matcher(node, field.name, self._scope, partial(self._one, field=field))

    def _one(self, node: Node, field: FieldDescriptor) -> Expectation:
        if (message := message_of(field)) is not None:
            return self.message(node, message)
        if is_free(field):
            return self._free(node)
        if not node.is_scalar and not node.is_list:
            return read_value_matcher(node, field, self._scope, partial(self._one, field=field))
        filled = self._scope.read(node, field.name) if node.is_scalar and not node.is_null else None
        if isinstance(filled, Late):
            return Equal(filled, field)
        changed = filled is not None and filled != node.text(field.name)
        return Equal(read_value(node, field, filled if changed else None), field)

    def _free(self, node: Node) -> Expectation:
        if node.is_list:
            return Items([self._free(each) for each in node.items("the value")])
        if not node.is_scalar:
            fields = node.fields("the value")
            if fields and fields.keys() <= set(FREE_MATCHERS):
                return read_value_matcher(node, None, self._scope, self._free)
            wanted = {key: self._free(each) for key, each in fields.items()}
            return Fields(wanted, is_all=self._is_exact)
        if node.is_null:
            return Equal(None, None)
        filled = self._scope.read(node, "the value")
        return Equal(node.typed() if filled == node.text("the value") else filled, None)


def _unset(node: Node, field: FieldDescriptor) -> Expectation:
    if field.has_presence:
        return Equal(None, field)
    empty = "{}" if is_map(field) else "[]" if field.is_repeated else "its default, '' or 0"
    raise node.error(f"{field.name} is never null; write {empty}.")
