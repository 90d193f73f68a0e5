"""Steps: what a suite does, read and checked before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from google.protobuf.descriptor import MethodDescriptor

from paycli.client.calls import build_request
from paycli.client.fixture_payments import Mistaken
from paycli.client.fixtures import Fixture
from paycli.documents import Node, nearest
from paycli.errors import DocumentError
from paycli.scenarios.contracts import Contracts
from paycli.scenarios.expect import read_expect, read_expect_error, read_expect_stream
from paycli.scenarios.expectations import ErrorExpectation, Fields, StreamExpectation
from paycli.scenarios.references import Late, Reference, Scope
from paycli.scenarios.requests import Request, read_request

_EXPECTS: Final = ("expect", "expect_exactly", "expect_error")
_STREAMS: Final = ("requests", "expect_stream")
_MANY: Final = ("repeat", "parallel", "same", "successes")
_ANY_KEYS: Final = ("name", "tags", "skip_unless")
_CALL_KEYS: Final = (
    *("call", "request", "metadata", *_EXPECTS, *_STREAMS),
    *("save", "within_ms", "retry_until", *_MANY),
)
STEP_KEYS: Final = (*_ANY_KEYS, *_CALL_KEYS, "fixture")
RETRY_KEYS: Final = ("timeout_s", "every_ms")
UNLESS_KEYS: Final = ("service", "env", "step")
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
class Unless:
    """What a step is skipped for: a service that the target lacks, variables of the environment that are
    not set, an earlier step that did not pass. "" is no condition.
    """

    service: str = ""
    env: tuple[str, ...] = ()
    step: str = ""


@dataclass(frozen=True, slots=True)
class CallStep:
    """One call and what must come of it: a response, or an error; with `either`, one of the two.

    It has one request, unless its method streams them.
    """

    name: str
    where: str
    method: MethodDescriptor
    requests: tuple[Request, ...] = ({},)
    metadata: Mapping[str, str | Late] = field(default_factory=dict)
    expect: Fields = field(default_factory=lambda: Fields({}))
    expect_error: ErrorExpectation | None = None
    stream: StreamExpectation = field(default_factory=StreamExpectation)
    either: bool = False
    within_ms: float | None = None
    retry_until: RetryUntil | None = None
    needs: Sequence[Reference] = ()  # what earlier steps must have answered
    tags: frozenset[str] = frozenset()
    unless: Unless = Unless()


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
    unless: Unless = Unless()


@dataclass(frozen=True, slots=True)
class FixtureStep:
    """Payments of a fixture, and what is done with them; each must end as it expects."""

    name: str
    where: str
    fixture: Fixture
    tags: frozenset[str] = frozenset()
    unless: Unless = Unless()


@dataclass(frozen=True, slots=True)
class UnreadStep:
    """A step of a suite that is skipped, since nobody knows the service that it requires."""

    name: str
    where: str
    tags: frozenset[str] = frozenset()
    unless: Unless = Unless()


Step = CallStep | ManyStep | FixtureStep | UnreadStep


def calls_of(step: Step) -> tuple[CallStep, ...]:
    """The calls that it is made of, if it is."""
    if isinstance(step, ManyStep):
        return step.calls
    return (step,) if isinstance(step, CallStep) else ()


def read_step(
    node: Node, scope: Scope, contracts: Contracts, unless: Unless = Unless(), *, unread: bool
) -> Step:
    """One step; `scope` is what it may refer to, and learns what it saves. Raises DocumentError.

    `unless` is what its suite says of that; an `unread` one is read as far as that goes without methods.
    """
    fields = node.fields("a step", STEP_KEYS)
    if "name" not in fields:
        raise node.error("name is missing; say in a few words what the step shows.")
    name = fields["name"].parse("name", _step_name)
    where = f"{node.path}:{node.line}"
    tags = read_tags(fields["tags"]) if "tags" in fields else frozenset()
    if "skip_unless" in fields:
        unless = read_unless(fields["skip_unless"], UNLESS_KEYS, unless, scope)
    scope.steps.append(name)
    if ("call" in fields) == ("fixture" in fields):
        raise node.error("a step has either 'call' or 'fixture'.")
    if unread:
        return UnreadStep(name, where, tags, unless)
    if "fixture" in fields:
        return FixtureStep(name, where, _read_fixture(node, fields), tags, unless)
    step = _read_calls(fields, contracts, name, where, tags, scope)
    step = replace(step, unless=unless)
    if isinstance(step, CallStep):
        _learn(fields, step, scope)
        return step
    _learn(fields, step.calls[0], scope)
    same = fields["same"].items("same") if "same" in fields else ()
    return replace(step, same=tuple(scope.reference(e, name, e.text("same")) for e in same))


def read_tags(node: Node) -> frozenset[str]:
    """Words that `-k` chooses by. Raises DocumentError."""
    return frozenset(each.parse("tags", _tag) for each in node.items("tags"))


def read_unless(
    node: Node, known: Sequence[str], also: Unless, scope: Scope | None = None
) -> Unless:
    """When a step, or all of a suite, is skipped. Raises DocumentError."""
    fields = node.fields("skip_unless", known)
    if not fields:
        raise node.must_be("skip_unless", f"a mapping with {', '.join(known)}")
    found = {name: value.text(name) for name, value in fields.items()}
    if scope is not None and "step" in found and found["step"] not in scope.steps:
        hint = nearest(found["step"], scope.steps) if scope.steps else "there is none."
        raise fields["step"].error(f"step names no earlier step; {hint}")
    env = (*also.env, found["env"]) if "env" in found else also.env
    return Unless(found.get("service", ""), env, found.get("step", ""))


def _read_calls(
    fields: Mapping[str, Node],
    contracts: Contracts,
    name: str,
    where: str,
    tags: frozenset[str],
    scope: Scope,
) -> CallStep | ManyStep:
    method = fields["call"].parse("call", contracts.method)
    read = partial(_read_call, fields, method, name, where, tags)
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
    fields: Mapping[str, Node],
    method: MethodDescriptor,
    name: str,
    where: str,
    tags: frozenset[str],
    scope: Scope,
) -> CallStep:
    either = "successes" in fields
    if len(expects := [each for each in _EXPECTS if each in fields]) > 1 + either:
        raise fields[expects[1]].error(f"a step has {expects[0]} or {expects[1]}, not both.")
    _check_kind(fields, method)
    metadata = fields["metadata"].fields("metadata") if "metadata" in fields else {}
    expect = Fields({})
    for key in ("expect", "expect_exactly"):
        if key in fields:
            is_exact = key == "expect_exactly"
            expect = read_expect(fields[key], method.output_type, scope, is_exact=is_exact)
    error = read_expect_error(fields["expect_error"], scope) if "expect_error" in fields else None
    stream = StreamExpectation()
    if "expect_stream" in fields:
        stream = read_expect_stream(fields["expect_stream"], method.output_type, scope)
        if error is not None and (stream.first or stream.count or stream.cancel_at):
            # gRPC raises the error as soon as it is there, whatever came before it.
            raise fields["expect_stream"].error(
                "a stream that ends with an error may lose its last messages; say 'each' alone."
            )
    return CallStep(
        name,
        where,
        method,
        _read_requests(fields, method, scope),
        {key: _read_metadata(value, key, scope) for key, value in metadata.items()},
        expect,
        error,
        stream,
        either,
        fields["within_ms"].parse("within_ms", _positive) if "within_ms" in fields else None,
        _retry_until(fields["retry_until"]) if "retry_until" in fields else None,
        tuple(scope.used),
        tags,
    )


def _check_kind(fields: Mapping[str, Node], method: MethodDescriptor) -> None:
    """Refuse what is not for methods of the kind. Raises DocumentError."""
    if "requests" in fields and not method.client_streaming:
        raise fields["requests"].error(f"{method.name} takes one request; write 'request'.")
    if "requests" in fields and "request" in fields:
        raise fields["requests"].error("a step has request or requests, not both.")
    if "expect_stream" in fields and not method.server_streaming:
        raise fields["expect_stream"].error(f"{method.name} gives one answer; write 'expect'.")
    if method.server_streaming:
        for key in fields.keys() & {"expect", "expect_exactly"}:
            raise fields[key].error(f"{method.name} streams its answers; write 'expect_stream'.")


def _read_requests(
    fields: Mapping[str, Node], method: MethodDescriptor, scope: Scope
) -> tuple[Request, ...]:
    if "requests" in fields:
        written = tuple(fields["requests"].items("requests"))
    else:
        written = (fields["request"],) if "request" in fields else ()
    requests = tuple(read_request(each, method.input_type, scope) for each in written)
    for node, request in zip(written, requests, strict=True):
        check_whole(node, method, request)
    return requests if "requests" in fields else requests or ({},)


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
    if not is_metadata_key(key):
        raise node.error(
            f"metadata cannot have the key '{key}'; take small letters, digits and _ . - only, "
            "no 'grpc-' before and no '-bin' behind."
        )
    value = scope.read(node, f"metadata {key}")
    if isinstance(value, str) and not is_metadata_text(value):
        raise node.error(f"metadata {key} must be printable ASCII, as gRPC's is; '{value}' is not.")
    return value


def is_metadata_key(key: str) -> bool:
    """Whether a step can send something by this name."""
    return bool(_METADATA_KEY.fullmatch(key)) and not (
        key.startswith("grpc-") or key.endswith("-bin")
    )


def is_metadata_text(value: str) -> bool:
    """Whether gRPC can carry the text."""
    return value.isascii() and value.isprintable()


def check_whole(node: Node, method: MethodDescriptor, request: Request) -> None:
    """Find what no field shows alone, such as two fields of one oneof. Raises DocumentError."""
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
