"""Simple commands of a script, and what is known of them before they run."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from paycli.documents import read_bytes
from paycli.errors import DocumentError


class NotKnown(Exception):
    """Why something is not known before it runs."""


class Unknown(NamedTuple):
    """A part of a word that is not known: the variable that has it, or "", and why it is not.

    Without a reason it is the environment's, and the same wherever it stands.
    """

    name: str
    why: str = ""


class Marks:
    """What stands in words for what is not known of them; no text has it by chance."""

    def __init__(self) -> None:
        self._key = f"v{uuid.uuid4().hex}n"
        self._mark = re.compile(f"{self._key}([0-9]+)n")
        self._numbers: dict[Unknown, int] = {}
        self._marked: list[Unknown] = []

    def put(self, unknown: Unknown) -> str:
        """The mark of it; another one each time for what a script computes."""
        number = (
            len(self._marked)
            if unknown.why
            else self._numbers.setdefault(unknown, len(self._marked))
        )
        if number == len(self._marked):
            self._marked.append(unknown)
        return f"{self._key}{number}n"

    def within(self, text: str) -> list[Unknown]:
        """What a text has marks of."""
        return [self._marked[int(each)] for each in self._mark.findall(text)]

    def split(self, text: str) -> tuple[list[str], list[Unknown]]:
        """What stands around marks in a text, and what they are of."""
        parts = self._mark.split(text)
        return parts[::2], [self._marked[int(each)] for each in parts[1::2]]

    def replaced(self, text: str, by: Callable[[Unknown], str]) -> str:
        """The text, with something else instead of each mark."""
        return self._mark.sub(lambda found: by(self._marked[int(found[1])]), text)

    def is_one(self, text: str) -> bool:
        """Whether a text is a mark and nothing else."""
        return self._mark.fullmatch(text) is not None

    def shown(self, text: str) -> str:
        """The text as a sentence has it."""
        return self.replaced(text, lambda unknown: f"${unknown.name}" if unknown.name else "$(…)")


@dataclass(slots=True)
class Command:
    """Its words, and the line where it begins, from 1.

    It reads `text`, or a `file`, or what the command `before` it writes, if any of them. `why` says why it
    could not be read to its end; the words are those before that.
    """

    line: int
    words: list[str] = field(default_factory=list)
    text: str | None = None
    file: str | None = None
    before: Command | None = None
    is_sure: bool = True  # to run, as what stands after && is not
    why: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing of it yet."""
        return not self.words and self.text is None and self.file is None

    def stdin(self) -> str | None:
        """What it reads, if that is here. Raises NotKnown."""
        if self.text is not None:
            return self.text
        if self.file is not None:
            return _content(self.file)
        return self.before.output() if self.before is not None else None

    def output(self) -> str:
        """What it writes, where that takes no running of it. Raises NotKnown."""
        match self.words:
            case [] | ["cat"] | ["cat", "-"] if (given := self.stdin()) is not None:
                return given
            case ["cat", *files] if not any(each.startswith("-") for each in files):
                return "".join(map(_content, files))
            case ["echo", "-n", *said] | ["echo", *said] if not (said and said[0].startswith("-")):
                return " ".join(said)
            case ["printf", "%s" | r"%s\n", said]:
                return said
            case ["printf", said] if not re.search(r"[%\\]", said):
                return said
        what = self.words[0] if self.words else "another command"
        raise NotKnown(f"what {what} writes is known only when it runs")


def _content(file: str) -> str:
    path = Path(file)
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise NotKnown(f"{file} is no file")
        return read_bytes(path).decode()
    except DocumentError as problem:
        raise NotKnown(str(problem).rstrip(".")) from problem
    except (OSError, ValueError) as problem:
        raise NotKnown(f"{file} cannot be read") from problem
