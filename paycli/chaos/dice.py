"""Which call meets which fault: by the plan, and by dice that fall alike for a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from paycli.chaos.plan import Kind, Plan, Rule, Subject


class Fault(NamedTuple):
    """What one call meets. `seconds` is for kinds that have a time; `rule` is whose it is, from 1."""

    kind: Kind
    seconds: float
    rule: int


class _Die:
    """A rule, and how often it has matched and been done."""

    def __init__(self, rule: Rule, number: int, seed: int) -> None:
        self.rule = rule
        self._number = number
        self._seed = seed
        self._matched = 0
        self._done = 0

    def throw(self) -> Fault | None:
        """For the next call that matches."""
        self._matched += 1
        # Of its own for each call, so that calls that end otherwise change nothing for the next.
        chance = random.Random(f"{self._seed} {self._number} {self._matched}")  # noqa: S311 - to be foreseen
        if self._matched <= self.rule.after or self._done >= self.rule.times:
            return None
        if chance.random() >= self.rule.probability:
            return None
        self._done += 1
        return Fault(self.rule.kind, chance.uniform(*self.rule.span), self._number)


class Dice:
    """All rules of a plan."""

    def __init__(self, plan: Plan) -> None:
        self.seed = plan.seed if plan.seed is not None else random.SystemRandom().randrange(10**6)
        about = (rule for rule in plan.rules if rule.is_about_requests)
        self.first_about_requests = next(about, None)
        self._dice = [_Die(rule, n, self.seed) for n, rule in enumerate(plan.rules, 1)]

    def for_method(self, method: str, kinds: Sequence[Kind]) -> Throw | None:
        """What decides for calls of a method that these kinds can be done to; None if nothing ever can."""
        dice = [each for each in self._dice if each.rule.is_for(method) and each.rule.kind in kinds]
        return Throw(dice) if dice else None


class Throw:
    """What decides for the calls of one method."""

    def __init__(self, dice: Sequence[_Die]) -> None:
        self._dice = dice
        self.is_about_requests = any(each.rule.is_about_requests for each in dice)

    def __call__(self, subjects: Callable[[], Sequence[Subject]]) -> Fault | None:
        """The fault of the next call, whose request is about these."""
        found = subjects() if self.is_about_requests else ()
        for die in self._dice:
            if not die.rule.is_about_requests or any(map(die.rule.matches, found)):
                fault = die.throw()
                if fault is not None:
                    return fault
        return None
