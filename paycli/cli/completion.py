"""What a shell offers where a value is typed: looked up for a moment, and in silence."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from paycli.shipped import pages as shipped_pages
from paycli.shipped import shipped

if TYPE_CHECKING:
    from paycli.client.schema import Schema

_ASKED_S: Final = 1.0
_OFFERED_MAX: Final = 200  # payments, newest first
# Shells evaluate what is offered, and a server may say anything.
_CUT: Final = re.compile("[:=]+")
_HARMLESS: Final = re.compile(r"[A-Za-z0-9_./@%+-]+")


def currencies() -> list[str]:
    """ISO 4217."""
    from paycli.payments.currencies import EXPONENTS

    return sorted(EXPONENTS)


def payments(context: typer.Context) -> list[str]:
    """Ids of the newest payments that the service knows."""
    return _of_payments(context, "payment_id")


def to_settle(context: typer.Context) -> list[str]:
    """Files of rows whose outcome is unknown, and the newest orders."""
    files = sorted(map(str, Path().glob("*.unknown.ndjson")))
    return _harmless(files) + _of_payments(context, "order_id")


def fixtures(incomplete: str) -> list[str]:
    """Beside files, which the shell finds itself, the word that is a command there."""
    if not incomplete or not "settle".startswith(incomplete):
        return []
    return ["settle", *_harmless(sorted(map(str, Path().glob(f"{incomplete}*"))))]


def suites(context: typer.Context) -> list[str]:
    """Those of the project, other files here, and in their place the words that are commands."""
    from paycli.errors import InputError
    from paycli.scenarios.locate import suite_names, suite_paths

    try:
        found = suite_paths()
    except InputError:
        found = []
    commands = () if context.args or context.params.get("suites") else ("import", "record")
    return _harmless(map(str, [*commands, *suite_names(), *found, *sorted(Path().glob("*.yaml"))]))


def tags(context: typer.Context) -> list[str]:
    """Of the suites that are named, or else of those that would run."""
    from paycli.scenarios.locate import suite_paths
    from paycli.scenarios.suite import read_suite

    # What follows an option that still has no value is not parsed.
    named = [Path(each) for each in (*context.args, *(context.params.get("suites") or ()))]
    read = map(read_suite, [each for each in named if each.is_file()] or suite_paths())
    found = (suite.tags.union(*(step.tags for step in suite.all_steps)) for suite in read)
    return _harmless(sorted(set().union(*found)))


def pages() -> list[str]:
    """Of the documentation."""
    return list(shipped_pages())


def methods(context: typer.Context) -> list[str]:
    """`package.Service/Method`, and Method alone."""

    def names(schema: Schema) -> list[str]:
        from paycli.client.schema import path_of

        found = schema.methods()
        return [*map(path_of, found), *(each.name for each in found)]

    return _of_schema(context, names)


def symbols(context: typer.Context) -> list[str]:
    """Services, their methods, and messages."""

    def names(schema: Schema) -> list[str]:
        from paycli.client.schema import path_of

        return [*schema.services, *map(path_of, schema.methods()), *schema.messages()]

    return _of_schema(context, names)


def messages(context: typer.Context) -> list[str]:
    """Messages by their full names."""

    def names(schema: Schema) -> list[str]:
        schema.methods()  # asks a server for all files
        return schema.messages()

    return _of_schema(context, names)


def rejoin(environment: MutableMapping[str, str]) -> None:
    """Put together what bash takes apart at each : and =, such as HOST:PORT."""
    pieces = environment.get("COMP_WORDS", "").split("\n")
    if len(pieces) == 1:
        return
    words, at = [pieces[0]], int(environment["COMP_CWORD"])
    for before, piece in pairwise(pieces[: at + 1]):
        is_cut = piece and (_CUT.fullmatch(piece) or _CUT.fullmatch(before))
        if is_cut and len(words) > 1:
            words[-1] += piece
        else:
            words.append(piece)
    environment["COMP_WORDS"] = "\n".join(words)
    environment["COMP_CWORD"] = str(len(words) - 1)


def _of_payments(context: typer.Context, field: str) -> list[str]:
    from paycli.cli.service import typed
    from paycli.client.payments import Payments, Wanted
    from paycli.errors import PaycliError

    service = typed(context)._replace(timeout_s=_ASKED_S, wait_s=0.0)
    with suppress(PaycliError, _TooLong), _bounded(), service.connect() as channel:
        found = islice(Payments(channel, _ASKED_S).find(Wanted()), _OFFERED_MAX)
        return _harmless(dict.fromkeys(str(each[field] or "") for each in found))
    return []


def _of_schema(context: typer.Context, names: Callable[[Schema], list[str]]) -> list[str]:
    """From what is at hand, else the server that is named, else our contracts."""
    from paycli.cli import schemas
    from paycli.cli.service import typed
    from paycli.client.schema import schema_of_server
    from paycli.errors import PaycliError

    given: dict[str, Any] = context.params
    roots = [Path(each) for each in given.get("roots") or ()]
    if local := schemas.local_schema(roots, given.get("descriptor_set")):
        return _harmless(names(local))
    if given.get("target"):
        service = typed(context)._replace(timeout_s=_ASKED_S, wait_s=0.0)
        with suppress(PaycliError, _TooLong), _bounded(), service.connect() as channel:
            return _harmless(names(schema_of_server(channel, _ASKED_S)))
    ours = schemas.local_schema([shipped("proto")], None)
    assert ours is not None
    return _harmless(names(ours))


class _TooLong(BaseException):  # no handler of errors takes it for one
    pass


@contextmanager
def _bounded() -> Iterator[None]:
    """Somebody waits at a prompt. Raises _TooLong, whatever it is that takes so long."""

    def end(*_: object) -> None:
        raise _TooLong

    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, _ASKED_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _harmless(words: Iterable[str]) -> list[str]:
    return [each for each in words if _HARMLESS.fullmatch(each)]
