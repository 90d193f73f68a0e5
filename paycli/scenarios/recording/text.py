"""The text of a suite, as a person would write it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from paycli.scenarios.recording.seen import LeftOut
from paycli.scenarios.recording.streams import COMMENT
from paycli.scenarios.recording.suite import Made

_WIDTH: Final = 100
_WHOLE_MAX: Final = 2.0**53
_PLAIN: Final = re.compile("[A-Za-z][A-Za-z0-9_./-]*( [A-Za-z0-9][A-Za-z0-9_./-]*)*")
_WORDS: Final = ("true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf")
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}


def suite_text(made: Made, origin: str) -> str:
    """YAML, with a sentence at its beginning that says where it came from."""
    lines = [f"# {_comment(each)}" for each in (origin, *_needs(made))]
    if made.variables:
        lines += _entry("variables", made.variables, "")
    lines.append("steps:")
    for each in made.steps:
        if isinstance(each, LeftOut):
            lines.append(f"  # not recorded: {_comment(each.said)}")
            continue
        if COMMENT in each:
            lines.append(f"  # {_comment(each[COMMENT])}")
        said = ((key, value) for key, value in each.items() if key != COMMENT)
        block = [line for key, value in said for line in _entry(key, value, "    ")]
        lines += [f"  - {block[0].lstrip()}", *block[1:]]
    return "\n".join(lines) + "\n"


def _needs(made: Made) -> Iterator[str]:
    if names := [name for name, of in made.environment.items() if not of]:
        yield f"Set in the environment to run this: {', '.join(names)}."
    for name, of in made.environment.items():
        if of:
            yield f"Masked: {of}. Set it in the environment, as {name}, to run this."


def _entry(key: str, value: Any, indent: str) -> list[str]:
    """A key and its value: in a line if it is short, or else one below the other."""
    short = f"{indent}{_scalar(key)}: {flow(value)}"
    if len(short) <= _WIDTH or not isinstance(value, dict | list) or not value:
        return [short]
    inner = f"{indent}  "
    lines = [f"{indent}{_scalar(key)}:"]
    if isinstance(value, dict):
        return lines + [line for each in value.items() for line in _entry(*each, inner)]
    for each in value:
        short = f"{inner}- {flow(each)}"
        if len(short) <= _WIDTH or not isinstance(each, dict) or not each:
            lines.append(short)
            continue
        block = [line for pair in each.items() for line in _entry(*pair, f"{inner}  ")]
        lines += [f"{inner}- {block[0].lstrip()}", *block[1:]]
    return lines


def flow(value: Any) -> str:
    """A value in a line of YAML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(k)}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(flow, value))}]"
    return _scalar(value)


def _scalar(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE_MAX:
        return str(int(value)) if value or str(value) == "0.0" else "-0.0"
    if not isinstance(value, str):
        return repr(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return f'"{"".join(map(_character, value))}"'


def _character(one: str) -> str:
    if one.isprintable():
        return _ESCAPES.get(one, one)
    return _ESCAPES.get(one) or (
        f"\\u{ord(one):04x}" if ord(one) < 0x10000 else f"\\U{ord(one):08x}"
    )


def _comment(text: str) -> str:
    """Text of somebody else cannot end the comment that it stands in."""
    shown = "".join(each if each.isprintable() else "?" for each in text)
    return shown if len(shown) <= 2 * _WIDTH else f"{shown[: 2 * _WIDTH]}…"
