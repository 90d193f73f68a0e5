"""Log records as lines: as text for people, or as JSON for machines."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from typing import Any, Final

from paycli.host.call_log import FIELDS, request_id

_encode: Final = json.JSONEncoder(default=str).encode


class TextLines(logging.Formatter):
    """Time, level and message, the fields as key=value; a traceback takes lines of its own."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """As a formatter does, and the fields."""
        said = super().formatMessage(record)
        return " ".join(
            [said, *(f"{key}={_word(value)}" for key, value in _fields(record).items())]
        )


class JsonLines(logging.Formatter):
    """One JSON object a line, ASCII: time (RFC 3339, UTC), level, logger, message and the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The object."""
        line: dict[str, Any] = {
            "time": _rfc3339(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return _encode(line)


def _fields(record: logging.LogRecord) -> Mapping[str, object]:
    """Those of its own, or whose call it tells of."""
    fields: Mapping[str, object] | None = getattr(record, FIELDS, None)
    if fields is None:
        fields = {"request_id": of_call} if (of_call := request_id()) else {}
    return fields


def _word(value: object) -> str:
    """A value that ends at the next blank, and never ends the line."""
    text = str(value)
    plain = text.isprintable() and text and " " not in text and '"' not in text
    return text if plain else _encode(text)


def _rfc3339(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"
