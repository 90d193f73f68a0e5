"""Workflow commands: lines of output that GitHub shows beside the file that they name.

https://docs.github.com/actions, workflow commands, says what has to be escaped.
"""

from __future__ import annotations

from typing import Final

_DATA: Final = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY: Final = _DATA | str.maketrans({":": "%3A", ",": "%2C"})


def error_command(message: str, **properties: str | int) -> str:
    """`::error file=…,line=…,title=…::message`, one line whatever the texts are."""
    said = ",".join(f"{name}={str(each).translate(_PROPERTY)}" for name, each in properties.items())
    return f"::error {said}::{message.translate(_DATA)}"
