"""Generated code: is it what the protos say, and does the installed runtime take it?"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from paycli.doctor.checks import Finding, Verdict, ok
from paycli.errors import InputError
from paycli.storage.records import Repair
from paycli.toolchain.gen.generate import bring_up_to_date, generate
from paycli.toolchain.gen.out_folder import Drift, default_out
from paycli.toolchain.gen.runtime_skew import (
    demanded_versions,
    find_declared_skews,
    find_installed_skews,
)
from paycli.toolchain.protos.workspace import find_workspace

_STAMPED: Final = ("*_pb2.py", "*_pb2_grpc.py")


def check_drift(roots: Sequence[Path], out: Path) -> Finding | None:
    """Whether the code in `out` is current; None where there are no protos."""
    if not any(root.is_dir() for root in roots):
        return None
    try:
        workspace = find_workspace(roots, ())
        drift = generate(workspace, out).drift
    except InputError as problem:
        # What is wrong and what to do stands in the sentence; gen would only say it again.
        return Finding(Verdict.FAIL, str(problem).splitlines()[0])
    if drift.empty:
        return ok(f"The code in {out} is what the protos say.")
    command = _gen(roots, out)
    by_hand = (*drift.edited, *drift.kept, *drift.foreign)
    if by_hand:
        return Finding(
            Verdict.FAIL,
            f"{out / by_hand[0]}{_and_more(by_hand)} was not left as gen wrote it; "
            "gen replaces what it makes, so move your changes first.",
            command,
        )
    return Finding(
        Verdict.FAIL,
        f"The code in {out} is not current: {_describe(drift)}.",
        command,
        Repair(f"Compiling the protos into {out}.", lambda: bring_up_to_date(workspace, out)),
    )


def check_stamps(out: Path) -> Finding | None:
    """Whether the installed and the declared runtimes take the code; None where there is none."""
    paths = [path for pattern in _STAMPED for path in sorted(out.rglob(pattern))]
    if not paths:
        return None
    try:
        demanded = demanded_versions(path.read_text(encoding="utf-8") for path in paths)
        too_old = find_installed_skews(demanded)
        allowed = find_declared_skews(demanded, out)
    except (OSError, UnicodeDecodeError) as problem:
        return Finding(Verdict.FAIL, f"The code in {out} cannot be read: {problem}.")
    except InputError as problem:
        return Finding(Verdict.FAIL, str(problem))
    if too_old:
        command = f"pip install '{too_old[0].requirement}'"
        return Finding(Verdict.FAIL, str(too_old[0]), command)
    if allowed:
        return Finding(Verdict.WARN, str(allowed[0]))
    listed = " and ".join(f"{package}>={version}" for package, version in demanded.items())
    return ok(f"The code in {out} takes {listed or 'any runtime'}.")


def _gen(roots: Sequence[Path], out: Path) -> str:
    command = ["paycli", "gen"]
    for root in roots:
        command += [] if root == Path("proto") and len(roots) == 1 else ["-I", str(root)]
    command += [] if out == default_out() else ["--out", str(out)]
    return shlex.join(command)


def _describe(drift: Drift) -> str:
    named = [f"{what} {names[0]}{_and_more(names)}" for what, names in drift.named() if names]
    return ", ".join(named) or "a run was interrupted"


def _and_more(names: Sequence[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""
