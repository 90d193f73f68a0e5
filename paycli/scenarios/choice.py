"""Which steps of suites run: those that somebody asks for, and those that they need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from paycli.errors import InputError
from paycli.scenarios.steps import Step, calls_of
from paycli.scenarios.suite import Suite


def choose(suites: Sequence[Suite], words: Sequence[str]) -> list[Suite]:
    """Suites with the steps that have one of the words in `suite: step`, or as a tag.

    What they take from earlier steps comes with them, and so do setup and teardown. Raises InputError
    when no step has a word.
    """
    if not words:
        return list(suites)
    chosen = [replace(suite, steps=_chosen(suite, words)) for suite in suites]
    for word in words:
        if not any(_has(suite, step, word) for suite in suites for step in suite.steps):
            raise InputError(f"-k {word}: no step and no tag is called so; --list shows them all.")
    return [suite for suite in chosen if suite.steps]


def _chosen(suite: Suite, words: Sequence[str]) -> tuple[Step, ...]:
    wanted: set[str] = set()
    for step in reversed(suite.steps):
        if step.name in wanted or any(_has(suite, step, word) for word in words):
            wanted |= {step.name, *_needs(step)}
    return tuple(step for step in suite.steps if step.name in wanted)


def _has(suite: Suite, step: Step, word: str) -> bool:
    return word.lower() in f"{suite.name}: {step.name}".lower() or word in step.tags | suite.tags


def _needs(step: Step) -> set[str]:
    needs = {reference.step for call in calls_of(step) for reference in call.needs}
    return needs | {step.unless.step} if step.unless.step else needs
