"""Findings: what `lint` and `breaking` have to say about a place in a proto, and how it is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

from paycli.toolchain.protos.excerpt import display_column, excerpt, source_lines
from paycli.toolchain.rules.formats import Format
from paycli.workflow_commands import error_command


class Finding(NamedTuple):
    """One broken rule at one place; `line` and `column` count from 1. Sorts as people read."""

    path: Path
    line: int
    column: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: {self.rule} {self.message}"


def as_displayed(findings: Iterable[Finding]) -> list[Finding]:
    """Findings that count columns as protoc does, sorted and counted as people do."""
    counted: list[Finding] = []
    for path, group in groupby(sorted(findings), key=lambda finding: finding.path):
        lines = source_lines(path)
        for finding in group:
            column = finding.column
            if finding.line <= len(lines):
                column = display_column(lines[finding.line - 1], column)
            counted.append(finding._replace(column=column))
    return counted


def render(findings: Iterable[Finding], form: Format) -> str:
    """The findings in reading order; no newline at the end. Only JUnit says that there are none."""
    return _RENDERERS[form](sorted(findings))


def _text(findings: Sequence[Finding]) -> str:
    shown = ((str(each), excerpt(each.path, each.line, each.column)) for each in findings)
    return "\n".join(part for parts in shown for part in parts if part)


def _json(findings: Sequence[Finding]) -> str:
    """One document a line, with buf's keys."""
    import json

    return "\n".join(
        json.dumps(
            {
                "path": finding.path.as_posix(),
                "start_line": finding.line,
                "start_column": finding.column,
                "type": finding.rule,
                "message": finding.message,
            },
            ensure_ascii=False,
        )
        for finding in findings
    )


def _junit(findings: Sequence[Finding]) -> str:
    """One testsuite per file, one failed testcase per finding."""
    from xml.etree import ElementTree as ET

    root = ET.Element("testsuites", _counts(findings))
    for path, group in groupby(findings, key=lambda finding: finding.path.as_posix()):
        found = list(group)
        suite = ET.SubElement(root, "testsuite", {"name": path, **_counts(found)})
        for finding in found:
            place = {"file": path, "line": str(finding.line)}
            name = f"{finding.rule}:{finding.line}:{finding.column}"
            case = ET.SubElement(suite, "testcase", {"name": name, "classname": path, **place})
            failure = {"type": finding.rule, "message": finding.message}
            ET.SubElement(case, "failure", failure).text = str(finding)
    return ET.tostring(root, encoding="unicode", xml_declaration=False)


def _counts(findings: Sequence[Finding]) -> dict[str, str]:
    return {"tests": str(len(findings)), "failures": str(len(findings)), "errors": "0"}


def _github(findings: Sequence[Finding]) -> str:
    return "\n".join(
        error_command(
            finding.message,
            file=finding.path.as_posix(),
            line=finding.line,
            col=finding.column,
            title=finding.rule,
        )
        for finding in findings
    )


_RENDERERS: Final[Mapping[Format, Callable[[Sequence[Finding]], str]]] = {
    Format.TEXT: _text,
    Format.JSON: _json,
    Format.JUNIT: _junit,
    Format.GITHUB: _github,
}
