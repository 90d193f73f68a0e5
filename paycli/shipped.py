"""What comes with paycli beside its code."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).parent


def shipped(folder: str) -> Path:
    """Such as `configs`: in a wheel it lies inside the package, in a checkout beside it."""
    inside = _PACKAGE / "data" / folder
    return inside if inside.is_dir() else _PACKAGE.parent / folder
