"""JSON as text: its documents, one after another, and where in it something stands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from paycli.errors import DocumentError

Place = tuple[str | int, ...]
"""The number of a document, and the keys and numbers of items that lead to a value in it."""

_BETWEEN: Final = re.compile(r"([ \t\r\n]|---(?=[ \t\r\n]))*")  # as YAML has it, too
_BEGINNING: Final = re.compile(r"\s*[\[{][\s\[{]*[\"\]}]")
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[][{},:]|[^][{},:"\s]+')


class _DuplicateError(Exception):
    """Two members of one object have one name."""


def begins_as_json(text: str) -> bool:
    """Whether whoever wrote this meant JSON, right or wrong: `{"`; `{a: 1}` is YAML."""
    return _BEGINNING.match(text) is not None


def json_documents(text: str, name: str) -> list[object]:
    """All of them. Raises DocumentError; `name` is what it calls the text."""
    try:
        return list(_documents(text))
    except _DuplicateError:
        place, at = _first_duplicate(text)
        said = f"duplicate key '{place[-1]}': it stands above already."
        raise DocumentError(name, said, *_line_and_column(text, at)) from None
    except json.JSONDecodeError as problem:
        why = re.sub(r"(:| at)\s*$", " here", problem.msg)
        said = f"not JSON: {why[:1].lower()}{why[1:]}."
        raise DocumentError(name, said, problem.lineno, problem.colno) from problem
    except ValueError as problem:
        raise DocumentError(name, "a number in it has too many digits to be meant.") from problem
    except RecursionError as problem:
        raise DocumentError(name, "nested too deeply to be meant.") from problem


def position_in_json(text: str, place: Place) -> tuple[int, int] | None:
    """Line and column, from 1, of a value, or of its key; None if it is not there."""
    found = (at for each, at in _values(text) if each == place)
    at = next(found, None)
    return None if at is None else _line_and_column(text, at)


def _documents(text: str) -> Iterator[object]:
    decoder = json.JSONDecoder(object_pairs_hook=_without_duplicates)
    at = _next(text, 0)
    while at < len(text):
        document, end = decoder.raw_decode(text, at)
        yield document
        at = _next(text, end)


def _next(text: str, at: int) -> int:
    found = _BETWEEN.match(text, at)
    assert found is not None
    return found.end()


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _DuplicateError
    return found


def _first_duplicate(text: str) -> tuple[Place, int]:
    seen: set[Place] = set()
    for place, at in _values(text):
        if place in seen:
            return place, at
        seen.add(place)
    raise AssertionError("the decoder saw one")


def _values(text: str) -> Iterator[tuple[Place, int]]:
    """Each value of JSON without a mistake: its place, and where it begins, or its key."""
    place: list[Any] = [-1]
    opened: list[str] = []
    before = ""
    for found in _TOKEN.finditer(text):
        token = found[0]
        if opened[-1:] == ["{"]:
            if before in ("{", ",") and token[0] == '"':
                place[-1] = json.loads(token)
                yield tuple(place), found.start()
        elif token not in (",", "]", "---"):
            place[-1] += 1
            yield tuple(place), found.start()
        if token in ("{", "["):
            opened.append(token)
            place.append(-1)
        elif token in ("}", "]"):
            opened.pop()
            place.pop()
        before = token


def _line_and_column(text: str, at: int) -> tuple[int, int]:
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
