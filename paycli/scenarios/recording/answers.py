"""What a suite expects of a response that was seen: what is the same each time as it was, the rest by its form."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any, Final, NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from paycli.scenarios.recording import forms
from paycli.scenarios.recording.known import Known, Source
from paycli.scenarios.recording.requests import WHOLE
from paycli.scenarios.recording.seen import Data
from paycli.scenarios.secret_names import is_secret
from paycli.scenarios.wire_values import is_free, is_map, map_value, message_of

_TIMESTAMP: Final = "google.protobuf.Timestamp"
_TEXT_MAX: Final = 500
_ITEMS_MAX: Final = 20
_NOTHING: Final = object()  # is said of a value

Save = Callable[[str], str]  # from the path of a field to the `${…}` that stands for it later


class _Place(NamedTuple):
    """Where a value stands; `path` is "" where nothing can be saved, as in lists."""

    field: FieldDescriptor
    of: str
    path: str
    hides: bool = False  # within what is secret


class Answered:
    """The expectation of one response. What it brings is known when this is made."""

    def __init__(
        self,
        response: Data,
        kind: Descriptor,
        known: Known,
        save: Save | None,
        now_s: float,
        *,
        is_about_this_run: bool,
    ) -> None:
        """Lists of a response that is about more than this run have other items in another one.

        Without `save` later steps cannot have anything of it, as of a message that others follow.
        """
        self._known = known
        self._now_s = now_s
        self._is_ours = is_about_this_run
        self._brought: dict[str, str] = {}  # path by value
        self._is_page = False
        self._refers = 0
        self.is_whole = is_about_this_run
        """Whether it says all that was set, and what was not will not be."""
        self.expect: Data = self._message(response, kind, None if save is None else "", hides=False)
        if save is None:
            return
        for value, path in self._brought.items():
            # Where somebody else's list goes on is not about this run either.
            is_new = is_about_this_run or not forms.is_page_token(path.rpartition(".")[2])
            known.answered(value, cache(partial(save, path)), is_new=is_new)

    def _message(self, data: Data, kind: Descriptor, path: str | None, *, hides: bool) -> Data:
        found: Data = {}
        tokens = (data.get(each.name) for each in kind.fields if forms.is_page_token(each.name))
        self._is_page |= path == "" and any(tokens)
        for name, value in data.items():
            field = kind.fields_by_name.get(name)
            if field is None:
                self.is_whole = False
                continue
            inner = None if path is None else f"{path}.{name}" if path else name
            at = _Place(field, name, inner or "", hides or is_secret(name))
            said = self._field(value, at)
            if said is _NOTHING:
                self.is_whole = False
            else:
                found[name] = said
        return found

    def _field(self, value: Any, at: _Place) -> Any:
        if is_map(at.field):
            return self._entries(value, at._replace(path=""))
        if at.field.is_repeated:
            return self._list(value, at._replace(path=""))
        return self._one(value, at)

    def _entries(self, value: Data, at: _Place) -> Any:
        if any(self._known.parts(key, "") != [key] or forms.is_new(key) for key in value):
            return _NOTHING
        inner = map_value(at.field)
        found = {
            key: self._one(each, _Place(inner, key, "", at.hides or is_secret(key)))
            for key, each in value.items()
        }
        return {key: each for key, each in found.items() if each is not _NOTHING}

    def _list(self, value: list[Any], at: _Place) -> Any:
        items, ours = [], []
        for each in value:
            before = self._refers
            said = self._one(each, at)
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

    def _one(self, value: Any, at: _Place) -> Any:
        if (message := message_of(at.field)) is not None:
            return self._message(value, message, at.path or None, hides=at.hides)
        if is_free(at.field):
            return self._free(value, at._replace(path=""))
        if isinstance(value, bool) or at.field.enum_type is not None:
            return value
        if at.hides:
            return self._hidden(value, at)
        if at.field.message_type is not None and at.field.message_type.full_name == _TIMESTAMP:
            return value if value in self._known.written else {"matches": "Z$"}
        if at.field.type == FieldDescriptor.TYPE_BYTES:
            return _ANY if value else value
        if at.field.cpp_type in WHOLE:
            return self._number(int(value), at)
        return self._text(value, at) if isinstance(value, str) else value

    def _free(self, value: Any, at: _Place) -> Any:
        """JSON of any form, which knows few matchers."""
        if isinstance(value, dict):
            found = {
                key: self._free(each, at._replace(of=key, hides=at.hides or is_secret(key)))
                for key, each in value.items()
                if not forms.has_card(key)
            }
            return {key: each for key, each in found.items() if each is not _NOTHING}
        if isinstance(value, list):
            items = [self._free(each, at) for each in value]
            return items if self._is_ours and _NOTHING not in items else _NOTHING
        if at.hides and not isinstance(value, bool):
            return self._hidden(value, at)
        if not isinstance(value, str):
            return _NOTHING if forms.is_card(value) else value
        return self._text(value, at)

    def _hidden(self, value: Any, at: _Place) -> Any:
        """A secret, which later calls may need: whoever logs in has it of an answer."""
        if not isinstance(value, str | int):
            return _NOTHING
        self._bring(str(value), at)
        return _ANY if value != "" else value

    def _number(self, value: int, at: _Place) -> Any:
        parts = self._known.parts(str(value), at.of)
        if isinstance(parts[0], Source):
            self._refers += 1
            return parts[0].refer()
        if forms.is_new_by_name(at.of) or forms.is_near(value, self._now_s):
            self._bring(str(value), at)
            return {"gt": 0} if value > 0 else {"matches": forms.ANY}
        return value

    def _text(self, value: str, at: _Place) -> Any:
        if not value:
            return value
        if self._known.hides_within(value):
            return self._hidden(value, at)
        parts = self._known.parts(value, at.of)
        knows = any(isinstance(each, Source) for each in parts)
        self._refers += knows
        rest = [each for each in parts if isinstance(each, str)]
        if forms.is_page_token(at.of):
            self._bring(value, at)
            return _ANY if self._is_ours else _NOTHING
        if not knows and value in self._known.written:
            return value if "${" not in value else _NOTHING
        if not knows and (forms.is_new_by_name(at.of) or forms.is_new(value)):
            self._bring(value, at)
        elif not any(map(forms.is_new, rest)) and not any("${" in each for each in rest):
            said = "".join(each if isinstance(each, str) else each.refer() for each in parts)
            return (
                said if len(value) <= _TEXT_MAX else {"length": len(value)} if not knows else _ANY
            )
        return self._by_form(value, parts)

    def _bring(self, value: str, at: _Place) -> None:
        if at.path and value:
            self._brought.setdefault(value, at.path)

    @staticmethod
    def _by_form(value: str, parts: list[str | Source]) -> Data:
        unfit = any(isinstance(each, Source) and not each.fits_pattern for each in parts)
        if unfit or not any(isinstance(each, Source) or forms.is_new(each) for each in parts):
            return _ANY
        if len(value) > _TEXT_MAX:
            return _ANY
        within = (
            each.refer() if isinstance(each, Source) else forms.pattern_within(each)
            for each in parts
        )
        return {"matches": f"^{''.join(within)}$"}


_ANY: Final[Data] = {"matches": forms.ANY}
