"""What the command line says of fixtures: values to set (`--set`), and which payments to send (`--only`).

defaults.FIELD=VALUE          for every payment that does not say otherwise
payments.NAME.FIELD=VALUE     of the payment with that name
payments.3.FIELD=VALUE        of the third entry
payments.*.FIELD=VALUE        of every payment, whatever it says
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from paycli.client.fixture_payments import DEFAULT_KEYS, TEXT_FIELDS
from paycli.documents import Node, nearest, read_text, typed_text
from paycli.errors import DocumentError, InputError

_EVERY: Final = "*"
_HOW: Final = "write payments.NAME.FIELD=VALUE, or defaults.FIELD=VALUE"


@dataclass
class _Change:
    """A value to set; `entry` is a name, a number or * of a payment, and "" for the defaults."""

    written: str
    entry: str
    field: str
    value: Node
    is_used: bool = False


class Choices:
    """What was chosen, for all fixtures of a command; once they were read, it knows what fitted none."""

    def __init__(self, changes: Iterable[str] = (), only: Iterable[str] = ()) -> None:
        """Raises InputError for a change that no fixture could take."""
        self._changes = [_change(each) for each in changes]
        self._only = dict.fromkeys(only, False)
        self.words = [word for each in self._changes for word in ("--set", each.written)]
        """The options that set the same again."""
        self._names: dict[str, None] = {}

    def set_defaults(self, fields: Mapping[str, Node]) -> dict[str, Node]:
        """The defaults, with what is set."""
        return self._set("", "", fields)

    def set_payment(self, number: int, name: str, fields: Mapping[str, Node]) -> dict[str, Node]:
        """The fields of an entry, with what is set; `number` counts from 1, `name` is "" without one."""
        if name:
            self._names[name] = None
        return self._set(str(number), name, fields)

    def is_wanted(self, name: str, order_id: str) -> bool:
        """Whether a payment is to be sent."""
        if not self._only:
            return True
        found = [each for each in (name, order_id) if each and each in self._only]
        self._only.update(dict.fromkeys(found, True))
        return bool(found)

    def refuse_unused(self) -> None:
        """Raises InputError for what no fixture has."""
        for change in self._changes:
            if not change.is_used:
                number = change.entry
                none = f"there is no payment number {number}." if number.isdecimal() else ""
                raise InputError(f"--set {change.written}: {none or self._none(number)}")
        for name, is_used in self._only.items():
            if not is_used:
                raise InputError(f"--only {name}: {self._none(name)}")

    def _set(self, number: str, name: str, fields: Mapping[str, Node]) -> dict[str, Node]:
        changed = dict(fields)
        for change in self._changes:
            entries = (number, name, _EVERY) if number else ("",)
            if change.entry in entries:
                change.is_used = True
                changed[change.field] = change.value
        return changed

    def _none(self, name: str) -> str:
        if not self._names:
            return f"no payment is called '{name}'; none has a name."
        return f"no payment is called '{name}'; {nearest(name, self._names)}"


def _change(written: str) -> _Change:
    path, equals, text = written.partition("=")
    place, _, rest = path.partition(".")
    entry, _, field = rest.rpartition(".")
    if not equals or place not in ("defaults", "payments") or bool(entry) != (place == "payments"):
        raise InputError(f"--set {written}: {_HOW}.")
    if field not in DEFAULT_KEYS:
        raise InputError(
            f"--set {written}: there is no field '{field}'; {nearest(field, DEFAULT_KEYS)}"
        )
    return _Change(written, entry, field, _value(f"--set {path}", field, text))


def _value(where: str, field: str, text: str) -> Node:
    """Texts are as they were typed; all else is YAML."""
    if field in TEXT_FIELDS:
        return typed_text(text, where)
    found = read_text(text, where)
    if len(found) != 1:
        raise DocumentError(where, "one value is wanted.")
    return found[0]
