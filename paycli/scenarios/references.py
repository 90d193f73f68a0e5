"""`${steps.NAME.field}`, and `${NAME}` of what was saved: what a step takes from the answer of an earlier one.

Everything else that is written `${…}` is filled in when a suite is read; only these have to wait.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf.descriptor import Descriptor

from paycli.documents import Node
from paycli.placeholders import expand
from paycli.scenarios.wire_values import is_free, message_of

_PLACEHOLDER: Final = re.compile(r"\$\{([^}]*)\}")
_REFERENCE: Final = re.compile(r"steps\.([^.]+)\.(.+)")
_FILLED_LATER: Final = {"steps.NAME.field": str}  # so that a complaint can propose it

Answers = Mapping[str, Mapping[str, Any]]  # by step: its response as plain data


@dataclass(frozen=True, slots=True)
class Reference:
    """A field of the response of an earlier step; `path` has a dot between message and field."""

    step: str
    path: str

    def value(self, answers: Answers) -> str:
        """The text of the field. Raises LookupError."""
        if self.step not in answers:
            raise LookupError(f"step '{self.step}' has no response to take '{self.path}' from")
        value: Any = answers[self.step]
        for name in self.path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        if value is None:
            raise LookupError(f"step '{self.step}' was answered without '{self.path}'")
        return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True, slots=True)
class Late:
    """A text with references in it, filled in when the answers are there."""

    parts: tuple[str | Reference, ...]

    def fill(self, answers: Answers, quote: Callable[[str], str] = str) -> str:
        """The text, with `quote` around each value. Raises LookupError."""
        return "".join(
            part if isinstance(part, str) else quote(part.value(answers)) for part in self.parts
        )


@dataclass(slots=True)
class Scope:
    """What a step can refer to: answers of earlier steps, what they saved, variables. Notes what it does."""

    responses: dict[str, Descriptor] = field(default_factory=dict)
    values: Mapping[str, Callable[[], str]] = field(default_factory=dict)
    saved: dict[str, Reference] = field(default_factory=dict)
    used: list[Reference] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)  # all of them, with or without a response

    def inner(self, **values: Callable[[], str]) -> Scope:
        """The same for a step of its own, with more values."""
        return Scope(self.responses, {**self.values, **values}, self.saved)

    def read(self, node: Node, what: str) -> str | Late:
        """The text of a scalar, filled in as far as it can be now. Raises DocumentError."""
        return self.parse(node, node.text(what), what)

    def parse(self, node: Node, written: str, what: str) -> str | Late:
        """The same for text that stands in `node`."""
        parts: list[str | Reference] = []
        end = 0
        for found in _PLACEHOLDER.finditer(written):
            reference = self._reference(node, found[1])
            if reference is None:
                continue
            parts += [self._filled(node, written[end : found.start()], what), reference]
            end = found.end()
            self.used.append(reference)
        rest = self._filled(node, written[end:], what)
        return Late((*parts, rest)) if parts else rest

    def reference(self, node: Node, step: str, path: str) -> Reference:
        """A field of the response of an earlier step. Raises DocumentError for what is none."""
        shown = f"${{steps.{step}.{path}}}"
        if step not in self.responses:
            raise node.error(f"{shown} names no earlier step with a response.")
        within: Descriptor | None = self.responses[step]
        for name in path.split("."):
            found = within.fields_by_name.get(name) if within is not None else None
            if found is None:
                known = ", ".join(within.fields_by_name) if within is not None else "no fields"
                raise node.error(
                    f"{shown}: the response of step '{step}' has no '{name}'; it has {known}."
                )
            if found.is_repeated or is_free(found):
                raise node.error(f"{shown} is no single value; '{name}' holds several.")
            within = message_of(found)
        if within is not None:
            known = ", ".join(within.fields_by_name)
            raise node.error(f"{shown} is no single value; add one of {known}.")
        return Reference(step, path)

    def _reference(self, node: Node, name: str) -> Reference | None:
        """What a placeholder waits for; None if it can be filled in at once."""
        if name in self.saved:
            return self.saved[name]
        if found := _REFERENCE.fullmatch(name):
            return self.reference(node, *found.groups())
        return None

    def _filled(self, node: Node, text: str, what: str) -> str:
        try:
            return expand(text, {**self.values, **dict.fromkeys(self.saved, str), **_FILLED_LATER})
        except ValueError as problem:
            raise node.error(f"{what}: {problem}") from problem


def fill(value: Any, answers: Answers) -> Any:
    """Plain data with every reference filled in. Raises LookupError."""
    if isinstance(value, Late):
        return value.fill(answers)
    if isinstance(value, Mapping):
        return {key: fill(each, answers) for key, each in value.items()}
    if isinstance(value, list):
        return [fill(each, answers) for each in value]
    return value
