"""JUnit XML, as CI systems read it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree as ET

from paycli.errors import InputError
from paycli.scenarios.runner import StepResult, Verdict

# XML 1.0 has no spelling at all for most control characters.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def write_junit(path: Path, results: Sequence[StepResult]) -> None:
    """Write one testsuite per suite and one testcase per step."""
    root = ET.Element("testsuites", _counts(results))
    for suite, group in groupby(results, key=lambda result: result.suite):
        steps = list(group)
        element = ET.SubElement(root, "testsuite", {"name": suite, **_counts(steps)})
        for result in steps:
            case = ET.SubElement(
                element,
                "testcase",
                {
                    "name": result.step,
                    "classname": suite,
                    "file": result.where.rpartition(":")[0],
                    "line": result.where.rpartition(":")[2],
                    "time": f"{result.duration_s:.6f}",
                },
            )
            reason = _NOT_XML.sub("\ufffd", result.reason)
            if result.verdict is Verdict.FAILED:
                ET.SubElement(
                    case, "failure", {"message": reason}
                ).text = f"{result.where}: {reason}"
            elif result.verdict is Verdict.SKIPPED:
                ET.SubElement(case, "skipped", {"message": reason})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    except OSError as problem:
        raise InputError(f"Cannot write the JUnit file {path}: {problem.strerror}.") from problem


def _counts(results: Sequence[StepResult]) -> dict[str, str]:
    verdicts = [result.verdict for result in results]
    return {
        "tests": str(len(results)),
        "failures": str(verdicts.count(Verdict.FAILED)),
        "skipped": str(verdicts.count(Verdict.SKIPPED)),
        "time": f"{sum(result.duration_s for result in results):.6f}",
    }
