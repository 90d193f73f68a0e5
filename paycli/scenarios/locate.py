"""Where the suites are: those of the project one stands in, and the ones shipped with paycli."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from paycli.documents import nearest
from paycli.errors import InputError
from paycli.shipped import shipped


def suite_paths(given: Sequence[Path] = ()) -> list[Path]:
    """The files that are meant: `money` is the suite of that name, if no file is called so.

    Without any, all of the project, else the shipped ones. Raises InputError.
    """
    if given:
        return [_meant(each) for each in given]
    for paths in _known():
        if paths:
            return paths
    raise InputError("There are no suites in configs/smoke. Name one: 'paycli smoke SUITE.yaml'.")


def suite_names() -> list[str]:
    """Those of the project and the shipped ones, without the numbers that order them."""
    return sorted({_name(each) for paths in _known() for each in paths})


def _known() -> list[list[Path]]:
    folders = (Path("configs/smoke"), shipped("configs") / "smoke")
    return [sorted(folder.glob("*.yaml")) for folder in folders]


def _meant(given: Path) -> Path:
    if given.suffix or len(given.parts) > 1 or given.exists():
        return given
    for paths in _known():
        for each in paths:
            if given.name in (each.stem, _name(each)):
                return each
    hint = nearest(given.name, suite_names())
    raise InputError(f"No file and no suite is called '{given.name}'; {hint}")


def _name(path: Path) -> str:
    return re.sub("^[0-9]+-", "", path.stem)
