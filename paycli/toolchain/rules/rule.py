"""What a rule is, and where it is entered: the engine under `lint` and `breaking`.

    @MESSAGES.rule("MESSAGE_SAME_JSON_FORMAT", *IN_JSON)
    def message_same_json_format(old: Message, new: Message) -> Complaints:
        \"\"\"JSON that was supported stays supported.\"\"\"
        if ...:
            yield Complaint(new.at(), "What is wrong, and what to do.")

Write it into the module of the things that it looks at, with a case that makes it fire in the tests.
Ids and categories are buf's, so that a `buf.yaml` means the same to both, and so are the places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Generic, NamedTuple, ParamSpec, TypeAlias

from paycli.toolchain.protos.places import Place

Subject = ParamSpec("Subject")


class Complaint(NamedTuple):
    """A place that breaks a rule, and one sentence about it."""

    place: Place
    message: str


Complaints = Iterator[Complaint]
Check: TypeAlias = Callable[Subject, Complaints]


@dataclass(frozen=True, slots=True)
class Rule(Generic[Subject]):
    """One rule: what it is called, where it belongs, what it demands, and how that is checked."""

    id: str
    categories: tuple[str, ...]
    purpose: str
    check: Check[Subject]


class RuleBook:
    """All the rules of one command."""

    def __init__(self) -> None:
        self.rules: dict[str, Rule[...]] = {}

    @property
    def categories(self) -> Mapping[str, tuple[str, ...]]:
        """The categories of each rule by its id."""
        return {rule.id: rule.categories for rule in self.rules.values()}


class Rules(Generic[Subject]):
    """Those rules of a book that look at one kind of thing."""

    def __init__(self, book: RuleBook) -> None:
        self._book = book
        self._rules: list[Rule[Subject]] = []

    def rule(self, rule_id: str, *categories: str) -> Callable[[Check[Subject]], Check[Subject]]:
        """Enter the decorated check, whose docstring is the rule's purpose.

        Raises ValueError for an id that the book has already.
        """

        def enter(check: Check[Subject]) -> Check[Subject]:
            if rule_id in self._book.rules:
                raise ValueError(f"two rules are called {rule_id}")
            rule = Rule(rule_id, categories, check.__doc__ or "", check)
            self._book.rules[rule_id] = rule
            self._rules.append(rule)
            return check

        return enter

    def among(self, chosen: AbstractSet[str]) -> list[Rule[Subject]]:
        """The chosen ones of these rules."""
        return [rule for rule in self._rules if rule.id in chosen]
