"""The interceptor that asks each call for a token with the right scope, before its request is read."""

from __future__ import annotations

import re
from typing import Final

from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import MethodOptions

from paycli.errors import PaymentError, PermissionDenied, Unauthenticated
from paycli.host.interceptors import Context, Interceptor, Method
from paycli.host.observation.calls import note
from paycli.host.protection.guard import guarded
from paycli.host.protection.scopes import Scope
from paycli.host.protection.tokens import Tokens

_HEADER: Final = "authorization"
_BEARER: Final = "bearer "
# Whoever only asks whether the server lives, as load balancers do, has no token.
_OPEN: Final = "/grpc.health.v1.Health/"
_ADMIN: Final = "/grpc.channelz."
_READING: Final = re.compile(r"(Get|List|Watch|Search|BatchGet)([A-Z0-9]|$)")  # AIP-131, 132, 231


def authorized(tokens: Tokens) -> Interceptor:
    """Let a call through that has a token of the file with the scope of its method."""

    def around(method: Method) -> Method:
        scope = scope_of(method.name)
        if scope is None:
            return method

        def check(context: Context) -> PaymentError | None:
            try:
                note(caller=_caller(context, tokens, scope, method.name))
            except PaymentError as refusal:
                return refusal
            return None

        return guarded(method, check)  # strangers get nothing read

    return around


def scope_of(method: str) -> Scope | None:
    """The scope that a method, by its path, asks for; None for none.

    What its proto says of side effects counts, else an AIP's name for what reads; all others write.
    """
    if method.startswith(_OPEN):
        return None
    if method.startswith(_ADMIN):
        return Scope.ADMIN
    if method.startswith("/grpc.reflection."):
        return Scope.READ
    service, _, name = method.removeprefix("/").partition("/")
    level = _idempotency_level(service, name)
    if level == MethodOptions.IDEMPOTENCY_UNKNOWN:
        return Scope.READ if _READING.match(name) else Scope.WRITE
    return Scope.READ if level == MethodOptions.NO_SIDE_EFFECTS else Scope.WRITE


def _idempotency_level(service: str, name: str) -> int:
    try:
        found = descriptor_pool.Default().FindMethodByName(f"{service}.{name}")
    except KeyError:
        return MethodOptions.IDEMPOTENCY_UNKNOWN
    level: int = found.GetOptions().idempotency_level
    return level


def _caller(context: Context, tokens: Tokens, scope: Scope, method: str) -> str:
    given = [str(value) for key, value in context.invocation_metadata() or () if key == _HEADER]
    if len(given) != 1 or not given[0].lower().startswith(_BEARER):
        raise Unauthenticated("The call has no token; send one as 'authorization: Bearer TOKEN'.")
    token = tokens.find(given[0][len(_BEARER) :].strip())
    if token is None:
        raise Unauthenticated("The token of the call is nobody's.", reason="TOKEN_UNKNOWN")
    if scope not in token.scopes:
        raise PermissionDenied(
            f"The token of {token.name} has no scope {scope}, which {method} needs.",
            metadata={"scope": scope, "method": method},
        )
    return token.name
