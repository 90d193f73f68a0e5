"""Prometheus metrics of a store and its committer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, Histogram

from paycli.payments.store import Health

_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class CommitMetrics:
    """A `payments.store.CommitObserver`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._depth = Gauge(
            "paycli_commit_queue_depth", "Commands that wait for a commit.", registry=registry
        )
        self._sizes = Histogram(
            "paycli_commit_batch_size",
            "Commands that shared a commit.",
            buckets=_SIZES,
            registry=registry,
        )
        self._seconds = Histogram(
            "paycli_commit_seconds",
            "Time until a batch was on disk.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._serving = Gauge(
            "paycli_store_serving", "1 while the store takes writes, else 0.", registry=registry
        )
        self._serving.set(1)

    def opened(self, waiting: Callable[[], int]) -> None:
        """See `payments.store.CommitObserver.opened`."""
        self._depth.set_function(waiting)

    def committed(self, commands: int, seconds: float) -> None:
        """See `payments.store.CommitObserver.committed`."""
        self._sizes.observe(commands)
        self._seconds.observe(seconds)

    def health(self, health: Health) -> None:
        """The store is now so."""
        self._serving.set(health is Health.SERVING)
