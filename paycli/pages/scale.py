"""Numbers to places in a drawing."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """From the first value, at 0 %, to the last, at 100 %."""

    first: float
    last: float

    def ticks(self, most: int) -> list[float]:
        """Round numbers between both, at most so many."""
        rough = (self.last - self.first) / most
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * each for each in (1, 2, 5, 10) if power * each >= rough)
        begin, end = math.ceil(self.first / step), math.floor(self.last / step + 1e-9)
        digits = max(0, -math.floor(math.log10(step)))
        return [round(number * step, digits) for number in range(begin, end + 1)]

    def percent(self, value: float) -> float:
        """Where a value lies; what is outside lies on the edge."""
        share = (value - self.first) / (self.last - self.first)
        return 100 * min(1.0, max(0.0, share))
