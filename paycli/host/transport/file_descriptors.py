"""How many connections a process may have open."""

from __future__ import annotations

import resource
from typing import Final

_ENOUGH: Final = 65_536


def file_descriptors() -> int:
    """As many as the system lets us have, which is more than it gives to those who do not ask.

    The low limit is there for programs that use select(2).
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        return most
    return _ENOUGH if soft == resource.RLIM_INFINITY else soft
