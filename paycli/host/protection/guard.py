"""What keeps calls out: a check before the request of a call is read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from paycli.errors import PaymentError
from paycli.host.interceptors import Context, Method
from paycli.host.statuses import abort

Check = Callable[[Context], PaymentError | None]


def guarded(method: Method, check: Check) -> Method:
    """The method behind a check: a call that it has a refusal for ends with that.

    The requests of a stream are read when the method asks for them.
    """
    behaviour = method.behaviour
    read = (None if method.request_streaming else method.read) or _as_it_is

    async def single(request: Any, context: Context) -> Any:
        if (refusal := check(context)) is not None:
            await abort(context, refusal)
        return await behaviour(read(request), context)

    async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
        if (refusal := check(context)) is not None:
            await abort(context, refusal)
        async with aclosing(behaviour(read(request), context)) as responses:
            async for response in responses:
                yield response

    return method._replace(
        behaviour=stream if method.yields else single,
        read=method.read if method.request_streaming else None,
    )


def _as_it_is(request: Any) -> Any:
    return request
