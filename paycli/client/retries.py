"""When to send again: exponential with jitter, never sooner than the service asks, until a time is up."""

from __future__ import annotations

import random
import time
from threading import Event
from typing import TYPE_CHECKING, Any, Final

import grpc
from grpc import StatusCode

from paycli.client.failures import status_details
from paycli.wire_names import RETRY_PUSHBACK

if TYPE_CHECKING:
    from google.rpc import status_pb2

# Another try may tell more, where it does no harm: of what has a key, or only reads.
RETRYABLE: Final = (
    *(StatusCode.CANCELLED, StatusCode.UNKNOWN, StatusCode.DEADLINE_EXCEEDED, StatusCode.ABORTED),
    *(StatusCode.RESOURCE_EXHAUSTED, StatusCode.INTERNAL, StatusCode.UNAVAILABLE),
)
_FIRST_S: Final = 0.1
_LONGEST_S: Final = 5.0


class Patience:
    """Of one request: how long it has been tried again, and for how long it may be."""

    def __init__(self, seconds: float, stop: Event) -> None:
        """`stop` ends every wait at once."""
        self._until = time.monotonic() + seconds
        self._stop = stop
        self._pause_s = _FIRST_S

    def wait(self, asked_s: float = 0.0) -> bool:
        """Wait before the next try; False when there is to be none."""
        # Those who failed together must not come back together.
        pause_s = max(asked_s, self._pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
        self._pause_s = min(2 * self._pause_s, _LONGEST_S)
        if time.monotonic() + pause_s > self._until:
            return False
        return not self._stop.wait(pause_s)


def retry_after_s(call: grpc.RpcError) -> float:
    """How long a call that failed asks to be left alone: RetryInfo, or gRFC A6's pushback; 0 if it does not."""
    trailing: Any = call.trailing_metadata() or ()
    asked = dict(trailing).get(RETRY_PUSHBACK, "")
    if isinstance(asked, str) and asked.isdecimal():
        return int(asked) / 1000
    status = status_details(call)
    return retry_delay_s(status) if status is not None else 0.0


def retry_delay_s(status: status_pb2.Status) -> float:
    """The RetryInfo of a status, in seconds; 0 without."""
    from google.rpc import error_details_pb2

    info: Any = error_details_pb2.RetryInfo()
    for each in status.details:
        if each.Unpack(info):
            return float(max(info.retry_delay.ToTimedelta().total_seconds(), 0.0))
    return 0.0
