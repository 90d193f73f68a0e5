"""Lines of a log, as text for people. One is made in some microseconds."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from paycli.host.observation.calls import request_id

Fields = Mapping[str, Any]
MakeLine = Callable[[], str]


class Lines(Protocol):
    """How a line is written."""

    def line(self, seconds: float, level: str, logger: str, message: str, fields: Fields) -> str:
        """The line of a moment (as of `time.time`)."""
        ...

    def format(self, record: logging.LogRecord) -> str:
        """That of a log record, with its traceback."""
        ...


class TextLines(logging.Formatter):
    """Time, level and message, the fields as key=value; a traceback takes lines of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._clock = Clock("%Y-%m-%d %H:%M:%S", time.localtime)

    def line(
        self,
        seconds: float,
        level: str,
        logger: str,  # noqa: ARG002 - says nothing to people
        message: str,
        fields: Fields,
    ) -> str:
        """See `Lines.line`."""
        words = "".join([f" {key}={value}" for key, value in fields.items()])
        if not _is_plain(words, blanks=len(fields)):
            words = "".join([f" {key}={_word(value)}" for key, value in fields.items()])
        begin, milliseconds = self._clock(seconds)
        return f"{begin},{milliseconds} {level} {message}{words}"

    def format(self, record: logging.LogRecord) -> str:
        """See `Lines.format`."""
        said = (record.created, record.levelname, record.name, record.getMessage())
        line = self.line(*said, fields_of_call())
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class Clock:
    """Moments as text and milliseconds; the text stays the same for a second."""

    def __init__(self, form: str, zone: Callable[[float], time.struct_time]) -> None:
        self._form = form
        self._zone = zone
        self._last = (-1, "")

    def __call__(self, seconds: float) -> tuple[str, str]:
        whole = int(seconds)
        last, text = self._last
        if last != whole:
            text = time.strftime(self._form, self._zone(whole))
            self._last = whole, text
        return text, f"{int((seconds - whole) * 1000):03}"


def fields_of_call() -> dict[str, str]:
    """What a line says of the call that it comes from."""
    of_call = request_id()
    return {"request_id": of_call} if of_call else {}


def _word(value: object) -> str:
    """A value that ends at the next blank, and never ends the line."""
    text = str(value)
    if text and _is_plain(text, blanks=0):
        return text
    import json  # start-up time: few words need it

    return json.dumps(text)


def _is_plain(text: str, *, blanks: int) -> bool:
    """Whether it has nothing to escape; all words of a line are looked at as cheaply as one."""
    return text.isprintable() and '"' not in text and text.count(" ") == blanks
