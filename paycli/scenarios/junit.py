"""JUnit XML, as CI systems read it: the dialect that the schemas of Jenkins and Ant share."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from paycli.errors import InputError
from paycli.scenarios.record import StepResult, Verdict

# XML 1.0 has no spelling at all for most control characters and for half a surrogate pair.
_NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_TAGS: Final = {
    Verdict.FAILED: ("failure", "ExpectationUnmet"),
    Verdict.ERROR: ("error", "NotRun"),
}


def write_junit(path: Path, results: Sequence[StepResult]) -> None:
    """Replace the file as a whole: one testsuite per suite, one testcase per step.

    Raises InputError.
    """
    root = _element(None, "testsuites", _counts(results))
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    for (_, suite), group in groupby(results, key=lambda result: (result.path, result.suite)):
        steps = list(group)
        about = {"name": suite, "timestamp": now, "hostname": socket.gethostname()}
        element = _element(root, "testsuite", about | _counts(steps))
        for result in steps:
            _add_case(element, result)
    text = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, text)
    except OSError as problem:
        raise InputError(f"Cannot write the JUnit file {path}: {problem.strerror}.") from problem


def is_replaceable(path: Path) -> bool:
    """Whether a report can take the place of an earlier one: not so in a pipe or a device."""
    return path.is_file() or not path.exists()


def _add_case(suite: ET.Element, result: StepResult) -> None:
    file, _, line = result.where.rpartition(":")
    case = _element(
        suite,
        "testcase",
        {
            "name": result.step,
            "classname": result.suite,
            "file": file,
            "line": line,
            "time": f"{result.duration_s:.6f}",
        },
    )
    if result.verdict is Verdict.SKIPPED:
        _element(case, "skipped", {"message": result.reason})
    elif result.verdict in _TAGS:
        tag, kind = _TAGS[result.verdict]
        problem = _element(case, tag, {"message": result.reason, "type": kind})
        again = f"\n\nagain: {result.again}" if result.again else ""
        problem.text = _NOT_XML.sub("\ufffd", f"{result.where}: {result.reason}{again}")


def _element(parent: ET.Element | None, tag: str, attributes: dict[str, str]) -> ET.Element:
    """An element whose attributes hold nothing that XML cannot."""
    safe = {name: _NOT_XML.sub("\ufffd", value) for name, value in attributes.items()}
    return ET.Element(tag, safe) if parent is None else ET.SubElement(parent, tag, safe)


def _counts(results: Sequence[StepResult]) -> dict[str, str]:
    verdicts = [result.verdict for result in results]
    return {
        "tests": str(len(results)),
        "failures": str(verdicts.count(Verdict.FAILED)),
        "errors": str(verdicts.count(Verdict.ERROR)),
        "skipped": str(verdicts.count(Verdict.SKIPPED)),
        "time": f"{sum(result.duration_s for result in results):.6f}",
    }


def _replace(path: Path, text: bytes) -> None:
    """All of the new report or all of what was there before, where the file system can do that."""
    if not is_replaceable(path):
        path.write_bytes(text)
        return
    path = path.resolve()  # a link goes on pointing to the report
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        beside.write_bytes(text)
        beside.replace(path)
    except OSError:  # only the file itself may be written, in a mount or a locked folder
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        path.write_bytes(text)
