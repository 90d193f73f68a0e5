"""How often Python looks for garbage: seldom, and never in what was loaded to stay."""

from __future__ import annotations

import gc
from typing import Final

# Loading makes some ten thousand objects that stay, and looking at them again and again is a tenth
# of a short command. A long one is still collected.
_SELDOM: Final = 100_000
# More than the calls in flight of a busy server hold, so that they are not looked at each few calls,
# which was a sixth of its time; and few enough that garbage stays small and a look short.
_SERVING: Final = 50_000


def seldom() -> None:
    """For a command that loads, does one thing, and ends."""
    gc.set_threshold(_SELDOM)


def serving() -> None:
    """For a server that has loaded what it needs."""
    gc.freeze()
    gc.set_threshold(_SERVING)
