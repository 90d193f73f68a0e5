"""Where a suite's methods are known from: protos at hand, the contracts of paycli, the target itself."""

from __future__ import annotations

from collections.abc import Callable

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from paycli.client.calls import service_names
from paycli.client.schema import Schema
from paycli.documents import nearest
from paycli.errors import InputError, RemoteError

_ELSE = "name its protos with -I, or a --target that tells of it by reflection"


class Contracts:
    """Services by their full names. The target is asked only for what nobody else knows."""

    def __init__(
        self, local: Schema | None = None, reflected: Callable[[], Schema] | None = None
    ) -> None:
        """`local` goes before what paycli brings; `reflected` asks the target, each time."""
        self._local = local
        self._reflected = reflected
        self._told: Schema | None = None

    @property
    def asks_target(self) -> bool:
        """Whether a service that is not known here may still be one of the target's."""
        return self._reflected is not None

    def method(self, name: str) -> MethodDescriptor:
        """The method `package.Service/Method`. Raises ValueError."""
        service_name, slash, method_name = name.rpartition("/")
        if not slash:
            raise ValueError(f"'{name}' is not a method; write package.Service/Method.")
        service = self._service(service_name)
        found: MethodDescriptor | None = service.methods_by_name.get(method_name)
        if found is None:
            known = ", ".join(service.methods_by_name)
            raise ValueError(f"{service_name} has no method '{method_name}'; it has {known}.")
        return found

    def why_unknown(self, service: str) -> str:
        """Why nobody knows of a service; "" if somebody does."""
        try:
            self._service(service)
        except ValueError as problem:
            return str(problem)
        return ""

    def _service(self, name: str) -> ServiceDescriptor:
        if self._local is not None and name in self._local.services:
            return self._local.service(name)
        if name in service_names():
            return descriptor_pool.Default().FindServiceByName(name)
        if self._reflected is None:
            known = [*service_names(), *(self._local.services if self._local else ())]
            raise ValueError(f"no known service is called '{name}'; {_hint(name, known)}")
        try:
            self._told = self._told or self._reflected()
            return self._told.service(name)
        except (RemoteError, InputError) as problem:
            raise ValueError(f"'{name}' is not known here, and {_lower(problem)}") from problem


def _hint(name: str, known: list[str]) -> str:
    close = nearest(name, known)
    return close if close.startswith("did you mean") else f"{_ELSE}; {close}"


def _lower(problem: Exception) -> str:
    text = str(problem)
    return f"{text[:1].lower()}{text[1:]}"
