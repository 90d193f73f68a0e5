"""The payments of a fixture as a step of a suite."""

from __future__ import annotations

import grpc

from paycli.client.charges import Paid, send, unknown
from paycli.client.fixture_payments import Expected, FixturePayment, Mistaken
from paycli.client.payments import Payments
from paycli.client.persistence import Persistence
from paycli.errors import PaycliError
from paycli.scenarios.problems import Problem, Words
from paycli.scenarios.steps import FixtureStep
from paycli.scenarios.target import Gone, Target, check_alive, ended_with


def pay(step: FixtureStep, target: Target) -> list[str]:
    """Pay a fixture; what is wrong, at most up to where the target went away."""
    problems: list[str] = []
    for payment in step.fixture.to_send():
        if isinstance(payment, Mistaken):  # it refers to a payment that got no answer
            problems += map(str, payment.problems)
            continue
        where = f"{payment.path.name}:{payment.line}"
        try:
            paid = send(target.channel, payment.charge, target.timeout_s)
        except KeyboardInterrupt as interrupt:
            raise unknown(payment.charge, "Interrupted before an answer came") from interrupt
        except PaycliError as failure:
            _keep(failure, where, target, problems)
            continue
        payment.answered(paid)
        if not payment.expect.is_met(paid):
            wanted, got = Words(str(payment.expect)), Words(str(Expected.of(paid)))
            problems.append(Problem(where, wanted, got))
        elif paid.succeeded:
            _follow_up(payment, paid, target, problems)
    return problems


def _follow_up(payment: FixturePayment, paid: Paid, target: Target, problems: list[str]) -> None:
    """Do what is to be done with it, as long as all goes well."""
    payments = Payments(target.channel, target.timeout_s)
    once = Persistence(target.channel, target.timeout_s, 0)
    for each in payment.then:
        try:
            done = each.carry_out(payments, paid, once)
        except KeyboardInterrupt as interrupt:
            raise each.unheard() from interrupt
        if done.problem is not None:
            where = f"{payment.path.name}:{each.line}: {each.action}"
            _keep(done.problem, where, target, problems)
            return


def _keep(failure: PaycliError, where: str, target: Target, problems: list[str]) -> None:
    """Add what is wrong. Raises Gone when nobody answers any more."""
    ended = failure.__cause__
    if not isinstance(ended, grpc.RpcError):
        problems.append(f"{where}: {failure}")
        return
    problems.append(f"{where}: {ended_with(ended, target)}")
    try:
        check_alive(target, ended)
    except Gone as gone:
        raise Gone(str(gone), problems) from ended
