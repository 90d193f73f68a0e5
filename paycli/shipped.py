"""What comes with paycli beside its code."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).parent


def shipped(name: str) -> Path:
    """Such as `configs`: in a wheel it lies inside the package, in a checkout beside it."""
    inside = _PACKAGE / "data" / name
    return inside if inside.exists() else _PACKAGE.parent / name


def pages() -> dict[str, Path]:
    """The documentation: each page by its name, the README first."""
    return {
        "readme": shipped("README.md"),
        **{path.stem: path for path in sorted(shipped("docs").glob("*.md"))},
    }
