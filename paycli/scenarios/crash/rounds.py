"""Rounds of a proof by crash: pay under load, kill -9, start again, and ask for every payment again.

Half of the payments go through a proxy that breaks connections after the work is done, so that answers
get lost while the server lives, too. All chance comes from one seed.
"""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

import grpc

from paycli.client.channel import connect
from paycli.client.charges import Charge, send
from paycli.client.health import wait_until_serving
from paycli.client.payments import SERVICE, Payments, Wanted
from paycli.errors import OutcomeUnknown, PaycliError, RemoteError, Retry
from paycli.payments.currencies import EXPONENTS
from paycli.scenarios.crash.command import Command
from paycli.scenarios.crash.history import Answer, Broken, Check, History
from paycli.scenarios.own_process import endings_wait, start
from paycli.scenarios.own_server import PAYCLI, own_environment, wait_for_port
from paycli.scenarios.target import Target, missing

_WORKERS: Final = 8
_SENT_MAX: Final = 2_000  # of a round
_TIMEOUT_S: Final = 2.0
_FIRST_ANSWER_S: Final = 10.0
_PATIENCE_S: Final = 15.0  # of all that is asked for again after a start
_PAUSE_S: Final = 0.05
_EARLIER: Final = 500  # payments of rounds before that are asked for, too
_DROPPED: Final = 0.02
_CURRENCIES: Final = ("EUR", "JPY", "KWD", "CLF")  # of 2, 0, 3 and 4 digits
_OF_V1: Final = (Check.READS, Check.LIST, Check.BOOKS)


class Round(NamedTuple):
    """What came of a round. `lacks` says why some checks could not be made; "" if all were."""

    number: int
    sent: int
    acknowledged: int
    killed_after_s: float
    broken: Sequence[Broken]
    lacks: str
    log: Sequence[str]
    history: History

    def problems(self, check: Check) -> list[str]:
        """What is wrong, a sentence a payment."""
        found = (each for each in self.broken if each.check is check)
        return [f"{each.key}: {each.said}" if each.key else each.said for each in found]

    def is_made(self, check: Check) -> bool:
        """Whether the server offers what the check needs."""
        return not self.lacks or check not in _OF_V1


class Crash:
    """A server that is to be killed, and what it was asked so far."""

    def __init__(self, command: Command, seed: int, folder: Path, stack: ExitStack) -> None:
        """Started, with a proxy before it; the stack stops both. Raises StartError."""
        self._command = command
        self._seed = seed
        self._run = secrets.token_hex(4)  # a store that lives on knows the payments of runs before
        self._lock = threading.Lock()
        self._history = History()
        self._last_problem = ""
        stack.callback(command.stop)
        command.start()
        self._proxy = _proxy(command.target, seed, folder, stack)
        with connect(command.target, _TIMEOUT_S) as channel:
            self._lacks = missing(SERVICE, Target(channel, _TIMEOUT_S, command.target, str))

    def round(self, number: int) -> Round:
        """Raises StartError when the server does not come up again, Unreachable and CheckFailed if it then goes."""
        chance = _chance(self._seed, number)
        history = self._history
        earlier, answered, broken = list(history.sent), len(history.answers), len(history.broken)
        killed_after_s = self._load(number, chance.uniform(0.05, 1.0))
        acknowledged = len(history.answers) - answered
        keys = list(history.sent)[len(earlier) :]
        if acknowledged:
            self._command.start()
            self._again(keys)
            self._again([*keys, *chance.sample(earlier, min(len(earlier), _EARLIER))])
            if not self._lacks:
                self._audit(number, keys)
        else:
            said = f"none of {len(keys):,} payments got an answer: {self._last_problem}"
            history.broken.append(Broken(Check.ANSWERS, "", said))
        return Round(
            number,
            len(keys),
            acknowledged,
            killed_after_s,
            history.broken[broken:],
            self._lacks,
            self._command.last_lines() if len(history.broken) > broken else (),
            history,
        )

    def _load(self, number: int, kill_after_s: float) -> float:
        """Pay until the server is killed, so long after its first answer."""
        history = self._history
        numbers, stop, answered = count(1), threading.Event(), threading.Event()

        def pay(channel: grpc.Channel) -> None:
            payments = Payments(channel, _TIMEOUT_S)
            while not stop.is_set() and (n := next(numbers)) <= _SENT_MAX:
                charge = charge_of(self._run, self._seed, number, n)
                with self._lock:
                    history.sent[charge.idempotency_key] = charge
                try:
                    paid = send(channel, charge, _TIMEOUT_S)
                except PaycliError as problem:
                    self._last_problem = str(problem)
                    continue  # it is asked for again after the start
                with self._lock:
                    history.heard(charge.idempotency_key, Answer(paid.payment_id, paid.status))
                answered.set()
                if not self._lacks:
                    self._read(payments, charge.idempotency_key)

        # It waits between its tries to reach a server that was gone.
        wait_until_serving(self._proxy, "", _PATIENCE_S)
        with ExitStack() as stack:
            channels = [
                stack.enter_context(connect(target, _TIMEOUT_S))
                for target in (self._command.target, self._proxy)
            ]
            pool = stack.enter_context(ThreadPoolExecutor(_WORKERS))
            stack.callback(stop.set)
            for each in range(_WORKERS):
                pool.submit(pay, channels[each % len(channels)])
            answered.wait(_FIRST_ANSWER_S)
            began = time.monotonic()
            time.sleep(kill_after_s)
            self._command.kill()
            return time.monotonic() - began

    def _again(self, keys: Iterable[str]) -> None:
        """Ask for payments once more; the first answer of each is the one for ever."""
        history = self._history
        until = time.monotonic() + _PATIENCE_S

        def ask(channel: grpc.Channel, key: str) -> None:
            while True:
                try:
                    paid = send(channel, history.sent[key], _TIMEOUT_S)
                except PaycliError as problem:
                    is_final = problem.retry is Retry.NO and not isinstance(problem, OutcomeUnknown)
                    if is_final or time.monotonic() > until:
                        with self._lock:
                            history.unanswered(key, str(problem))
                        return
                    time.sleep(_PAUSE_S)
                else:
                    with self._lock:
                        history.heard(key, Answer(paid.payment_id, paid.status))
                    return

        self._at_once(ask, keys)

    def _read(self, payments: Payments, key: str) -> None:
        """A payment that was acknowledged; no answer is no proof."""
        history = self._history
        try:
            record = payments.get(history.answers[key].payment_id)
        except RemoteError as problem:
            if problem.status != "NOT_FOUND":
                return
            record = None
        except PaycliError:
            return
        with self._lock:
            history.read(key, record)

    def _audit(self, number: int, keys: Sequence[str]) -> None:
        history, customer = self._history, customer_of(self._run, number)
        with connect(self._command.target, _TIMEOUT_S) as channel:
            payments = Payments(channel, _PATIENCE_S)
            try:
                listed = list(payments.find(Wanted(customer_id=customer)))
                account = f"customer/{customer}"
                balance, postings = payments.balance(account), payments.postings(account=account)
                history.listed(keys, listed)
                history.booked(listed, balance, list(postings))
            except PaycliError as problem:
                said = f"it cannot be looked at: {problem}"
                history.broken.append(Broken(Check.LIST, "", said))

        def read(channel: grpc.Channel, key: str) -> None:
            self._read(Payments(channel, _TIMEOUT_S), key)

        self._at_once(read, [key for key in keys if key in history.answers])

    def _at_once(self, work: Callable[[grpc.Channel, str], None], keys: Iterable[str]) -> None:
        with connect(self._command.target, _TIMEOUT_S) as channel:
            pool = ThreadPoolExecutor(_WORKERS)
            try:
                for _ in pool.map(lambda key: work(channel, key), keys):
                    pass
            finally:  # an interrupt waits for none of them
                pool.shutdown(wait=False, cancel_futures=True)


def charge_of(run: str, seed: int, number: int, n: int) -> Charge:
    """The payment `n` of a round; its amount is the same for the same seed."""
    chance = _chance(seed, number, n)
    currency = chance.choice(_CURRENCIES)
    key = f"{customer_of(run, number)}-{n}"
    amount = chance.randrange(1, 1000 * 10 ** EXPONENTS[currency])
    return Charge(key, amount, currency, customer_of(run, number), key, key)


def _chance(*of: int) -> random.Random:
    return random.Random("/".join(map(str, of)))  # noqa: S311 - the same again is what it is for


def customer_of(run: str, number: int) -> str:
    """Who pays in a round."""
    return f"crash-{run}-{number}"


def _proxy(target: str, seed: int, folder: Path, stack: ExitStack) -> str:
    """A proxy before it that loses answers after the work; where it listens."""
    faults, port_file, log = folder / "faults.yaml", folder / "proxy-port", folder / "proxy-log"
    faults.write_text(
        f"seed: {seed}\nfaults:\n  - {{do: drop, method: ProcessPayment, probability: {_DROPPED}}}\n",
        encoding="utf-8",
    )
    words = [*PAYCLI, "proxy", "--to", target, "--chaos", str(faults), "--port", "0"]
    with endings_wait():
        process = start([*words, "--port-file", str(port_file)], log, stack, own_environment())
    return f"localhost:{wait_for_port(process, port_file, log)}"
