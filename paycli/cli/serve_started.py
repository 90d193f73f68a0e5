"""What there is to say of a server that has started."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Started(NamedTuple):
    """What there is to say of a server that takes calls."""

    places: Sequence[str]
    addresses: Sequence[str]
    services: Sequence[str]
