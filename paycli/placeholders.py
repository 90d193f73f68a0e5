"""`${…}` in the values of fixtures and suites, filled in before anything is sent.

${env:NAME}           an environment variable; unset is an error
${uuid}               a fresh UUID
${n}                  the number of the repetition, from 1
${steps.NAME.field}   a field of an earlier step's response (suites)
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Final

from paycli.documents import nearest

UUID: Final = "${uuid}"
_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")

Values = Mapping[str, Callable[[], str]]


def expand(text: str, values: Values) -> str:
    """Replace every placeholder; `values` names those besides env and uuid.

    Raises ValueError for an unknown placeholder or an unset variable.
    """

    def fill(found: re.Match[str]) -> str:
        name = found[1]
        if name == "uuid":
            return str(uuid.uuid4())
        if name.startswith("env:"):
            return _environment(name.removeprefix("env:"))
        if name in values:
            return values[name]()
        raise ValueError(f"nothing fills {found[0]}; {_hint(name, values)}")

    return _PLACEHOLDER.sub(fill, text) if "${" in text else text


def _hint(name: str, values: Values) -> str:
    """What was meant: of a name with dots another field of the same thing, never that of another."""
    thing, dot, _ = name.rpartition(".")
    known = [each for each in values if each.startswith(f"{thing}.")] if dot else list(values)
    if dot and not known:
        return f"nothing above is called '{thing.rpartition('.')[2]}'."
    return nearest(name, known if dot else ("env:NAME", "uuid", *known))


def _environment(name: str) -> str:
    try:
        return os.environ[name]
    except KeyError:
        raise ValueError(f"the environment variable {name} is not set.") from None
