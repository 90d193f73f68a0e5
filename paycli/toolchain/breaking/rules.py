"""Where a rule is entered: its id, its categories, and what kind of thing it compares.

A rule is a generator that gets the old thing and the new one and yields a `Broken` for each
promise that no longer holds. To add one, write the function in the module of its kind, put
`@KIND.rule("ITS_ID", *categories)` on top, and add a case that makes it fire to the tests.
Ids and categories are buf's, so that a `buf.yaml` means the same to both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from typing import Final, Generic, NamedTuple, TypeVar

from paycli.toolchain.breaking.schema import (
    Enum,
    Field,
    File,
    Message,
    Method,
    Place,
    Schema,
    Service,
)

Old = TypeVar("Old")
New = TypeVar("New")

# From strict to lax: generated code, the same per package, JSON and binary bytes, binary bytes.
FILE: Final = "FILE"
PACKAGE: Final = "PACKAGE"
WIRE_JSON: Final = "WIRE_JSON"
WIRE: Final = "WIRE"
IN_SOURCE: Final = (FILE, PACKAGE)
IN_JSON: Final = (FILE, PACKAGE, WIRE_JSON)
ALWAYS: Final = (FILE, PACKAGE, WIRE_JSON, WIRE)


class About(NamedTuple):
    """What a rule belongs to, and what it wants: the rule's docstring."""

    categories: tuple[str, ...]
    purpose: str


RULES: Final[dict[str, About]] = {}


class Broken(NamedTuple):
    """A promise that no longer holds: where to look now, what happened, and to whom it matters."""

    at: Place
    what: str
    effect: str


Rule = Callable[[Old, New], Iterator[Broken]]


class Rules(Generic[Old, New]):
    """All rules that compare one kind of thing."""

    def __init__(self) -> None:
        self._by_id: dict[str, Rule[Old, New]] = {}

    def rule(self, rule_id: str, *categories: str) -> Callable[[Rule[Old, New]], Rule[Old, New]]:
        """Enter the decorated function under buf's id."""

        def enter(function: Rule[Old, New]) -> Rule[Old, New]:
            assert rule_id not in RULES, f"two rules are called {rule_id}"
            RULES[rule_id] = About(categories, function.__doc__ or "")
            self._by_id[rule_id] = function
            return function

        return enter

    def among(self, chosen: AbstractSet[str]) -> list[tuple[str, Rule[Old, New]]]:
        """The chosen ones of these rules."""
        return [(rule_id, rule) for rule_id, rule in self._by_id.items() if rule_id in chosen]


TREE: Final = Rules[File, Schema]()  # each old file against the whole new tree
FILES: Final = Rules[File, File]()  # files of one name
MESSAGES: Final = Rules[Message, Message]()  # messages of one full name
FIELDS: Final = Rules[Field, Field]()  # fields of one message, or extensions, of one number
ENUMS: Final = Rules[Enum, Enum]()
SERVICES: Final = Rules[Service, Service]()
METHODS: Final = Rules[Method, Method]()
