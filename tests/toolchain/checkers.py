"""Strict type checkers as processes of their own, over a project of generated code."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from paycli.toolchain.gen.generate import bring_up_to_date
from paycli.toolchain.protos.workspace import find_workspace

# What a user who imports google.type needs: mypy looks into it only when told so.
MYPY_CONFIG = """\
[mypy]
strict = true

[mypy-google.api.*,google.longrunning.*,google.rpc.*,google.type.*]
follow_untyped_imports = true
"""
# Lines of mistakes.py are expressions, which pyright would report for that alone.
PYRIGHT_CONFIG = {
    "typeCheckingMode": "strict",
    "include": ["."],
    "exclude": ["**/*_pb2.py", "**/*_pb2_grpc.py"],
    "reportUnusedExpression": False,
}


class Report(NamedTuple):
    """One error: where and what."""

    file: str
    line: int
    message: str


def generate_into(out: Path, proto: Path) -> None:
    """What `paycli gen -I PROTO --out OUT` writes."""
    bring_up_to_date(find_workspace([proto], []), out, whole_tree=True)
    (out.parent / "__init__.py").touch()


def write_package(out: Path, files: Mapping[str, str]) -> None:
    """The files below `out`, in packages up to the folder that `out` lies in."""
    for name, content in files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    for folder in {parent for name in files for parent in (out / name).parents}:
        if folder.is_relative_to(out.parent):
            (folder / "__init__.py").touch()


def mypy(project: Path, *packages: str, config: str = MYPY_CONFIG) -> list[Report]:
    """The errors of `mypy --strict`."""
    (project / "mypy.ini").write_text(config)
    ran = _run(project, "mypy", "--output=json", "--config-file=mypy.ini", *packages)
    found = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    assert ran.returncode == (1 if found else 0), ran.stdout + ran.stderr
    return [
        Report(one["file"], one["line"], one["message"])
        for one in found
        if one["severity"] == "error"
    ]


def pyright(project: Path) -> list[Report]:
    """The errors of basedpyright in pyright's strict mode."""
    (project / "pyrightconfig.json").write_text(json.dumps(PYRIGHT_CONFIG))
    ran = _run(project, "basedpyright", "--outputjson", "--pythonpath", sys.executable)
    found = json.loads(ran.stdout)
    assert found["summary"]["filesAnalyzed"] > 0
    return [
        Report(
            str(Path(one["file"]).relative_to(project)),
            one["range"]["start"]["line"] + 1,
            one["message"],
        )
        for one in found["generalDiagnostics"]
        if one["severity"] == "error"
    ]


def _run(project: Path, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )


def in_file(reports: Collection[Report], name: str) -> dict[int, str]:
    """The messages of one file by line."""
    return {report.line: report.message for report in reports if report.file.endswith(name)}
