"""How often Python looks for garbage: seldom, and never in what was loaded to stay."""

from __future__ import annotations

import gc
from typing import Final

# Loading makes some ten thousand objects that stay, and looking at them again and again is a tenth
# of a short command. A long one is still collected.
_SELDOM: Final = 100_000
# A call that fails is garbage that only a search finds, with its request of some MiB: not much seldomer
# than Python's own 700 then. Of the calls in flight a search finds nothing; it took a tenth of the time.
_SERVING: Final = 2_000


def seldom() -> None:
    """For a command that loads, does one thing, and ends."""
    gc.set_threshold(_SELDOM)


def serving() -> None:
    """For a server that has loaded what it needs."""
    gc.freeze()
    gc.set_threshold(_SERVING)
