"""Lines of a log: as text for people, or as JSON for machines. One is made in some microseconds."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring_ascii
from typing import Any, Final, Protocol

from paycli.host.observation.calls import request_id

_encode: Final = json.JSONEncoder(default=str).encode

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
        self._clock = _Clock("%Y-%m-%d %H:%M:%S", time.localtime)

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
        line = self.line(*said, _of_call())
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonLines(logging.Formatter):
    """One JSON object a line, ASCII: time (RFC 3339, UTC), level, logger, message and the fields."""

    def __init__(self) -> None:
        super().__init__()
        self._clock = _Clock("%Y-%m-%dT%H:%M:%S", time.gmtime)

    def line(self, seconds: float, level: str, logger: str, message: str, fields: Fields) -> str:
        """See `Lines.line`."""
        begin, milliseconds = self._clock(seconds)
        words = [f', "{key}": {_json(value)}' for key, value in fields.items()]
        return (
            f'{{"time": "{begin}.{milliseconds}Z", "level": "{level}", "logger": {_encode(logger)}, '
            f'"message": {_encode(message)}{"".join(words)}}}'
        )

    def format(self, record: logging.LogRecord) -> str:
        """See `Lines.format`."""
        fields = _of_call()
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        said = (record.created, record.levelname, record.name, record.getMessage())
        return self.line(*said, fields)


class _Clock:
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


def _of_call() -> dict[str, str]:
    """What a line says of the call that it comes from."""
    of_call = request_id()
    return {"request_id": of_call} if of_call else {}


def _word(value: object) -> str:
    """A value that ends at the next blank, and never ends the line."""
    text = str(value)
    return text if text and _is_plain(text, blanks=0) else _encode(text)


def _is_plain(text: str, *, blanks: int) -> bool:
    """Whether it has nothing to escape; all words of a line are looked at as cheaply as one."""
    return text.isprintable() and '"' not in text and text.count(" ") == blanks


def _json(value: object) -> str:
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    return repr(value) if type(value) in (int, float) else _encode(value)
