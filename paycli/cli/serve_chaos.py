"""`paycli serve --chaos` and `paycli proxy --chaos`: faults on demand, said loudly."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from paycli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from paycli.chaos.dice import Dice
    from paycli.chaos.relay import Relay
    from paycli.host.interceptors import Interceptor
    from paycli.host.lifecycle import Front

Chaos = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Faults on purpose, for those who test clients; loopback."),
]


class Faults(NamedTuple):
    """What a chaos file brings into a server: its dice, and what can break connections if it has to."""

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
    return Faults(dice, relay, partial(relay.before, host, port) if breaks else None)


def with_faults(
    file: Path | None, host: str, port: int, say: Callable[[str], None]
) -> tuple[Sequence[Interceptor], Front | None]:
    """What does them to the calls of a server, and what stands before it."""
    if file is None:
        return (), None
    from paycli.chaos.injection import injected

    faults = faults_of(file, host, port, say)
    return (injected(faults.dice, faults.relay.drop),), faults.front
