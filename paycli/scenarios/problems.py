"""Problems: what is not as a step expects, as sentences that know their parts."""

from __future__ import annotations

from typing import Self


class Words(str):
    """What is said of a value, in the place of one: "gt 4"."""

    __slots__ = ()


class Problem(str):
    """The sentence "PATH: expected …, got …", and what it is made of: values of JSON, or Words.

    A problem that has no such parts, such as a call that failed, is a plain text.
    """

    __slots__ = ("expected", "got", "path")

    path: str
    expected: object
    got: object

    def __new__(cls, path: str, expected: object, got: object) -> Self:
        """The sentence of its parts."""
        self = super().__new__(cls, f"{path}: expected {shown(expected)}, got {shown(got)}")
        self.path, self.expected, self.got = path, expected, got
        return self


def of_call(problem: str, number: int) -> str:
    """The same, of one of several calls."""
    if isinstance(problem, Problem):
        return Problem(f"#{number}: {problem.path}", problem.expected, problem.got)
    return f"#{number}: {problem}"


def parts(problem: str) -> dict[str, object]:
    """For machines: its path, what was expected and what came, where it has those, and the sentence."""
    if not isinstance(problem, Problem):
        return {"message": problem}
    told = {"path": problem.path, "expected": problem.expected, "got": problem.got}
    return {**told, "message": str(problem)}


def shown(value: object) -> str:
    """A value as it stands in a sentence."""
    return "nothing" if value is None else value if isinstance(value, Words) else repr(value)
