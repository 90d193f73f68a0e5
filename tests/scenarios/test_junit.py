"""JUnit XML that every reader can parse."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from paycli.errors import InputError
from paycli.scenarios.junit import write_junit
from paycli.scenarios.record import StepResult, Verdict


def result(verdict: Verdict, reason: str = "") -> StepResult:
    return StepResult("suite", "a step", "s.yaml:3", verdict, 0.5, reason)


def test_what_a_service_says_cannot_break_the_report(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    write_junit(path, [result(Verdict.FAILED, "got \x00 and \x1b[31m <&> \ufffe")])
    failure = ET.parse(path).getroot().find("testsuite/testcase/failure")
    assert failure is not None
    assert failure.get("message") == "got \ufffd and \ufffd[31m <&> \ufffd"


def test_the_counts_add_up(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    write_junit(path, [result(verdict) for verdict in (*Verdict, Verdict.SKIPPED)])
    for element in (ET.parse(path).getroot(), *ET.parse(path).getroot()):
        counts = [element.get(name) for name in ("tests", "failures", "errors", "skipped")]
        assert counts == ["5", "1", "1", "2"]
        assert element.get("time") == "2.500000"


def test_a_report_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Cannot write the JUnit file"):
        write_junit(tmp_path, [])
