"""Requests of suites: checked field by field when they are read, finished when they are sent."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from paycli.documents import Node
from paycli.scenarios.references import Late, Scope
from paycli.scenarios.wire_values import (
    fields_of,
    is_free,
    is_map,
    map_value,
    message_of,
    read_value,
)

Request = Mapping[str, object]  # plain data, with a Late where an answer is still missing


def read_request(node: Node, kind: Descriptor, scope: Scope) -> Request:
    """The fields of a request. Raises DocumentError for all that does not fit."""
    return {field.name: _field(value, field, scope) for field, value in fields_of(node, kind)}


def _field(node: Node, field: FieldDescriptor, scope: Scope) -> object:
    if node.is_null:
        return None
    if is_map(field):
        entries = node.fields(field.name)
        return {key: _one(each, map_value(field), scope) for key, each in entries.items()}
    if field.is_repeated:
        return [_one(each, field, scope) for each in node.items(field.name)]
    return _one(node, field, scope)


def _one(node: Node, field: FieldDescriptor, scope: Scope) -> object:
    if (message := message_of(field)) is not None:
        return read_request(node, message, scope)
    if is_free(field):
        return _free(node, scope)
    filled = scope.read(node, field.name) if node.is_scalar and not node.is_null else None
    if isinstance(filled, Late):
        return filled
    changed = filled is not None and filled != node.text(field.name)
    return read_value(node, field, filled if changed else None)


def _free(node: Node, scope: Scope) -> object:
    """JSON of any form, as `node.typed()` gives it, with placeholders filled in."""
    if node.is_list:
        return [_free(each, scope) for each in node.items("the value")]
    if not node.is_scalar:
        return {key: _free(each, scope) for key, each in node.fields("the value").items()}
    if node.is_null:
        return None
    filled = scope.read(node, "the value")
    return node.typed() if filled == node.text("the value") else filled
