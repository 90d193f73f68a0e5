"""`paycli serve --chaos` and `paycli proxy --chaos`: faults on demand, said loudly."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from paycli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from paycli.chaos.dice import Dice
    from paycli.chaos.plan import Rule
    from paycli.chaos.relay import Relay
    from paycli.host.app import App, Control, OpenApp
    from paycli.host.interceptors import Interceptor
    from paycli.host.lifecycle import Front

Chaos = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Faults on purpose, for those who test clients; loopback."),
]


class Faults(NamedTuple):
    """What a chaos file brings into a server: its rules and dice, and what can break connections if it has to."""

    rules: Sequence[Rule]
    dice: Dice
    relay: Relay
    front: Front | None


def faults_of(file: Path, host: str, port: int, say: Callable[[str], None]) -> Faults:
    """The faults of a file, announced: whoever looks at a server must not take them for others'.

    Raises InputError for a mistake in the file, or a host that others can reach.
    """
    from paycli.addresses import is_loopback
    from paycli.chaos.dice import Dice
    from paycli.chaos.plan import Kind, read_plan
    from paycli.chaos.relay import Relay

    if not is_loopback(host):
        raise InputError(f"--chaos breaks calls on purpose, and {host} lets in others' calls.")
    plan = read_plan(file)
    dice, relay = Dice(plan), Relay()
    say(f"CHAOS: calls fail here on purpose, as {file} says (seed {dice.seed}):")
    for number, rule in enumerate(plan.rules, 1):
        say(f"  {number}. {rule}")
    breaks = any(rule.kind is Kind.DROP for rule in plan.rules)
    return Faults(plan.rules, dice, relay, partial(relay.before, host, port) if breaks else None)


def with_faults(
    file: Path | None, host: str, port: int, say: Callable[[str], None], open_app: OpenApp
) -> tuple[Sequence[Interceptor], Front | None, OpenApp]:
    """What does them to the calls of a server, what stands before it, and the app.

    It raises DocumentError when a fault is for none of its methods.
    """
    if file is None:
        return (), None, open_app
    from paycli.chaos.injection import injected

    faults = faults_of(file, host, port, say)
    does = injected(faults.dice, faults.relay.drop)
    return (does,), faults.front, partial(_open_checked, faults.rules, open_app)


@asynccontextmanager
async def _open_checked(
    rules: Sequence[Rule], open_app: OpenApp, control: Control
) -> AsyncIterator[App]:
    from paycli.chaos.plan import refuse_idle
    from paycli.host.app import Recorder

    async with open_app(control) as app:
        recorder: Any = Recorder()
        for service in app.services:
            service.add_to(recorder)
        told_of = {each.split("/")[1] for each in recorder.methods}
        if told_of >= set(recorder.services):
            refuse_idle(rules, recorder.methods)
        yield app
