"""The interceptor that refuses calls at once when the server has as many as it can do well.

A call that would wait long is better told so while its caller can still do something else. Beyond what
even a refusal costs, grpc's core itself ends calls (CANCELLED), before Python sees them.
"""

from __future__ import annotations

from paycli.errors import Overloaded
from paycli.host.calls_in_flight import CallsInFlight
from paycli.host.interceptors import Context, Interceptor, Method
from paycli.host.protection.guard import guarded

# Whoever watches over the server asks most when it is busy.
_ALWAYS = ("/grpc.health.v1.Health/", "/grpc.channelz.")


def admitted(calls: CallsInFlight, limit: int) -> Interceptor:
    """Refuse a call when more than `limit` are in flight, itself among them, before it is read.

    Streams have a limit of their own, as high: they may stay for ever, and must keep nobody out.
    """

    def around(method: Method) -> Method:
        if method.name.startswith(_ALWAYS):
            return method
        streams = method.response_streaming

        def check(_: Context) -> Overloaded | None:
            if (calls.streams if streams else calls.count) > limit:
                return _refusal(limit, streams=streams)
            return None

        return guarded(method, check)

    return around


def _refusal(limit: int, *, streams: bool) -> Overloaded:
    what = "streams" if streams else "calls"
    return Overloaded(f"The server has {limit} {what} in flight; try again shortly.")
