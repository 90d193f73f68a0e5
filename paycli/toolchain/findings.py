"""Findings: what `lint` and `breaking` have to say about a place in a proto."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Finding(NamedTuple):
    """One broken rule at one place; `line` and `column` count from 1. Sorts as people read."""

    path: Path
    line: int
    column: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: {self.rule} {self.message}"
