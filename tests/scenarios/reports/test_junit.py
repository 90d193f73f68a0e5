"""JUnit XML that every reader can parse, valid by the schema of Jenkins."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from paycli.scenarios.problems import Problem
from paycli.scenarios.record import Run, StepResult, Verdict
from paycli.scenarios.reports.junit import junit_report

# What junit-10.xsd of Jenkins' xUnit plugin allows in each element: the attributes that must be and
# those that may be there, and the elements inside.
COUNTS = {"tests", "failures", "errors"}
SCHEMA: dict[str, tuple[set[str], set[str], set[str]]] = {
    "testsuites": (set(), COUNTS | {"name", "time"}, {"testsuite"}),
    "testsuite": (
        COUNTS | {"name"},
        {
            "group",
            "time",
            "skipped",
            "timestamp",
            "hostname",
            "id",
            "package",
            "file",
            "log",
            "url",
        },
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
    ),
    "testcase": (
        {"name"},
        {"time", "classname", "group"},
        {"skipped", "error", "failure", "system-out", "system-err"},
    ),
    "failure": (set(), {"type", "message"}, set()),
    "error": (set(), {"type", "message"}, set()),
    "skipped": (set(), {"type", "message"}, set()),
    "system-err": (set(), set(), set()),
}


def result(verdict: Verdict, reason: str = "") -> StepResult:
    return StepResult("suite", "a step", "s.yaml:3", verdict, 0.5, reason)


def report(*results: StepResult) -> ET.Element:
    began = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    return ET.fromstring(junit_report(Run("localhost:1", began, 9.0, results)))


def check(element: ET.Element) -> None:
    """Hold an element and all in it to the schema."""
    needed, allowed, inside = SCHEMA[element.tag]
    assert needed <= set(element.keys()) <= needed | allowed, element.attrib
    if element.tag != "testcase":
        assert re.fullmatch(r"[0-9]*(\.[0-9]{0,3})?", element.get("time", "")), element.attrib
    for each in element:
        assert each.tag in inside, f"{each.tag} in {element.tag}"
        check(each)


def test_what_a_service_says_cannot_break_the_report() -> None:
    failure = report(result(Verdict.FAILED, "got \x00 and \x1b[31m <&> \ufffe")).find(".//failure")
    assert failure is not None
    assert failure.get("message") == "got \ufffd and \ufffd[31m <&> \ufffd"


def test_the_counts_add_up() -> None:
    root = report(*(result(verdict) for verdict in (*Verdict, Verdict.SKIPPED)))
    for element in (root, *root):
        counts = [element.get(name) for name in ("tests", "failures", "errors")]
        assert counts == ["5", "1", "1"]
        assert element.get("time") == "2.500"
    assert root[0].get("skipped") == "2"


def test_it_is_valid_and_says_when_and_what() -> None:
    log = ("line 1", "line 2")
    failed = StepResult(
        "suite", "a", "s.yaml:3", Verdict.PASSED, 0.25, log=log, started_s=60.0
    ).failed(["no answer", Problem("status", "FAILED", "SUCCESS")], "paycli call x")
    root = report(failed, *(result(verdict, "why") for verdict in Verdict))
    check(root)
    assert root[0].get("timestamp") == "2026-01-02T03:05:05"
    failure = root.find(".//failure")
    assert failure is not None
    assert failure.get("message") == "no answer; status: expected 'FAILED', got 'SUCCESS'"
    assert failure.text == (
        "s.yaml:3:\nno answer\nstatus  expected 'FAILED'  got 'SUCCESS'\n\nagain: paycli call x"
    )
    assert root.findtext(".//system-err") == "line 1\nline 2"
