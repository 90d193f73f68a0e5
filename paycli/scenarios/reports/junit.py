"""JUnit XML, as CI systems read it: valid by the schema of Jenkins' xUnit plugin, junit-10.xsd."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby
from typing import Final
from xml.etree import ElementTree as ET

from paycli.scenarios.record import Run, StepResult, Verdict
from paycli.scenarios.reports.differences import cut
from paycli.scenarios.reports.text import problem_lines

# XML 1.0 has no spelling at all for most control characters and for half a surrogate pair.
_NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_MESSAGE_MAX: Final = 2_000
_TAGS: Final = {
    Verdict.FAILED: ("failure", "ExpectationUnmet"),
    Verdict.ERROR: ("error", "NotRun"),
}


def junit_report(run: Run) -> bytes:
    """One testsuite per suite, one testcase per step."""
    root = _element(None, "testsuites", {"name": "paycli smoke", **_counts(run.results)})
    for (path, suite), group in groupby(
        run.results, key=lambda result: (result.path, result.suite)
    ):
        steps = list(group)
        begun_s = next((each.started_s for each in steps if each.started_s is not None), 0.0)
        about = {
            "name": suite,
            "file": path,
            "timestamp": f"{run.started_at + timedelta(seconds=begun_s):%Y-%m-%dT%H:%M:%S}",
            "hostname": socket.gethostname(),
            "skipped": str(sum(each.verdict is Verdict.SKIPPED for each in steps)),
        }
        element = _element(root, "testsuite", about | _counts(steps))
        for result in steps:
            _add_case(element, result)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def _add_case(suite: ET.Element, result: StepResult) -> None:
    about = {
        "name": result.step,
        "classname": result.suite,
        "time": f"{result.duration_s:.3f}",
    }
    case = _element(suite, "testcase", about)
    message = cut(result.reason, _MESSAGE_MAX)
    if result.verdict is Verdict.SKIPPED:
        _element(case, "skipped", {"message": message})
    elif result.verdict in _TAGS:
        tag, kind = _TAGS[result.verdict]
        problem = _element(case, tag, {"message": message, "type": kind})
        lines = problem_lines(result.problems) or [message]
        again = f"\n\nagain: {result.again}" if result.again else ""
        problem.text = _safe("\n".join([f"{result.where}:", *lines]) + again)
    if result.log:
        _element(case, "system-err", {}).text = _safe("\n".join(result.log))


def _element(parent: ET.Element | None, tag: str, attributes: dict[str, str]) -> ET.Element:
    """An element whose attributes hold nothing that XML cannot."""
    safe = {name: _safe(value) for name, value in attributes.items()}
    return ET.Element(tag, safe) if parent is None else ET.SubElement(parent, tag, safe)


def _safe(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)


def _counts(results: Sequence[StepResult]) -> dict[str, str]:
    verdicts = [result.verdict for result in results]
    return {
        "tests": str(len(results)),
        "failures": str(verdicts.count(Verdict.FAILED)),
        "errors": str(verdicts.count(Verdict.ERROR)),
        "time": f"{sum(result.duration_s for result in results):.3f}",
    }
