"""Run suites against a service, step by step, and say what came of each."""

from __future__ import annotations

import os
from collections import ChainMap
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from paycli.client.schema import path_of
from paycli.errors import CheckFailed, OutcomeUnknown
from paycli.scenarios.calling import Answers, NotSent, call_at_once, call_until, requests_of, shown
from paycli.scenarios.paying import pay
from paycli.scenarios.problems import Problem, Words, of_call
from paycli.scenarios.record import Record, Verdict
from paycli.scenarios.references import Reference
from paycli.scenarios.secret_names import is_secret
from paycli.scenarios.steps import FixtureStep, ManyStep, Step, calls_of
from paycli.scenarios.suite import Suite
from paycli.scenarios.target import Gone, Target, missing

_LISTED_MAX: Final = 5


class _FirstFailure(Exception):
    """A step failed, and none is to come after it."""


def run_suites(
    suites: Iterable[Suite],
    target: Target,
    record: Record,
    *,
    strict: bool = False,
    fail_fast: bool = False,
) -> None:
    """Run every step of every suite in order; a failed step does not stop the ones after it.

    What cannot run any more since the target is gone, or is not to run after a failure (`fail_fast`), is
    recorded as an error. Raises CheckFailed or Refused when the health service does not say what the
    target offers.
    """
    try:
        for suite in suites:
            lacks = suite.unknown
            if suite.requires is not None and not lacks:
                lacks = missing(suite.requires, target)
            if lacks and strict:
                reason = f"not run: {lacks}, and --strict forbids skips"
                _not_run(suite, suite.all_steps, Verdict.ERROR, reason, record)
            elif lacks:
                _not_run(suite, suite.all_steps, Verdict.SKIPPED, lacks, record)
            else:
                _Run(suite, target, record, strict=strict, fail_fast=fail_fast).run()
    except _FirstFailure as ended:
        record.finish(str(ended))
    except Gone as ended:
        record.finish(str(ended))


def _not_run(
    suite: Suite, steps: Sequence[Step], verdict: Verdict, reason: str, record: Record
) -> None:
    if steps:
        record.add([suite.result(step, verdict, reason=reason) for step in steps])


class _Run:
    """The run of one suite, and the answers so far."""

    def __init__(
        self, suite: Suite, target: Target, record: Record, *, strict: bool, fail_fast: bool
    ) -> None:
        self._suite = suite
        self._target = target
        self._record = record
        self._strict = strict
        self._fail_fast = fail_fast
        self._answers: dict[str, dict[str, Any]] = {}
        self._verdicts: dict[str, Verdict] = {}
        self._lacks: dict[str, str] = {}  # by service

    def run(self) -> None:
        """The setup, then the steps unless it failed, and the teardown whatever happened."""
        is_there = True
        setup = len(self._suite.setup)
        first = (*self._suite.setup, *self._suite.steps)
        try:
            for number, step in enumerate(first, 1):
                if self._passes(step):
                    continue
                if self._fail_fast:
                    raise _FirstFailure(f"--fail-fast, after '{step.name}' failed")
                if number <= setup:
                    reason = f"not run: '{step.name}' of the setup failed"
                    _not_run(self._suite, first[number:], Verdict.ERROR, reason, self._record)
                    break
        except Gone:
            is_there = False
            raise
        finally:
            if is_there:
                for step in self._suite.teardown:
                    self._passes(step)

    def _passes(self, step: Step) -> bool:
        """Run it and note what came of it. Raises Gone, and OutcomeUnknown at an interrupt.

        One that is skipped passes, unless skips are forbidden.
        """
        skipped = self._why_skipped(step)
        if skipped:
            verdict = Verdict.ERROR if self._strict else Verdict.SKIPPED
            self._verdicts[step.name] = verdict
            reason = f"not run: {skipped}, and --strict forbids skips" if self._strict else skipped
            self._record.add([self._suite.result(step, verdict, reason=reason)])
            return not self._strict
        started_s = self._record.elapsed_s()
        result = replace(self._suite.result(step, Verdict.PASSED), started_s=started_s)
        gone: Gone | None = None
        try:
            problems = self._problems(step)
        except Gone as ended:
            gone, problems = ended, [*ended.problems, str(ended)]
        except OutcomeUnknown as lost:
            took_s = self._record.elapsed_s() - started_s
            result = replace(result, verdict=Verdict.ERROR, reason=str(lost), duration_s=took_s)
            # That nobody reads on makes it no better known.
            with suppress(BrokenPipeError, CheckFailed):
                self._record.add([result])
            raise
        except NotSent as problem:
            problems = []
            result = replace(result, verdict=Verdict.ERROR, reason=f"not sent: {problem}")
        result = replace(result, duration_s=self._record.elapsed_s() - started_s)
        if problems:
            result = result.failed(problems, self._again(step))
        self._verdicts[step.name] = result.verdict
        log: Sequence[str] = ()
        try:
            if problems:
                log = self._target.log_tail()
        finally:  # an interrupt while the log comes undoes no failure
            result = replace(result, log=tuple(log))
            self._record.add([result])
        if gone is not None:
            raise gone
        return result.verdict is Verdict.PASSED

    def _why_skipped(self, step: Step) -> str:
        """What a step is skipped for; "" if it is to run. Raises Gone and PaycliError."""
        unless = step.unless
        unset = next((each for each in unless.env if not os.environ.get(each)), None)
        if unset is not None:
            return f"the environment variable {unset} is not set"
        if unless.step and self._verdicts.get(unless.step) is not Verdict.PASSED:
            return f"'{unless.step}' did not pass"
        needed = {reference.step for call in calls_of(step) for reference in call.needs}
        for name in sorted(needed):
            if self._verdicts.get(name) is Verdict.SKIPPED:
                return f"'{name}' was skipped"
        if not unless.service:
            return ""
        if unless.service not in self._lacks:
            self._lacks[unless.service] = missing(unless.service, self._target)
        return self._lacks[unless.service]

    def _again(self, step: Step) -> str:
        """The command line that makes the call of a step once more; of many, the first."""
        if isinstance(step, FixtureStep):
            return self._target.command("pay", str(step.fixture.path))
        call = calls_of(step)[0]
        try:
            requests, metadata = requests_of(call, self._answers)
        except NotSent:
            return ""
        words = ["call", path_of(call.method), shown(call.method, requests)]
        for key, value in metadata:
            # A report is read by many.
            words += ["-H", f"{key}: {'***' if is_secret(key) else value}"]
        return self._target.command(*words)

    def _problems(self, step: Step) -> list[str]:
        if isinstance(step, FixtureStep):
            return pay(step, self._target)
        if isinstance(step, ManyStep):
            return self._many(step)
        (call,) = calls_of(step)
        return call_until(call, self._target, self._answers)

    def _many(self, step: ManyStep) -> list[str]:
        each_with = [ChainMap[str, dict[str, Any]]({}, self._answers) for _ in step.calls]
        if step.is_parallel:
            problems = call_at_once(step.calls, self._target, each_with)
        else:
            called = zip(step.calls, each_with, strict=True)
            problems = [call_until(call, self._target, answers) for call, answers in called]
        told = [of_call(each, n) for n, found in enumerate(problems, 1) for each in found]
        answered = [each for each in each_with if step.name in each.maps[0]]
        if answered:
            self._answers[step.name] = answered[-1][step.name]
        if step.successes not in (None, len(answered)):
            told.append(f"expected {step.successes} to succeed, and {len(answered)} did")
        for reference in step.same:
            values = {_value_of(reference, answers) for answers in answered}
            if len(values) > 1:
                got = Words(_listed(sorted(values)))
                told.append(Problem(reference.path, Words("the same from all"), got))
        return told


def _value_of(reference: Reference, answers: Answers) -> str:
    try:
        return reference.value(answers)
    except LookupError:
        return "nothing"


def _listed(values: Sequence[str]) -> str:
    more = len(values) - _LISTED_MAX
    return ", ".join(values[:_LISTED_MAX]) + (f" and {more} more" if more > 0 else "")
