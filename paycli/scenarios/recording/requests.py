"""Requests as a suite sends them: with keys of its own, what answers brought, and no secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from paycli.scenarios.recording.forms import (
    fits_key,
    goes_on_after,
    has_card,
    has_id,
    is_card,
    is_handle,
    is_key,
    names_a_thing,
    only_asks,
)
from paycli.scenarios.recording.known import Known, Source
from paycli.scenarios.recording.places import Place, Thing, asked, place_of
from paycli.scenarios.recording.seen import Data, Interpolated, Seen
from paycli.scenarios.secret_names import is_secret
from paycli.scenarios.steps import is_metadata_key, is_metadata_text
from paycli.scenarios.wire_values import is_free, is_map, map_value, message_of

# Of a connection, of a hop, or of a trace: other ones in each run.
_NOT_THE_CALLS: Final = (
    "user-agent",
    "grpc-",
    "traceparent",
    "tracestate",
    "baggage",
    "b3",
    "x-b3-",
)
WHOLE: Final = (
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_UINT32,
    FieldDescriptor.CPPTYPE_UINT64,
)
_SCHEME: Final = re.compile("[A-Za-z][A-Za-z0-9_-]*( +|=)(?!=)")


class Unsayable(Exception):
    """Why a request cannot stand in a suite."""


def texts(data: Data | Sequence[Data]) -> Iterator[tuple[str, str, bool]]:
    """All texts and whole numbers within, each with its field, and whether that is a secret's."""
    yield from _texts(data, "", within=False)


def _texts(value: Any, of: str, *, within: bool) -> Iterator[tuple[str, str, bool]]:
    if isinstance(value, dict):
        for name, each in value.items():
            if has_card(name):  # of a map: it has the name of no field
                yield name, "", True
            yield from _texts(each, name, within=within or is_secret(name))
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each, of, within=within)
    elif isinstance(value, str):
        yield value, of, within


def _variables(value: Any) -> Iterator[str]:
    if isinstance(value, Interpolated):
        yield from value.parts[1::2]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        yield from _variables(each)


def look_through(seen: Seen, known: Known) -> None:
    """Learn which values are secret, which are keys, and which variables others cannot be called."""
    for each in (*seen.requests, *(value for _, value in seen.metadata)):
        for name in _variables(each):
            known.variable(name)
    for value, _, hides in (*texts(seen.requests), *texts(seen.responses or ())):
        if value and (hides or has_card(value)):
            known.hide(value)
    # Under the key of a call that was wrong nothing is known, and the key may be what was wrong.
    is_wrong = seen.error is not None and seen.error[0] == "INVALID_ARGUMENT"
    for value, of, hides in () if is_wrong else texts(seen.requests):
        if value and not hides and is_key(of) and not only_asks(seen.method.name):
            known.keys.add(value)
    for key, sent in seen.metadata:
        if isinstance(sent, str) and is_secret(key):
            known.hide(sent)
            known.hide(sent.removeprefix(_scheme(sent)))
        elif isinstance(sent, str) and is_key(key):
            known.keys.add(sent)


class Sent:
    """The requests and metadata of a call as a suite writes them. Raises Unsayable."""

    def __init__(self, seen: Seen, known: Known) -> None:
        self._known = known
        self._seen = seen
        self.is_about_this_run = False
        kind, thing = seen.method.input_type, asked(seen.method)
        self.requests = [self._message(each, kind, thing) for each in seen.requests]
        self.metadata: dict[str, str] = {}
        for key, value in self._metadata():
            if key in self.metadata:
                raise Unsayable(f"its metadata has {key} twice")
            self.metadata[key] = value

    def _message(self, data: Data, kind: Descriptor, thing: Thing, *, hides: bool = False) -> Data:
        found: Data = {}
        for name, value in data.items():
            if value is None:
                continue
            field = kind.fields_by_name.get(name)
            if field is None:
                raise Unsayable(f"it has the extension {name}")
            found[name] = self._field(value, field, place_of(name, thing, hides=hides))
        return found

    def _field(self, value: Any, field: FieldDescriptor, at: Place) -> Any:
        if is_map(field):
            inner = map_value(field)
            return {
                self._map_key(key, at): self._one(each, inner, at.entry(key))
                for key, each in value.items()
            }
        if field.is_repeated:
            return [self._one(each, field, at) for each in value]
        return self._one(value, field, at)

    def _one(self, value: Any, field: FieldDescriptor, at: Place) -> Any:
        if isinstance(value, Interpolated):
            return self._interpolated(value, at)
        if (message := message_of(field)) is not None:
            return self._message(value, message, at.inner(message), hides=at.hides)
        if is_free(field):
            return self._free(value, at)
        if isinstance(value, bool) or field.enum_type is not None:
            return value
        if field.cpp_type in WHOLE:
            return self._whole(int(value), at)
        return self._scalar(value, at)

    def _whole(self, value: int, at: Place) -> int | str:
        text = str(value)
        if is_key(at.of) and text in self._known.keys and self._known.source(text, at) is None:
            raise Unsayable(f"its {at.of} is a number, and suites make no new ones")
        is_meant = names_a_thing(at.of) or self._known.by_name(text, at) is not None
        if not (is_meant or at.hides or has_card(text) or text in self._known.secrets):
            self._known.wrote(text, at)
            return value  # as an amount, which may be as long as an id
        said = self._text(text, at)
        return said if "${" in said else value

    def _scalar(self, value: Any, at: Place) -> Any:
        if isinstance(value, float | int) and not isinstance(value, bool):
            if at.hides:
                return self._text(repr(value), at)
            self._known.wrote(str(value), at)
            return value
        return self._text(value, at) if isinstance(value, str) else value

    def _interpolated(self, value: Interpolated, at: Place) -> str:
        # A piece is no value of its field: what is a key there is none here.
        text = (self._text(each, at if at.hides else Place("")) for each in value.parts[::2])
        names = (f"${{env:{each}}}" for each in value.parts[1::2])
        return "".join(part for pair in zip_longest(text, names, fillvalue="") for part in pair)

    def _free(self, value: Any, at: Place) -> Any:
        if isinstance(value, Interpolated):
            return self._interpolated(value, at)
        if isinstance(value, dict):
            return {
                self._map_key(key, at): self._free(each, at.entry(key))
                for key, each in value.items()
            }
        if isinstance(value, list):
            return [self._free(each, at) for each in value]
        return self._scalar(value, at._replace(hides=at.hides or is_card(value)))

    def _map_key(self, key: str, at: Place) -> str:
        if self._known.parts(key, at) != [key] and key:
            raise Unsayable("a key of a map in it is new each time, or a secret")
        if not fits_key(key):
            raise Unsayable("a key of a map in it is too long for YAML")
        return key

    def _text(self, value: str, at: Place) -> str:
        if not value:
            return value
        source = self._known.source(value, at)
        if source is None and is_key(at.of) and value in self._known.keys:
            source = self._known.key(value, at)
        elif source is None and (at.hides or has_card(value)):
            source = self._known.secret(value, at.of)
        parts = self._known.parts(value, at) if source is None else [source]
        return "".join(self._said(each, at) for each in parts)

    def _said(self, part: str | Source, at: Place) -> str:
        if isinstance(part, Source):
            self.is_about_this_run |= part.is_new
            return part.refer()
        if "${" in part:
            raise Unsayable("its request has a '${', which suites fill in")
        is_of_another = (is_handle(at.of) and has_id(part)) or goes_on_after(at.of)
        if self._seen.responses is not None and is_of_another:
            raise Unsayable(f"its {at.of} is of no call before it")
        self._known.wrote(part, at)
        return part

    def _metadata(self) -> Iterator[tuple[str, str]]:
        for key, value in self._seen.metadata:
            if key.startswith(_NOT_THE_CALLS) or isinstance(value, bytes):
                continue
            if isinstance(value, Interpolated):
                yield key, self._credentials(key, value)
                continue
            if not is_metadata_key(key) or not is_metadata_text(value) or not value:
                continue
            scheme = _scheme(value)
            credentials = value.removeprefix(scheme)
            at = place_of(key)
            is_of_log_in = not self._known.knows(value) and self._known.knows(credentials)
            if at.hides and is_of_log_in:
                yield key, scheme + self._text(credentials, at)
            else:
                yield key, self._text(value, at)

    def _credentials(self, key: str, value: Interpolated) -> str:
        """A text of metadata, in which the scheme before a secret is none."""
        at = place_of(key)
        first, *others = value.parts
        scheme = _scheme(first) if at.hides else ""
        rest = Interpolated((first.removeprefix(scheme), *others))
        return scheme + self._interpolated(rest, at)


def _scheme(text: str) -> str:
    """What stands before credentials: `Bearer ` or, of a cookie, `session=`."""
    found = _SCHEME.match(text)
    return found[0] if found is not None else ""
