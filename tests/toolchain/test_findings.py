"""How findings are shown: to people, programs, CI systems and GitHub."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

from paycli.toolchain.rules.findings import Finding, as_displayed, render
from paycli.toolchain.rules.formats import Format


def findings(folder: Path) -> list[Finding]:
    path = folder / "a,b.proto"
    path.write_text("message ok {\n\t\tstring A = 1; // 100%\n}\n", encoding="utf-8")
    return [
        Finding(path, 2, 16, "FIELD_LOWER_SNAKE_CASE", "Two\nlines, 100% <bad>."),
        Finding(path, 1, 9, "MESSAGE_PASCAL_CASE", "Write 'Ok'."),
        Finding(folder / "gone.proto", 7, 1, "FILE_NO_DELETE", "Gone."),
    ]


def test_text_has_the_line_and_a_caret_and_sorts_as_people_read(tmp_path: Path) -> None:
    path = tmp_path / "a,b.proto"
    assert render(findings(tmp_path), Format.TEXT).splitlines() == [
        f"{path}:1:9: MESSAGE_PASCAL_CASE Write 'Ok'.",
        "    message ok {",
        "            ^",
        f"{path}:2:16: FIELD_LOWER_SNAKE_CASE Two",
        "lines, 100% <bad>.",
        "            string A = 1; // 100%",
        "                   ^",
        f"{tmp_path / 'gone.proto'}:7:1: FILE_NO_DELETE Gone.",
    ]


def test_columns_are_counted_as_they_are_seen(tmp_path: Path) -> None:
    path = tmp_path / "é.proto"
    before = "/* é\t世界 */ message "
    path.write_text(f"{before}x {{}}\n", encoding="utf-8")
    protoc_column = len(before.encode().expandtabs(8)) + 1
    (shown,) = as_displayed([Finding(path, 1, protoc_column, "R", "m")])
    # The tab goes up to the next multiple of four, and each wide character has two cells.
    assert shown.column == len("/* é    ") + len("....") + len(" */ message ") + 1
    _, source, caret = render([shown], Format.TEXT).splitlines()
    assert caret.index("^") == source.index("x {") + len("世界")
    assert as_displayed([Finding(tmp_path / "gone", 1, 2, "R", "m")])[0].column == 2


def test_json_is_one_document_a_line_with_the_keys_of_buf(tmp_path: Path) -> None:
    first, *rest = map(json.loads, render(findings(tmp_path), Format.JSON).splitlines())
    assert first == {
        "path": (tmp_path / "a,b.proto").as_posix(),
        "start_line": 1,
        "start_column": 9,
        "type": "MESSAGE_PASCAL_CASE",
        "message": "Write 'Ok'.",
    }
    assert len(rest) == 2
    assert render([], Format.JSON) == ""


def test_junit_has_a_suite_per_file_and_a_failure_per_finding(tmp_path: Path) -> None:
    root = ET.fromstring(render(findings(tmp_path), Format.JUNIT))
    assert root.attrib == {"tests": "3", "failures": "3", "errors": "0"}
    assert [suite.get("tests") for suite in root] == ["2", "1"]
    failures = [failure.get("message") for failure in root.iter("failure")]
    assert failures == ["Write 'Ok'.", "Two\nlines, 100% <bad>.", "Gone."]
    assert ET.fromstring(render([], Format.JUNIT)).get("tests") == "0"


def test_github_annotations_are_one_line_each_and_escaped(tmp_path: Path) -> None:
    shown = render(findings(tmp_path), Format.GITHUB).splitlines()
    file = (tmp_path / "a,b.proto").as_posix().replace(",", "%2C")
    assert shown[1] == (
        f"::error file={file},line=2,col=16,title=FIELD_LOWER_SNAKE_CASE"
        "::Two%0Alines, 100%25 <bad>."
    )
