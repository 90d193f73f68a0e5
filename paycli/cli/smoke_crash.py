"""`paycli smoke --crash`: whether a server keeps its word when it is killed under load."""

from __future__ import annotations

import shlex
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from paycli.addresses import is_loopback
from paycli.cli import output
from paycli.errors import CheckFailed, InputError, StartError, Unreachable

if TYPE_CHECKING:
    from paycli.scenarios.crash.history import Check
    from paycli.scenarios.crash.rounds import Round
    from paycli.scenarios.record import Record, StepResult

_SUITE: Final = "crash"
ROUNDS: Final = 5


class Given(NamedTuple):
    """How it is to be done; `command` None: to the payment engine."""

    command: str | None
    target: str | None
    rounds: int
    seed: int | None


def refuse(others: Mapping[str, object], *, is_crash: bool) -> None:
    """Options that say nothing with, or without, --crash. Raises InputError."""
    if given := [name for name, value in others.items() if value]:
        how = "with" if is_crash else "without"
        raise InputError(f"{', '.join(given)}: that means nothing {how} --crash.")


def prove(given: Given, record: Record, stack: ExitStack, *, as_json: bool) -> None:
    """All rounds, and all payments once more after them. Raises StartError for one that never starts."""
    import secrets

    from paycli.scenarios.crash.command import Command
    from paycli.scenarios.crash.history import Check
    from paycli.scenarios.crash.rounds import Crash
    from paycli.scenarios.own_process import temporary_folder

    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    steps = _Steps(record, _again(given, seed))
    rounds = range(1, given.rounds + 1)
    record.begin([steps.planned(n, check) for n in rounds for check in Check])
    output.progress(f"The seed is {seed}.")
    folder = stack.enter_context(temporary_folder())
    command = Command(given.command, _port(given.target), folder)
    crash = Crash(command, seed, folder, stack)
    for number in rounds:
        try:
            found = crash.round(number)
        except (StartError, Unreachable, CheckFailed) as problem:
            steps.fail(number, Check.ANSWERS, [str(problem)], command.last_lines())
            return record.finish("the server did not come up again")
        steps.tell(found)
        _say(found, steps.again, as_json=as_json)
        if not found.acknowledged:
            return record.finish("the server answers no payment")
    return None


class _Steps:
    """The checks of each round as steps."""

    def __init__(self, record: Record, again: str) -> None:
        self.again = again
        self._record = record
        self._began = record.elapsed_s()

    def planned(self, number: int, check: Check) -> StepResult:
        """One that has no verdict yet."""
        from paycli.scenarios.record import StepResult, Verdict

        return StepResult(_SUITE, f"round {number}: {check}", f"crash:{number}", Verdict.ERROR)

    def tell(self, found: Round) -> None:
        """What came of a round."""
        from paycli.scenarios.crash.history import Check
        from paycli.scenarios.record import Verdict

        for check in Check:
            problems = found.problems(check)
            if problems:
                self.fail(found.number, check, problems, found.log)
                continue
            verdict = Verdict.PASSED if found.is_made(check) else Verdict.SKIPPED
            reason = "" if verdict is Verdict.PASSED else found.lacks
            self._add(replace(self._timed(found.number, check), verdict=verdict, reason=reason))

    def fail(self, number: int, check: Check, problems: Sequence[str], log: Sequence[str]) -> None:
        """One that the server does not pass."""
        self._add(replace(self._timed(number, check).failed(problems, self.again), log=tuple(log)))

    def _timed(self, number: int, check: Check) -> StepResult:
        began, self._began = self._began, self._record.elapsed_s()
        return replace(self.planned(number, check), started_s=began, duration_s=self._began - began)

    def _add(self, result: StepResult) -> None:
        self._record.add([result])


def _say(found: Round, again: str, *, as_json: bool) -> None:
    from paycli.scenarios.crash.suite import suite_of

    output.progress(
        f"Round {found.number}: {found.sent:,} payments sent and {found.acknowledged:,} acknowledged, "
        f"killed {found.killed_after_s:.2f} s after the first answer."
    )
    if not (suite := suite_of(found, again)):
        return
    if as_json:
        output.document({"round": found.number, "suite_yaml": suite})
    else:
        output.result(suite.rstrip("\n"))


def _again(given: Given, seed: int) -> str:
    words = ["paycli", "smoke", "--crash"]
    if given.command is not None:
        words += ["--command", given.command]
    if given.target is not None:
        words += ["--target", given.target]
    return shlex.join([*words, "--rounds", str(given.rounds), "--seed", str(seed)])


def _port(target: str | None) -> int:
    """Where the command is to listen: as it is said, or any port that is free. Raises InputError."""
    if target is None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            return int(free.getsockname()[1])
    host, _, port = target.rpartition(":")
    if not is_loopback(host.strip("[]")) or not port.isdecimal():
        raise InputError(
            f"--target {target}: with --crash it says where the command listens on this machine, such as "
            "localhost:50051."
        )
    return int(port)
