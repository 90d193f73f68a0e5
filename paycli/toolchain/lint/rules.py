"""What a rule is, and how one is written.

    @rule("MESSAGE_PASCAL_CASE", BASIC)
    def message_pascal_case(tree: Tree) -> Complaints:
        \"\"\"Messages are PascalCase.\"\"\"
        for message in tree.messages:
            ...
            yield Complaint(message.at(NAME), "What is wrong, and what to write instead.")

Put it into the module of the things it looks at, and a case that makes it fire into the tests; the
catalogue finds it. Ids and categories are buf's, and so are the places that are complained about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from paycli.toolchain.lint.elements import Place, Tree


class Complaint(NamedTuple):
    """A place that breaks a rule, and one sentence: what is wrong, and what to write instead."""

    place: Place
    message: str


Complaints = Iterator[Complaint]

# Each category contains the ones before it; comments and streaming are a matter of taste.
MINIMAL: Final = ("MINIMAL", "BASIC", "STANDARD")
BASIC: Final = ("BASIC", "STANDARD")
STANDARD: Final = ("STANDARD",)
COMMENTS: Final = ("COMMENTS",)
UNARY_RPC: Final = ("UNARY_RPC",)
ON_REQUEST: Final = ()  # only when named

NAME: Final = 1  # the field number of the name in every descriptor


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: what it is called, where it belongs, what it demands, and how it is checked."""

    id: str
    categories: tuple[str, ...]
    purpose: str
    check: Callable[[Tree], Complaints]


def rule(
    rule_id: str, categories: tuple[str, ...]
) -> Callable[[Callable[[Tree], Complaints]], Rule]:
    """Make a rule of a check; its docstring is the rule's purpose."""

    def make(check: Callable[[Tree], Complaints]) -> Rule:
        return Rule(rule_id, categories, check.__doc__ or "", check)

    return make
