"""Calls that move money, made again while that is safe and may help."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import TypeVar

import grpc

from paycli.client.charges import Charge, Paid, send
from paycli.client.offers import takes_batches
from paycli.client.retries import RETRYABLE, Patience, retry_after_s
from paycli.errors import NotTaken, OutcomeUnknown, PaycliError

_Answer = TypeVar("_Answer")


class Persistence:
    """For how long a call that got no answer, or that the service did not take, is made again."""

    def __init__(self, channel: grpc.Channel, timeout_s: float, retry_s: float) -> None:
        """`timeout_s` bounds each call; without `retry_s` each is made once."""
        self._channel = channel
        self._timeout_s = timeout_s
        self._retry_s = retry_s
        self._never = Event()
        self._has_keys = False

    def send(self, charge: Charge) -> Paid:
        """Send a charge. Raises what `charges.send` does.

        What came of it is unknown: then it is sent again only where the service has the rich contract,
        which knows each payment by its key. The seed contract alone promises nothing of the kind.
        """
        return self.until_answered(
            lambda: send(self._channel, charge, self._timeout_s),
            has_key=lambda: charge.is_manual or self._knows_keys(),
        )

    def until_answered(
        self, attempt: Callable[[], _Answer], *, has_key: Callable[[], bool] = lambda: True
    ) -> _Answer:
        """What `attempt` returns in the end; `has_key` says whether it can be repeated and done once.

        No error undoes that an earlier attempt may have been carried out.
        """
        patience = Patience(self._retry_s, self._never)
        unknown: OutcomeUnknown | None = None
        while True:
            try:
                return attempt()
            except PaycliError as problem:
                unknown = problem if isinstance(problem, OutcomeUnknown) else unknown
                may_help, asked_s = _another_try(problem)
                is_safe = unknown is None or has_key()
                if not (self._retry_s and may_help and is_safe and patience.wait(asked_s)):
                    if unknown is not None and problem is not unknown:
                        raise unknown from unknown.__cause__
                    raise

    def _knows_keys(self) -> bool:
        if not self._has_keys:
            try:
                self._has_keys = takes_batches(
                    self._channel, self._timeout_s, self._retry_s, self._never
                )
            except PaycliError:
                return False
        return self._has_keys


def _another_try(problem: PaycliError) -> tuple[bool, float]:
    """Whether it may help, and after how many seconds the service wants to be asked again."""
    call = problem.__cause__
    if not isinstance(call, grpc.RpcError):
        return False, 0.0
    may_help = isinstance(problem, NotTaken) or call.code() in RETRYABLE
    return may_help, retry_after_s(call)
