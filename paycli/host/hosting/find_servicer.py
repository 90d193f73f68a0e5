"""From `module:Servicer`, as a person writes it, to a servicer and the services that it offers.

A place names a class, an instance, or a function that makes one: plainly, as a coroutine, or as a
context manager, which is closed at the stop. The services are those of the generated classes that the
servicer extends.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Final, NamedTuple, NoReturn

from paycli.errors import InputError
from paycli.host.app import Recorder, Service

_HOW: Final = "write MODULE:SERVICER, as in payment_service:PaymentServiceImpl."
_EXTEND: Final = "name a class such as 'class Pay(payment_pb2_grpc.PaymentServiceServicer)'."


class Servicer(NamedTuple):
    """A servicer, where it was found, and the services that it offers."""

    place: str
    servicer: object
    services: tuple[Service, ...]


async def find_servicers(places: Sequence[str], stack: AsyncExitStack) -> list[Servicer]:
    """Find them from the working directory; what has to be closed at the end goes into `stack`.

    Raises InputError in one sentence: no module or name, a failure in the code there, no servicer, an
    rpc that is not implemented, a service that is offered twice.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    found: list[Servicer] = []
    seen: dict[str, str] = {}
    for place in places:
        servicer = await _make(place, _load(place), stack)
        services = tuple(_services_of(place, servicer))
        for service in services:
            if service.name in seen:
                raise InputError(
                    f"{service.name} is offered twice, by {seen[service.name]} and by {place}; "
                    "leave one out."
                )
            seen[service.name] = place
        found.append(Servicer(place, servicer, services))
    return found


def _load(place: str) -> object:
    """What the place names; a module alone names the one servicer class that is written in it."""
    module_name, _, path = place.partition(":")
    if not module_name or "/" in place or module_name.endswith(".py"):
        raise InputError(f"'{place}' names no servicer; {_HOW}")
    thing: object = _import(module_name)
    if not path:
        return _only_servicer(thing, module_name)
    for name in path.split("."):
        try:
            thing = getattr(thing, name)
        except AttributeError:
            raise InputError(_no_such_name(place, name, thing)) from None
        except BaseException as problem:  # noqa: BLE001 - whatever their code does
            _fail(f"{place} cannot be looked up", problem)
    return thing


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as problem:
        missing = problem.name or ""
        if name == missing or name.startswith(f"{missing}."):
            raise InputError(
                f"There is no module {missing} in {Path.cwd()} or among what is installed; {_HOW}"
            ) from None
        if missing.endswith(("_pb2", "_pb2_grpc")):
            raise InputError(_no_code(name, missing, problem)) from problem
        _fail(f"{name} fails on import", problem)
    except BaseException as problem:  # noqa: BLE001 - whatever their code does
        _fail(f"{name} fails on import", problem)


def _no_code(importer: str, missing: str, problem: ModuleNotFoundError) -> str:
    """Generated code that is not there, or is there under another name."""
    made = next(Path().glob(f"*/{missing.replace('.', '/')}.py"), None)
    hint = "make it with 'paycli gen'."
    if made is not None:
        hint = f"{made} has it: write 'from {made.parent} import {missing}'."
    return f"{importer} imports {missing}, which is not there ({_where(problem)}); {hint}"


def _only_servicer(module: object, name: str) -> object:
    servicers = [
        each
        for each in vars(module).values()
        if inspect.isclass(each) and each.__module__ == name and any(_generated_bases(each))
    ]
    if len(servicers) != 1:
        listed = " and ".join(sorted(each.__name__ for each in servicers)) or "none"
        raise InputError(f"{name} has to say which servicer: it has {listed}; {_HOW}")
    return servicers[0]


def _no_such_name(place: str, name: str, inside: object) -> str:
    from paycli.documents import nearest

    known = [each for each, thing in vars(inside).items() if _may_be_meant(each, thing)]
    hint = nearest(name, known) if known else "there is nothing that could be one."
    return f"{place.partition(':')[0]} has no {name}; {hint}"


def _may_be_meant(name: str, thing: object) -> bool:
    return not name.startswith("_") and (callable(thing) or any(_generated_bases(type(thing))))


async def _make(place: str, thing: object, stack: AsyncExitStack) -> object:
    """The servicer itself, of a class, a function that makes it, or a context manager around it."""
    if any(_generated_bases(type(thing))):
        return thing
    if not callable(thing) or isinstance(thing, ModuleType):
        raise InputError(f"{place} is no servicer and nothing that makes one; {_HOW}")
    if inspect.isclass(thing) and not any(_generated_bases(thing)):
        raise InputError(f"{place} extends no generated servicer; {_EXTEND}")
    _refuse_arguments(place, thing)
    try:
        made = thing()
        if inspect.isawaitable(made):
            made = await made
        if isinstance(made, AbstractAsyncContextManager):
            made = await stack.enter_async_context(made)
        elif isinstance(made, AbstractContextManager):
            made = stack.enter_context(made)
    except BaseException as problem:  # noqa: BLE001 - whatever their code does
        _fail(f"{place}() fails", problem)
    if not any(_generated_bases(type(made))):
        made_what = f"{place} makes a {type(made).__name__}, which"
        raise InputError(f"{made_what} extends no generated servicer; {_EXTEND}")
    return made


def _refuse_arguments(place: str, make: Callable[..., object]) -> None:
    if isinstance(make, type) and not any(map(_constructs, make.__mro__[:-1])):
        return  # start-up time: inspect takes a twentieth of it to say so
    try:
        inspect.signature(make).bind()
    except TypeError as problem:
        raise InputError(
            f"{place} cannot be made without arguments ({problem}); name a function that makes one."
        ) from None
    except ValueError:  # made in C: it says nothing of its arguments
        return


def _constructs(made: type) -> bool:
    return not vars(made).keys().isdisjoint(("__init__", "__new__"))


def _services_of(place: str, servicer: object) -> Iterator[Service]:
    for base, add_to_server in _generated_bases(type(servicer)):
        missing = [name for name in _rpcs(base) if _is_inherited(servicer, base, name)]
        if missing:
            raise InputError(
                f"{place} does not implement {', '.join(missing)} of {base.__name__}; add "
                f"{'it' if len(missing) == 1 else 'them'}."
            )
        name, *others = _names_of(place, servicer, add_to_server)
        yield Service(name, partial(add_to_server, servicer))
        yield from (Service(each, _added_already) for each in others)


def _generated_bases(made: type) -> Iterator[tuple[type, Callable[..., None]]]:
    """The generated servicers that a class extends, each with its `add_…_to_server`."""
    for base in made.__mro__:
        module = sys.modules.get(base.__module__)
        add_to_server = getattr(module, f"add_{base.__name__}_to_server", None)
        # Whoever extends it under its own name has the function too, imported.
        if callable(add_to_server) and add_to_server.__module__ == base.__module__:
            yield base, add_to_server


def _rpcs(base: type) -> list[str]:
    return [name for name, thing in vars(base).items() if inspect.isfunction(thing)]


def _is_inherited(servicer: object, base: type, name: str) -> bool:
    return getattr(getattr(servicer, name), "__func__", None) is vars(base)[name]


def _names_of(place: str, servicer: object, add_to_server: Callable[..., None]) -> list[str]:
    """Generated code adds one service; what is written by hand may add several."""
    recorder = Recorder()
    try:
        add_to_server(servicer, recorder)
    except BaseException as problem:  # noqa: BLE001 - whatever their code does
        _fail(f"{add_to_server.__name__} of {place} fails", problem)
    if not recorder.services:
        raise InputError(
            f"{add_to_server.__name__} of {place} adds no handler that says its service; "
            "make it with grpc.method_handlers_generic_handler, as generated code does."
        )
    return recorder.services


def _added_already(_: object) -> None:
    """What adds the second service of those that came by one function."""


def _fail(what: str, problem: BaseException) -> NoReturn:
    if isinstance(problem, KeyboardInterrupt) or _is_cancelled(problem):
        raise problem
    raise InputError(f"{what}: {told(problem)}.") from problem


def _is_cancelled(problem: BaseException) -> bool:
    """Whether it is we who are cancelled; their code may raise the same."""
    task = asyncio.current_task()
    cancelling = task is not None and task.cancelling() > 0
    return isinstance(problem, asyncio.CancelledError) and cancelling


def told(problem: BaseException) -> str:
    """What went wrong in code of theirs, and where."""
    said = " ".join(traceback.format_exception_only(problem)[-1].split())
    return f"{said} ({_where(problem)})"


def _where(problem: BaseException) -> str:
    """The last line of theirs that ran; the line itself for one that cannot be read."""
    if isinstance(problem, SyntaxError) and problem.filename:
        return f"{os.path.relpath(problem.filename)}:{problem.lineno}"
    frames = traceback.extract_tb(problem.__traceback__)
    theirs = [frame for frame in frames if Path(frame.filename).is_relative_to(Path.cwd())]
    last = (theirs or frames)[-1]
    name = os.path.relpath(last.filename) if theirs else last.filename
    return f"{name}:{last.lineno}"
