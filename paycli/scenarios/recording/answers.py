"""What a suite expects of a response that was seen: what is the same each time as it was, the rest by its form."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, partial
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from paycli.scenarios.expect import FREE_MATCHERS
from paycli.scenarios.recording import forms
from paycli.scenarios.recording.known import Known, Source
from paycli.scenarios.recording.places import Place, Thing, answered, place_of
from paycli.scenarios.recording.requests import WHOLE
from paycli.scenarios.recording.seen import Data
from paycli.scenarios.wire_values import is_free, is_map, map_value, message_of

_TIMES: Final = ("google.protobuf.Timestamp", "google.protobuf.Duration")
_EXACT_SPAN: Final = re.compile(r"\.[0-9]{4}")
_TEXT_MAX: Final = 500
_ITEMS_MAX: Final = 20
_NUMBERS: Final = (*WHOLE, FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT)
_NUMBERED: Final = ("number", "no", "ref", "reference")  # such as an invoice, if they are texts
_NOTHING: Final = object()  # is said of a value

Save = Callable[[Place], str]  # from the place of a field to the `${…}` that stands for it later


class Answered:
    """The expectation of one response. What it brings is known when this is made."""

    def __init__(
        self,
        response: Data,
        method: MethodDescriptor,
        known: Known,
        save: Save | None,
        now_s: float,
        *,
        is_about_this_run: bool,
        is_lost: bool = False,
    ) -> None:
        """Lists of a response that is about more than this run have other items in another one.

        Without `save` later steps cannot have anything of it, as of a message that others follow; what is
        lost, as of a call that is left out, must not be saved.
        """
        self._known = known
        self._now_s = now_s
        self._is_lost = is_lost
        self._is_ours = is_about_this_run
        self._brought: list[tuple[str, Place]] = []
        self._is_page = False
        self._refers = 0
        self.is_whole = is_about_this_run
        """Whether it says all that was set, and what was not will not be."""
        thing = answered(method)
        self._things = frozenset((*known.things, *filter(None, thing[:2])))
        self.expect: Data = self._message(
            response, method.output_type, thing, None if save is None else ""
        )
        if save is None:
            return
        for value, at in self._brought:
            if not is_lost:
                # Where somebody else's list goes on is not about this run either.
                is_new = is_about_this_run or not forms.is_page_token(at.of)
                known.answered(value, at, cache(partial(save, at)), is_new=is_new)
            elif not at.hides and known.source(value, at) is None:  # a secret is of the environment
                known.lost(value, at, partial(save, at))

    def _message(
        self, data: Data, kind: Descriptor, thing: Thing, path: str | None, *, hides: bool = False
    ) -> Data:
        found: Data = {}
        tokens = (data.get(each.name) for each in kind.fields if forms.is_page_token(each.name))
        self._is_page |= path == "" and any(tokens)
        for name, value in data.items():
            field = kind.fields_by_name.get(name)
            if field is None:
                self.is_whole = False
                continue
            inner = None if path is None else f"{path}.{name}" if path else name
            said = self._field(value, field, place_of(name, thing, inner or "", hides=hides))
            if said is _NOTHING:
                self.is_whole = False
            else:
                found[name] = said
        for field in kind.fields:
            is_zero = field.name not in data and not field.has_presence and not field.is_repeated
            if is_zero and field.cpp_type in _NUMBERS and forms.is_span(field.name):
                found[field.name] = _SPAN  # too short to count, this time
        return found

    def _field(self, value: Any, field: FieldDescriptor, at: Place) -> Any:
        if is_map(field):
            return self._entries(value, map_value(field), at)
        if field.is_repeated:
            return self._list(value, field, at._replace(path=""))
        return self._one(value, field, at)

    def _entries(self, value: Data, field: FieldDescriptor, at: Place) -> Any:
        if any(self._known.parts(key, at) != [key] or forms.is_new(key) for key in value):
            return _NOTHING
        return self._said(
            {
                key: self._one(each, field, at.entry(key)) if forms.fits_key(key) else _NOTHING
                for key, each in value.items()
            }
        )

    def _said(self, entries: Data) -> Data:
        """Those of which something can be said."""
        found = {key: each for key, each in entries.items() if each is not _NOTHING}
        self.is_whole &= len(found) == len(entries)
        return found

    def _list(self, value: list[Any], field: FieldDescriptor, at: Place) -> Any:
        items, ours = [], []
        for each in value:
            before = self._refers
            said = self._one(each, field, at)
            items.append(said)
            if self._refers > before:
                ours.append(said)
        if self._is_ours:
            is_whole = len(items) <= _ITEMS_MAX and _NOTHING not in items
            return items if is_whole else {"length": len(items)}
        if not ours:
            return _NOTHING
        # On the next page of somebody else's, ours may be on another one.
        first = {} if self._is_page or ours[0] is _NOTHING else {"contains": ours[0]}
        return {"length": {"gte": len(ours)}, **first}

    def _one(self, value: Any, field: FieldDescriptor, at: Place) -> Any:
        if (message := message_of(field)) is not None:
            return self._message(value, message, at.inner(message), at.path or None, hides=at.hides)
        kind = field.message_type.full_name if field.message_type is not None else ""
        if is_free(field):
            # What is not set in it is shown when it comes again.
            self.is_whole &= kind != "google.protobuf.Any"
            return self._free(value, at._replace(path=""))
        if isinstance(value, bool) or field.enum_type is not None:
            return value
        if at.hides:
            return self._hidden(value, at)
        if kind in _TIMES:
            return self._time(value, at, kind)
        if field.type == FieldDescriptor.TYPE_BYTES:
            return _ANY if value else value
        if field.cpp_type in WHOLE:
            return self._number(int(value), at)
        return self._text(value, at) if isinstance(value, str) else self._measured(value, at)

    def _time(self, value: str, at: Place, kind: str) -> Any:
        if self._known.is_written(value, at):
            return value
        if kind == "google.protobuf.Timestamp":
            return {"matches": "Z$"}
        is_exact = _EXACT_SPAN.search(value) is not None  # as nobody sets one
        return {"matches": "s$"} if is_exact or forms.is_span(at.of) else value

    def _measured(self, value: Any, at: Place) -> Any:
        """A number that is the same each time, unless it is a time or how long something took."""
        is_number = isinstance(value, float | int) and not isinstance(value, bool)
        if not is_number or self._known.is_written(str(value), at):
            return value
        if forms.is_span(at.of):
            return _SPAN
        is_time = forms.is_moment(at.of, value) or forms.is_near(value, self._now_s)
        return {"gt": 0} if is_time else value

    def _free(self, value: Any, at: Place) -> Any:
        """JSON of any form, which knows few matchers."""
        if isinstance(value, dict):
            found = self._said(
                {
                    key: _NOTHING
                    if forms.has_card(key) or not forms.fits_key(key)
                    else self._free(each, at.entry(key))
                    for key, each in value.items()
                }
            )
            is_matcher = bool(found) and found.keys() <= set(FREE_MATCHERS)
            return _NOTHING if is_matcher else found
        if isinstance(value, list):
            items = [self._free(each, at) for each in value]
            return items if self._is_ours and _NOTHING not in items else _NOTHING
        if at.hides and not isinstance(value, bool):
            return self._hidden(value, at)
        if not isinstance(value, str):
            return _NOTHING if forms.is_card(value) else self._measured(value, at)
        return self._text(value, at)

    def _hidden(self, value: Any, at: Place) -> Any:
        """A secret, which later calls may need: whoever logs in has it of an answer."""
        if not isinstance(value, str | int):
            return _NOTHING
        self._bring(str(value), at)
        return _ANY if value != "" else value

    def _number(self, value: int, at: Place) -> Any:
        text = str(value)
        source = self._known.source(text, at)
        is_near = forms.is_near(value, self._now_s)
        is_meant = forms.names_a_thing(at.of) or self._known.by_name(text, at) is not None
        # An amount may be as long as an id, and of two things in one second the times are the same.
        is_meant &= forms.names_a_thing(at.of) or not is_near
        if source is not None and (is_meant or source.is_secret):
            self._refers += 1
            return self._refer(source)
        if is_meant and self._known.is_written(text, at):
            return value
        if at.is_own or forms.is_new_by_name(at.of) or is_near:
            self._bring(text, at)
            return {"gt": 0} if value > 0 else {"matches": forms.ANY}
        return self._measured(value, at)

    def _text(self, value: str, at: Place) -> Any:
        if not value:
            return value
        if self._known.hides_within(value):
            return self._hidden(value, at._replace(hides=True))
        parts = self._parts(value, at)
        knows = any(isinstance(each, Source) for each in parts)
        self._refers += knows
        if forms.is_page_token(at.of):
            self._bring(value, at)
            return _ANY if self._is_ours else _NOTHING
        if not knows and self._known.is_written(value, at):
            return value if "${" not in value else _NOTHING
        rest = [each for each in parts if isinstance(each, str)]
        is_id = at.is_own or forms.is_new_by_name(at.of) or (at.path and at.of in _NUMBERED)
        if any(map(forms.is_new, rest)) or (is_id and not knows):
            self._bring(value, at)
            return self._by_form(value, parts)
        if (named := self._named(value, parts, at)) is not None:
            return named
        if any("${" in each or forms.numbers(each, self._things) for each in rest):
            return self._by_form(value, parts)
        said = "".join(each if isinstance(each, str) else self._refer(each) for each in parts)
        return said if len(value) <= _TEXT_MAX else {"length": len(value)} if not knows else _ANY

    def _parts(self, value: str, at: Place) -> list[str | Source]:
        if forms.is_time(value):
            return [value]  # which is that of several things, now and then
        echo = self._known.echo(value)
        return [echo] if echo is not None else self._known.parts(value, at)

    def _named(self, value: str, parts: list[str | Source], at: Place) -> Data | None:
        """What is expected of the name of a resource that the service has numbered: `orders/1`."""
        last, tail = value.rpartition("/")[2], parts[-1]
        is_new = at.is_name(value) and not self._known.is_written(last, at)
        if not is_new or not isinstance(tail, str) or "/" not in tail:
            return None
        self._bring(value, at)
        head = self._pattern([*parts[:-1], tail.removesuffix(last)])
        return {"matches": f"^{head}[^/]+$"} if head is not None else _ANY

    def _bring(self, value: str, at: Place) -> None:
        if at.path and value:
            self._brought.append((value, at))

    def _refer(self, source: Source) -> str:
        return "" if self._is_lost else source.refer()

    def _by_form(self, value: str, parts: list[str | Source]) -> Data:
        says = any(
            isinstance(each, Source) or forms.is_new(each) or forms.numbers(each, self._things)
            for each in parts
        )
        pattern = self._pattern(parts) if says and len(value) <= _TEXT_MAX else None
        return {"matches": f"^{pattern}$"} if pattern is not None else _ANY

    def _pattern(self, parts: list[str | Source]) -> str | None:
        """A regular expression for the parts; None if one of them would not stand for itself."""
        if any(isinstance(each, Source) and not each.fits_pattern for each in parts):
            return None
        return "".join(
            self._refer(each)
            if isinstance(each, Source)
            else forms.pattern_within(each, self._things)
            for each in parts
        )


_ANY: Final[Data] = {"matches": forms.ANY}
_SPAN: Final[Data] = {"gte": 0}
