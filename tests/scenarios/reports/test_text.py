"""What is wrong with a step, as lines."""

from __future__ import annotations

from paycli.scenarios.problems import Problem, Words, of_call, parts
from paycli.scenarios.reports.text import problem_lines


def test_problems_stand_in_columns() -> None:
    assert problem_lines(
        [
            Problem("status", "FAILED", "SUCCESS"),
            Problem("amount.units", Words("gt 9"), "5"),
            "no answer\nat all",
        ]
    ) == [
        "status        expected 'FAILED'  got 'SUCCESS'",
        "amount.units  expected gt 9      got '5'",
        "no answer\\nat all",
    ]


def test_of_long_values_the_part_is_shown_that_differs() -> None:
    alike = "a" * 4_000_000
    path, expected, got, mark = problem_lines([Problem("note", f"{alike}b…", f"{alike}c")])
    assert path == "note"
    at = mark.index("^")
    assert (expected[at], got[at]) == ("b", "c")
    assert max(len(expected), len(got)) < 120
    assert expected.startswith("  expected …aaa")


def test_many_problems_are_counted() -> None:
    lines = problem_lines([of_call(Problem("a", 1, None), n) for n in range(1_000)])
    assert lines[0] == "#0: a   expected 1  got nothing"
    assert lines[20:] == ["and 980 more"]


def test_machines_get_values() -> None:
    problem = Problem("a", [1], {"b": None})
    assert parts(problem) == {
        "path": "a", "expected": [1], "got": {"b": None}, "message": "a: expected [1], got {'b': None}",
    }  # fmt: skip
    assert parts("gone") == {"message": "gone"}
