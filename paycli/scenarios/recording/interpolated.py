"""Requests and metadata with variables in them, which a suite has from its environment."""

from __future__ import annotations

from itertools import chain
from typing import Any

from google.protobuf.descriptor import MethodDescriptor

from paycli.documents import read_text
from paycli.errors import DocumentError, InputError
from paycli.scenarios.recording.commands import Marks, Unknown
from paycli.scenarios.recording.forms import is_key, only_asks
from paycli.scenarios.recording.seen import Data, Interpolated, Unfit, refuse_depth
from paycli.scenarios.recording.text import flow
from paycli.scenarios.references import Late, Reference, Scope
from paycli.scenarios.requests import read_request
from paycli.scenarios.secret_names import is_secret
from paycli.scenarios.steps import check_whole


def interpolated(text: str, of: str, marks: Marks) -> str | Interpolated:
    """The text of a header, with what its marks are of. Raises Unfit for what no variable has."""
    between, unknown = marks.split(text)
    if not unknown or stands_for_itself(text, of, marks):
        return text
    names = [_name(each) for each in unknown]
    pairs = zip(between, [*names, ""], strict=True)
    return Interpolated(tuple(chain.from_iterable(pairs))[:-1])


def open_request(method: MethodDescriptor, document: object, marks: Marks) -> Data:
    """A request of plain data with marks in it, read as suites read theirs.

    Raises Unfit for what no variable has, and InputError for data that does not fit.
    """
    if isinstance(document, str):
        raise Unfit(f"all of its data is {document}, which is not known here")
    names: set[str] = set()
    written = _referring(document, marks, names, "", makes=not only_asks(method.name))
    refuse_depth(written, "request")
    (node,) = read_text(flow(written), "-d")
    scope = Scope(saved={each: Reference("", each) for each in names})
    try:
        request = read_request(node, method.input_type, scope)
        check_whole(node, method, request)
    except DocumentError as problem:  # of which nobody sees the lines
        raise InputError(problem.message.removeprefix(f"{problem.where}: ")) from problem
    return {key: _said(each) for key, each in request.items()}


def stands_for_itself(text: str, of: str, marks: Marks, *, makes: bool = True) -> bool:
    """Whether a suite has something else for the text of a field, whatever is computed in it.

    It has keys of its own, unless nothing is made by them, and secrets from its environment.
    """
    unknown = marks.within(text)
    is_new = makes and is_key(of) and any(each.why for each in unknown)
    return is_new or (is_secret(of) and any(not each.name for each in unknown))


def _referring(value: Any, marks: Marks, names: set[str], of: str, *, makes: bool) -> Any:
    """The data with `${env:NAME}` for its marks, and what stands in there."""
    if isinstance(value, dict):
        if any(map(marks.within, value)):
            raise Unfit("a name in its data is not known here")
        return {
            key: _referring(each, marks, names, key, makes=makes) for key, each in value.items()
        }
    if isinstance(value, list):
        return [_referring(each, marks, names, of, makes=makes) for each in value]
    if not isinstance(value, str):
        return value
    if "${" in value:
        raise Unfit("its request has a '${', which suites fill in")
    if stands_for_itself(value, of, marks, makes=makes):
        return value
    names |= {f"env:{_name(each)}" for each in marks.within(value)}
    return marks.replaced(value, lambda unknown: f"${{env:{unknown.name}}}")


def _name(unknown: Unknown) -> str:
    if not unknown.name:
        raise Unfit(unknown.why)
    return unknown.name


def _said(value: Any) -> Any:
    if isinstance(value, Late):
        return Interpolated(
            tuple(each if isinstance(each, str) else each.path[4:] for each in value.parts)
        )
    if isinstance(value, dict):
        return {key: _said(each) for key, each in value.items()}
    return [_said(each) for each in value] if isinstance(value, list) else value
