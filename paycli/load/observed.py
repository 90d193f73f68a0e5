"""What a generator saw in one turn, and how those of several become one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from paycli.load.histogram import Histogram


@dataclass(slots=True)
class Bin:
    """A stretch of a turn: what ended in it, and the latencies of successes that were due in it."""

    ok: int = 0
    errors: int = 0
    latencies: Histogram = field(default_factory=Histogram)

    def merge(self, other: Bin) -> None:
        """Add what another generator saw meanwhile."""
        self.ok += other.ok
        self.errors += other.errors
        self.latencies.merge(other.latencies)


@dataclass(slots=True)
class Observed:
    """`seconds` are as long as the turn really was; `late` is how late calls were sent."""

    seconds: float
    bin_s: float
    bins: list[Bin]
    statuses: Counter[str] = field(default_factory=Counter)
    late: Histogram = field(default_factory=Histogram)
    cpu_shares: list[float] = field(default_factory=list)
    answer_bytes: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For the way from a generator to whoever started it."""
        return {
            "seconds": self.seconds,
            "bin_s": self.bin_s,
            "bins": [[each.ok, each.errors, dict(each.latencies.counts)] for each in self.bins],
            "statuses": dict(self.statuses),
            "late": dict(self.late.counts),
            "cpu_shares": self.cpu_shares,
            "answer_bytes": self.answer_bytes,
        }


def observed_of(document: Mapping[str, Any]) -> Observed:
    """What `as_dict` wrote, once it was JSON."""
    bins = [Bin(ok, errors, _histogram(counts)) for ok, errors, counts in document["bins"]]
    return Observed(
        document["seconds"],
        document["bin_s"],
        bins,
        Counter(document["statuses"]),
        _histogram(document["late"]),
        document["cpu_shares"],
        document["answer_bytes"],
    )


def _histogram(counts: Mapping[str, int]) -> Histogram:
    return Histogram({int(bucket): count for bucket, count in counts.items()})


def together(parts: Sequence[Observed]) -> Observed:
    """Of several generators in the same turn."""
    most = max(len(each.bins) for each in parts)
    whole = Observed(
        max(each.seconds for each in parts), parts[0].bin_s, [Bin() for _ in range(most)]
    )
    for each in parts:
        for mine, theirs in zip(whole.bins, each.bins, strict=False):
            mine.merge(theirs)
        whole.statuses.update(each.statuses)
        whole.late.merge(each.late)
        whole.cpu_shares += each.cpu_shares
        whole.answer_bytes = max(whole.answer_bytes, each.answer_bytes)
    return whole
