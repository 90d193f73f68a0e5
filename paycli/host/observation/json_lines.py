"""Lines of a log, as JSON for machines. One is made in some microseconds."""

from __future__ import annotations

import json
import logging
import time
from json.encoder import encode_basestring_ascii
from typing import Final

from paycli.host.observation.log_lines import Clock, Fields, fields_of_call

_encode: Final = json.JSONEncoder(default=str).encode


class JsonLines(logging.Formatter):
    """One JSON object a line, ASCII: time (RFC 3339, UTC), level, logger, message and the fields."""

    def __init__(self) -> None:
        super().__init__()
        self._clock = Clock("%Y-%m-%dT%H:%M:%S", time.gmtime)

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
        fields = fields_of_call()
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        said = (record.created, record.levelname, record.name, record.getMessage())
        return self.line(*said, fields)


def _json(value: object) -> str:
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    return repr(value) if type(value) in (int, float) else _encode(value)
