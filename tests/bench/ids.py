"""Order ids and keys for the load: one after another, or random.

Sequential ones touch the pages of an index that the last ones touched; random ones, which is what most
callers send, touch a page of their own each.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from typing import Final

NewId = Callable[[int], str]  # from the number of the payment in its run


def sequential() -> NewId:
    """Ids that count, and no two runs share."""
    run = os.urandom(4).hex()
    return lambda number: f"{run}-{number:09}"


def random() -> NewId:
    """Random UUIDs."""
    return lambda _: str(uuid.uuid4())


KINDS: Final[dict[str, Callable[[], NewId]]] = {"sequential": sequential, "random": random}
