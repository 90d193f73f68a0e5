"""`paycli doctor`: look at everything paycli needs, and mend what is harmless to mend."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from paycli.cli import options, output
from paycli.errors import PaycliError

if TYPE_CHECKING:
    from collections.abc import Callable

    from paycli.doctor.checks import Check, Finding

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
            envvar="PAYCLI_PORT", metavar="PORT", min=0, max=65535, help="Where you would serve."
        ),
    ] = 50051,
    store: options.Store = options.DEFAULT_STORE,
    json: options.Json = False,
) -> None:
    """Check the set-up: Python, packages, generated code, port, store. Exit 1 if something fails."""
    from paycli.doctor.checks import Check
    from paycli.doctor.environment import (
        check_apt_pkg,
        check_includes,
        check_interpreter,
        check_packages,
    )
    from paycli.doctor.generated_code import check_drift, check_stamps
    from paycli.doctor.service import check_port, check_store
    from paycli.toolchain.workspace import default_out

    protos, code = tuple(roots or [Path("proto")]), out or default_out()
    checks = (
        Check("python", check_interpreter),
        Check("packages", check_packages),
        Check("includes", check_includes, needs="packages"),
        Check("generated", lambda: check_drift(protos, code), needs="packages"),
        Check("runtime", lambda: check_stamps(code)),
        Check("port", lambda: check_port(port), needs="packages"),
        Check("store", lambda: check_store(store)),
        Check("apt_pkg", check_apt_pkg),
    )
    found = _look(checks, fix=fix, report=None if json else _print)
    failed = any(finding.verdict == "fail" for finding in found.values())
    if json:
        output.document({"verdict": "fail" if failed else "ok", "checks": _as_list(found)})
    raise typer.Exit(1 if failed else 0)


def _look(
    checks: tuple[Check, ...], *, fix: bool, report: Callable[[str, Finding], None] | None
) -> dict[str, Finding]:
    found: dict[str, Finding] = {}
    for name, look, needs in checks:
        if needs and found[needs].verdict == "fail":
            continue
        finding = look()
        if finding is not None and finding.repair is not None and fix:
            output.progress(f"{name}: {finding.message} {finding.repair.what}")
            try:
                finding.repair.do()
            except PaycliError as problem:
                output.error(problem, as_json=False)
            finding = look()
        if finding is not None:
            found[name] = finding
            if report is not None:
                report(name, finding)
    return found


def _print(name: str, finding: Finding) -> None:
    output.result(f"{_MARKS[finding.verdict]}  {name}: {finding.message}")
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
