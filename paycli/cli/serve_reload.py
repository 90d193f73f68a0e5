"""`paycli serve --reload`: the same command again and again, each time that its sources change."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from paycli.cli import output
from paycli.errors import PaycliError
from paycli.host.ports import free_port
from paycli.host.reload import Reloader


def serve_and_reload(host: str, port: int) -> int:
    """Serve until a signal; returns the exit code of the last server. Port 0 is picked once."""
    own = [each for each in sys.argv[1:] if each != "--reload"]
    port = port or free_port(host)
    command = [sys.executable, "-m", "paycli", *own, "--port", str(port)]
    return Reloader(command, _generate, output.progress).run(Path())


def _generate(changed: Sequence[str]) -> bool:
    """Bring the code of protos up to date, where gen made it; False if they are wrong."""
    from paycli.toolchain.gen.manifest import MANIFEST
    from paycli.toolchain.gen.out_folder import default_out
    from paycli.toolchain.gen.run import Job, bring

    out = default_out()
    if not any(name.endswith(".proto") for name in changed) or not (out / MANIFEST).exists():
        return True
    try:
        done = bring(Job((Path("proto"),), (), out))
    except PaycliError as problem:
        output.error(problem, as_json=False)
        return False
    output.progress(f"{output.counted(done.changed, 'file')} in {out} changed.")
    return True
