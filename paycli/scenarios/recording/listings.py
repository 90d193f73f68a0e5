"""Scripts as they stand in other text: in code of Markdown, and behind prompts, with what was answered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

_FENCE: Final = re.compile(
    r"([ \t]*(?:(?:[-*+]|\d+[.)])[ \t]+)?)(`{3,}|~{3,})[ \t]*\{?\.?([\w+-]*)"
)
_OF_SHELLS: Final = ("", "sh", "bash", "zsh", "shell", "console", "shell-session", "text")
_PROMPT: Final = re.compile(
    r"[ \t]*(?:(?:\[?[\w.-]+@[^$%\n]{0,60})?[$%] |(?:PS )?[A-Z]:\\[^>\n]{0,200}> ?)"
)


def scripts_in(text: str, name: str) -> Iterator[tuple[int, str]]:
    """Each, and the line where it begins, from 1. A text that is a script itself is taken as it is."""
    if text.startswith("#!") or name.endswith((".sh", ".bash", ".zsh")):
        yield 1, text
        return
    lines = text.split("\n")
    is_markdown = any(map(_FENCE.match, lines))
    for first, block in _fenced(lines) if is_markdown else [(1, lines)]:
        yield from _typed(first, block)


def _fenced(lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    numbered = enumerate(lines, 1)
    for number, line in numbered:
        if (fence := _FENCE.match(line)) is None:
            continue
        indent, marks, language = fence.groups()
        block = []
        for _, inner in numbered:
            if inner.strip().startswith(marks) and not inner.strip().strip(marks[0]):
                break
            block.append(inner[len(indent) :] if not inner[: len(indent)].strip() else inner)
        if block and language.lower() in _OF_SHELLS:
            yield number + 1, block


def _typed(first: int, lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """What begins at each prompt is a text of its own: a quote in an answer reaches no further command."""
    begins = [number for number, line in enumerate(lines) if not number or _PROMPT.match(line)]
    for begin, end in zip(begins, [*begins[1:], len(lines)], strict=True):
        script = "\n".join(lines[begin:end])
        prompt = _PROMPT.match(script)
        yield first + begin, script[prompt.end() :] if prompt is not None else script
