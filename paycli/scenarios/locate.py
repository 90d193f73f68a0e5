"""Where the suites are: those of the project one stands in, else the ones shipped with paycli."""

from __future__ import annotations

from pathlib import Path

from paycli.errors import InputError
from paycli.shipped import shipped


def suite_paths() -> list[Path]:
    """`configs/smoke/*.yaml` below the working directory, else the shipped ones."""
    for folder in (Path("configs/smoke"), shipped("configs") / "smoke"):
        paths = sorted(folder.glob("*.yaml"))
        if paths:
            return paths
    raise InputError("There are no suites in configs/smoke. Name one: 'paycli smoke SUITE.yaml'.")
