"""`paycli doctor`: look at everything paycli needs, and mend what is harmless to mend."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from paycli.cli import options, output
from paycli.errors import PaycliError

if TYPE_CHECKING:
    from paycli.doctor.checks import Finding

_MARKS = {"ok": "OK  ", "info": "INFO", "warn": "WARN", "fail": "FAIL"}


def doctor(
    *,
    fix: Annotated[
        bool, typer.Option("--fix", help="Do the harmless repairs, after saying what they do.")
    ] = False,
    roots: Annotated[
        list[Path] | None,
        typer.Option("-I", "--proto-path", help="Root of the protos; repeatable. Default: proto."),
    ] = None,
    out: options.GeneratedOut = None,
    port: Annotated[
        int,
        typer.Option(
            "--port",
            envvar="PAYCLI_PORT",
            metavar="PORT",
            min=0,
            max=65535,
            help="Where you would serve.",
        ),
    ] = 50051,
    store: options.Store = options.DEFAULT_STORE,
    transports: Annotated[
        bool, typer.Option("--transports", help="Measure what a call costs on each transport.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Check the set-up: Python, packages, generated code, port, store. Exit 1 if something fails."""
    from paycli.doctor.check_up import all_checks, check_up
    from paycli.toolchain.gen.out_folder import default_out

    protos, code = tuple(roots or [Path("proto")]), out or default_out()
    checks = all_checks(protos, code, port, store, measured=transports)
    found = {}
    for name, finding in check_up(checks, _repair if fix else None):
        found[name] = finding
        if not json:
            _print(name, finding)
    failed = any(finding.verdict == "fail" for finding in found.values())
    if json:
        output.document({"verdict": "fail" if failed else "ok", "checks": _as_list(found)})
    raise typer.Exit(1 if failed else 0)


def _repair(name: str, finding: Finding) -> None:
    assert finding.repair is not None
    output.progress(f"{name}: {finding.message} {finding.repair.what}")
    try:
        finding.repair.do()
    except PaycliError as problem:
        output.error(problem, as_json=False)


def _print(name: str, finding: Finding) -> None:
    line = f"{_MARKS[finding.verdict]}  {name}: {finding.message}"
    output.result(line, alarms=finding.verdict == "fail")
    if finding.command:
        output.result(f"      repair with: {finding.command}")


def _as_list(found: dict[str, Finding]) -> list[dict[str, object]]:
    return [
        {
            "name": name,
            "verdict": finding.verdict,
            "message": finding.message,
            "command": finding.command or None,
        }
        for name, finding in found.items()
    ]
