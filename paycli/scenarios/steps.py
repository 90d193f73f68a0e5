"""Steps: what a suite does, read and checked before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from google.protobuf.descriptor import MethodDescriptor

from paycli.client.calls import build_request, find_method
from paycli.client.fixture_payments import Mistaken
from paycli.client.fixtures import Fixture
from paycli.documents import Node
from paycli.errors import DocumentError
from paycli.scenarios.expect import read_expect, read_expect_error
from paycli.scenarios.expectations import ErrorExpectation, Fields
from paycli.scenarios.references import Late, Reference, Scope
from paycli.scenarios.requests import Request, read_request

_EXPECTS: Final = ("expect", "expect_exactly", "expect_error")
_MANY: Final = ("repeat", "parallel", "same", "successes")
_ANY_KEYS: Final = ("name", "tags")
_CALL_KEYS: Final = (
    *("call", "request", "metadata", *_EXPECTS, "save", "within_ms", "retry_until", *_MANY),
)
STEP_KEYS: Final = (*_ANY_KEYS, *_CALL_KEYS, "fixture")
RETRY_KEYS: Final = ("timeout_s", "every_ms")
_METADATA_KEY: Final = re.compile("[0-9a-z_.-]+")
_NAME: Final = re.compile("[A-Za-z_][A-Za-z0-9_-]*")
_NUMBER: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?")
_TAKEN: Final = ("n", "uuid", "steps", "env")
_REPEAT_MAX: Final = 10_000
_EVERY_MS: Final = 100.0


@dataclass(frozen=True, slots=True)
class RetryUntil:
    """For how long a step is tried again until it is as expected, and after which pauses."""

    timeout_s: float
    every_s: float


@dataclass(frozen=True, slots=True)
class CallStep:
    """One call and what must come of it: a response, or an error; with `either`, one of the two."""

    name: str
    where: str
    method: MethodDescriptor
    request: Request = field(default_factory=dict)
    metadata: Mapping[str, str | Late] = field(default_factory=dict)
    expect: Fields = field(default_factory=lambda: Fields({}))
    expect_error: ErrorExpectation | None = None
    either: bool = False
    within_ms: float | None = None
    retry_until: RetryUntil | None = None
    needs: Sequence[Reference] = ()  # what earlier steps must have answered
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ManyStep:
    """A call several times, one after the other or all at once; in `same` all answers must agree.

    `successes` says how many must be answered, and the others refused; None: as each says.
    """

    name: str
    where: str
    calls: tuple[CallStep, ...]
    is_parallel: bool
    same: tuple[Reference, ...] = ()
    successes: int | None = None
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class FixtureStep:
    """Payments of a fixture, and what is done with them; each must end as it expects."""

    name: str
    where: str
    fixture: Fixture
    tags: frozenset[str] = frozenset()


Step = CallStep | ManyStep | FixtureStep


def read_step(node: Node, scope: Scope) -> Step:
    """One step; `scope` is what it may refer to, and learns what it saves. Raises DocumentError."""
    fields = node.fields("a step", STEP_KEYS)
    if "name" not in fields:
        raise node.error("name is missing; say in a few words what the step shows.")
    name = fields["name"].parse("name", _step_name)
    where = f"{node.path}:{node.line}"
    tags = read_tags(fields["tags"]) if "tags" in fields else frozenset()
    if ("call" in fields) == ("fixture" in fields):
        raise node.error("a step has either 'call' or 'fixture'.")
    if "fixture" in fields:
        return FixtureStep(name, where, _read_fixture(node, fields), tags)
    step = _read_calls(fields, name, where, tags, scope)
    if isinstance(step, CallStep):
        _learn(fields, step, scope)
        return step
    _learn(fields, step.calls[0], scope)
    same = fields["same"].items("same") if "same" in fields else ()
    return replace(step, same=tuple(scope.reference(e, name, e.text("same")) for e in same))


def read_tags(node: Node) -> frozenset[str]:
    """Words that `-k` chooses by. Raises DocumentError."""
    return frozenset(each.parse("tags", _tag) for each in node.items("tags"))


def _read_calls(
    fields: Mapping[str, Node], name: str, where: str, tags: frozenset[str], scope: Scope
) -> CallStep | ManyStep:
    read = partial(_read_call, fields, name, where, tags)
    if "repeat" not in fields:
        for each in fields.keys() & set(_MANY):
            raise fields[each].error(f"{each} is for a step with 'repeat'.")
        return read(scope.inner())
    count = fields["repeat"].parse("repeat", _count)
    calls = tuple(read(scope.inner(n=partial(str, n))) for n in range(1, count + 1))
    is_parallel = "parallel" in fields and fields["parallel"].truth("parallel")
    successes = None
    if "successes" in fields:
        if "expect_error" not in fields:
            raise fields["successes"].error(
                "successes needs 'expect_error', for those that are none."
            )
        successes = fields["successes"].parse("successes", _count)
    return ManyStep(name, where, calls, is_parallel, (), successes, tags)


def _read_call(
    fields: Mapping[str, Node], name: str, where: str, tags: frozenset[str], scope: Scope
) -> CallStep:
    method = fields["call"].parse("call", find_method)
    either = "successes" in fields
    if len(expects := [each for each in _EXPECTS if each in fields]) > 1 + either:
        raise fields[expects[1]].error(f"a step has {expects[0]} or {expects[1]}, not both.")
    request: Request = {}
    if "request" in fields:
        request = read_request(fields["request"], method.input_type, scope)
        _check_whole(fields["request"], method, request)
    metadata = fields["metadata"].fields("metadata") if "metadata" in fields else {}
    expect = Fields({})
    for key in ("expect", "expect_exactly"):
        if key in fields:
            is_exact = key == "expect_exactly"
            expect = read_expect(fields[key], method.output_type, scope, is_exact=is_exact)
    error = read_expect_error(fields["expect_error"], scope) if "expect_error" in fields else None
    return CallStep(
        name,
        where,
        method,
        request,
        {key: _read_metadata(value, key, scope) for key, value in metadata.items()},
        expect,
        error,
        either,
        fields["within_ms"].parse("within_ms", _positive) if "within_ms" in fields else None,
        _retry_until(fields["retry_until"]) if "retry_until" in fields else None,
        tuple(scope.used),
        tags,
    )


def _learn(fields: Mapping[str, Node], step: CallStep, scope: Scope) -> None:
    """Let later steps refer to its response, and to what it saves of it."""
    if step.expect_error is not None and not step.either:
        for each in fields.keys() & {"save", "same"}:
            raise fields[each].error(f"{each} is for responses; this step expects an error.")
        return
    scope.responses[step.name] = step.method.output_type
    saved = fields["save"].fields("save") if "save" in fields else {}
    for name, path in saved.items():
        refuse_name(path, name, {*scope.saved, *scope.values})
        scope.saved[name] = scope.reference(path, step.name, path.text(f"save {name}"))


def refuse_name(node: Node, name: str, taken: Container[str]) -> None:
    """Raises DocumentError for what cannot be called so."""
    if not _NAME.fullmatch(name):
        raise node.error(f"'{name}' is no name; use letters, digits, - and _, a letter first.")
    if name in taken or name in _TAKEN:
        raise node.error(f"there is a '{name}' already.")


def _read_fixture(node: Node, fields: Mapping[str, Node]) -> Fixture:
    for name in fields.keys() & set(_CALL_KEYS):
        raise fields[name].error(f"a step with 'fixture' has no '{name}'.")
    written = fields["fixture"]
    path = node.path.parent / written.text("fixture")
    try:
        fixture = Fixture(path)
        for entry in fixture:
            if isinstance(entry, Mistaken):
                raise entry.problems[0]
    except DocumentError as problem:
        raise written.error(f"fixture: {problem}") from problem
    return fixture


def _read_metadata(node: Node, key: str, scope: Scope) -> str | Late:
    if not _METADATA_KEY.fullmatch(key) or key.startswith("grpc-") or key.endswith("-bin"):
        raise node.error(
            f"metadata cannot have the key '{key}'; take small letters, digits and _ . - only, "
            "no 'grpc-' before and no '-bin' behind."
        )
    value = scope.read(node, f"metadata {key}")
    if isinstance(value, str) and not is_metadata_text(value):
        raise node.error(f"metadata {key} must be printable ASCII, as gRPC's is; '{value}' is not.")
    return value


def is_metadata_text(value: str) -> bool:
    """Whether gRPC can carry the text."""
    return value.isascii() and value.isprintable()


def _check_whole(node: Node, method: MethodDescriptor, request: Request) -> None:
    """Find what no field shows alone, such as two fields of one oneof."""
    literal = {key: value for key, value in request.items() if not _is_late(value)}
    try:
        build_request(method, literal)
    except ValueError as problem:
        raise node.error(str(problem)) from problem


def _is_late(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(map(_is_late, value.values()))
    return any(map(_is_late, value)) if isinstance(value, list) else isinstance(value, Late)


def _retry_until(node: Node) -> RetryUntil:
    if node.is_scalar:
        return RetryUntil(node.parse("retry_until", _positive), _EVERY_MS / 1000)
    fields = node.fields("retry_until", RETRY_KEYS)
    if "timeout_s" not in fields:
        raise node.error("retry_until needs timeout_s, the seconds after which it is given up.")
    every_ms = (
        fields["every_ms"].parse("every_ms", _positive) if "every_ms" in fields else _EVERY_MS
    )
    return RetryUntil(fields["timeout_s"].parse("timeout_s", _positive), every_ms / 1000)


def _step_name(written: str) -> str:
    if "." in written or "}" in written or not written.strip():
        raise ValueError(f"'{written}' is no name; use words without '.' and '}}'.")
    return written


def _tag(written: str) -> str:
    if not _NAME.fullmatch(written):
        raise ValueError(f"'{written}' is no tag; use letters, digits, - and _, a letter first.")
    return written


def _count(written: str) -> int:
    if not written.isascii() or not written.isdecimal() or not 0 < int(written) <= _REPEAT_MAX:
        raise ValueError(f"'{written}' is not a number from 1 to {_REPEAT_MAX:,}.")
    return int(written)


def _positive(written: str) -> float:
    if not _NUMBER.fullmatch(written) or not float(written):
        raise ValueError(f"'{written}' is no number above 0.")
    return float(written)
