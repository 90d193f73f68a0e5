"""Where the suites are: those of the project one stands in, else the ones shipped with paycli."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from paycli.errors import InputError

_PACKAGE: Final = Path(__file__).parent.parent


def suite_paths() -> list[Path]:
    """`configs/smoke/*.yaml` below the working directory, else the shipped ones."""
    own = Path("configs/smoke")
    # In a wheel the configs lie inside the package, in a checkout beside it.
    for folder in (own, _PACKAGE / "data/configs/smoke", _PACKAGE.parent / "configs/smoke"):
        paths = sorted(folder.glob("*.yaml"))
        if paths:
            return paths
    raise InputError("There are no suites in configs/smoke. Name one: 'paycli smoke SUITE.yaml'.")
