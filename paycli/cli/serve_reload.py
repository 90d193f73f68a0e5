"""`paycli serve --reload`: the same command again and again, each time that its sources change."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from paycli.cli import output
from paycli.errors import PaycliError
from paycli.host.processes.reload import Reloader
from paycli.host.transport.ports import free_port

# Loaded now: what is saved in this folder later may have the name of a module of Python's.
from paycli.toolchain.gen.manifest import MANIFEST
from paycli.toolchain.gen.out_folder import default_out
from paycli.toolchain.gen.run import Job, bring


def serve_and_reload(host: str, port: int, patience_s: float) -> int:
    """Serve until a signal; returns the exit code of the last server. Port 0 is picked once.

    A server that has not stopped after `patience_s` is killed.
    """
    command = [sys.executable, "-P", "-m", "paycli", "serve"]
    command += ["--port", str(port or free_port(host)), *_without_port(sys.argv[2:])]
    return Reloader(command, _generate, output.progress, patience_s).run(Path())


def _without_port(given: Sequence[str]) -> list[str]:
    """What was said on the command line but for --port and --reload, down to a `--`."""
    end = given.index("--") if "--" in given else len(given)
    kept: list[str] = []
    for number, each in enumerate(given[:end]):
        is_port = each == "--port" or each.startswith("--port=")
        is_its_value = number > 0 and given[number - 1] == "--port"
        if not (is_port or is_its_value or each == "--reload"):
            kept.append(each)
    return [*kept, *given[end:]]


def _generate(changed: Sequence[str]) -> list[str] | None:
    """Bring the code of protos up to date, where gen made it; the files written, None if it fails."""
    out = default_out()
    if not any(name.endswith(".proto") for name in changed) or not (out / MANIFEST).exists():
        return []
    try:
        done = bring(Job((Path("proto"),), (), out))
    except PaycliError as problem:
        output.error(problem, as_json=False)
        return None
    output.progress(f"{output.counted(done.changed, 'file')} in {out} changed.")
    return [(out / name).as_posix() for _, names in done.generated.drift.named() for name in names]
