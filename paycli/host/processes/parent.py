"""What a process does when the one that started it is gone."""

from __future__ import annotations

import ctypes
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None)  # loaded by now: between fork and exec a lock may be nobody's


def end_with_parent() -> None:
    """Get SIGTERM when whoever started this process is gone, even by kill -9. Linux alone can."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
