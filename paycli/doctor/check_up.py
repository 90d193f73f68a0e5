"""The check-up: which checks there are, in which order, and what becomes of their repairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from paycli.doctor.checks import Check, Finding, Verdict
from paycli.doctor.environment import (
    check_apt_pkg,
    check_includes,
    check_interpreter,
    check_packages,
)
from paycli.doctor.generated_code import check_drift, check_stamps
from paycli.doctor.service import check_port, check_store
from paycli.doctor.transports import check_transport


def all_checks(
    protos: Sequence[Path], out: Path, port: int, store_url: str, *, measured: bool = False
) -> list[Check]:
    """All that paycli needs: to compile the protos into `out`, and to serve.

    What transports cost is `measured` only when asked for: it takes seconds.
    """
    return [
        Check("python", check_interpreter),
        Check("packages", check_packages),
        Check("includes", check_includes, needs="packages"),
        Check("generated", partial(check_drift, protos, out), needs="packages"),
        Check("runtime", partial(check_stamps, out)),
        Check("port", partial(check_port, port), needs="packages"),
        Check("store", partial(check_store, store_url)),
        Check("transport", partial(check_transport, measured=measured)),
        Check("apt_pkg", check_apt_pkg),
    ]


def check_up(
    checks: Sequence[Check], repair: Callable[[str, Finding], None] | None = None
) -> Iterator[tuple[str, Finding]]:
    """What the checks find, by their names.

    `repair` does what a finding that can be repaired proposes; then the check looks again.
    """
    failed = set()
    for name, look, needs in checks:
        if needs in failed:
            continue
        finding = look()
        if finding is not None and finding.repair is not None and repair is not None:
            repair(name, finding)
            finding = look()
        if finding is None:
            continue
        if finding.verdict is Verdict.FAIL:
            failed.add(name)
        yield name, finding
