"""The end of a process that does not come to its end: code of others may keep it for ever."""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final, Self

from paycli.errors import PaycliError

_OURS: Final = Path(__file__).parents[2]
_INSTALLED: Final = "site-packages"
_SAY_S: Final = 0.5  # a log is written by a thread of its own


class LastResort:
    """Once armed, ends the process after `drain_s` and a grace, and says what kept it.

    Armed at a stop, and by an error that ends its block, after which threads may go on all the same.
    """

    def __init__(self, say: Callable[[str], None], grace_s: float) -> None:
        self.drain_s = 0.0
        self._say = say
        self._grace_s = grace_s
        self._exit_code = 0
        self._armed = threading.Lock()
        self._armed.acquire()
        threading.Thread(target=self._wait, name="last resort", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, problem: BaseException | None, __: object) -> None:
        if isinstance(problem, PaycliError):
            self.arm(problem.exit_code)
        elif problem is None:
            for each in _threads():  # as Python does later, when nobody can tell of it any more
                each.join()

    def arm(self, exit_code: int = 1) -> None:
        """A stop has begun; handlers of signals may say so, too."""
        if not self._exit_code:
            self._exit_code = exit_code
            self._armed.release()

    def _wait(self) -> None:
        self._armed.acquire()
        time.sleep(self.drain_s + self._grace_s)
        self._say(f"The server does not come to its end, and is ended: {_what_goes_on()}.")
        time.sleep(_SAY_S)
        os._exit(self._exit_code)


def _threads() -> list[threading.Thread]:
    """Those that keep a process."""
    main = threading.main_thread()
    return [each for each in threading.enumerate() if each is not main and not each.daemon]


def _what_goes_on() -> str:
    frames = sys._current_frames()  # noqa: SLF001 - public, whatever its name
    if place := _place_in(frames.get(threading.main_thread().ident or 0)):
        return f"{place} goes on"
    for each in _threads():
        place = _place_in(frames.get(each.ident or 0)) or "code that is installed"
        return f"{place} goes on in the thread {each.name}, which is no daemon"
    return "what keeps it is no code of Python"


def _place_in(frame: FrameType | None) -> str:
    """The innermost line of somebody's own code; "" for none."""
    for each in reversed(traceback.extract_stack(frame) if frame is not None else ()):
        path = Path(each.filename)
        is_own = path.is_relative_to(Path.cwd()) and not path.is_relative_to(_OURS)
        if is_own and _INSTALLED not in path.parts:
            return f"{os.path.relpath(path)}:{each.lineno}"
    return ""
