"""Rules about RPCs: their requests and responses, and streaming."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from google.protobuf.descriptor_pb2 import MethodDescriptorProto

from paycli.toolchain.lint.case import pascal_case
from paycli.toolchain.lint.elements import Elements
from paycli.toolchain.lint.rules import MODULES, STANDARD, UNARY_RPC
from paycli.toolchain.protos.descriptors import Method
from paycli.toolchain.rules.rule import Complaint, Complaints

_REQUEST: Final = MethodDescriptorProto.INPUT_TYPE_FIELD_NUMBER
_RESPONSE: Final = MethodDescriptorProto.OUTPUT_TYPE_FIELD_NUMBER
_EMPTY: Final = ".google.protobuf.Empty"
_NAMED: Final = 3  # of those that share a type; it may be hundreds


@MODULES.rule("RPC_REQUEST_STANDARD_NAME", *STANDARD)
def rpc_request_standard_name(module: Elements) -> Complaints:
    """The request of an RPC is named after it."""
    empty_allowed = module.settings.rpc_allow_google_protobuf_empty_requests
    for method in module.methods:
        type_name = method.proto.input_type
        if not (type_name == _EMPTY and empty_allowed):
            for complaint in _wrong_name(method, type_name, "Request"):
                yield Complaint(method.at(_REQUEST), complaint)


@MODULES.rule("RPC_RESPONSE_STANDARD_NAME", *STANDARD)
def rpc_response_standard_name(module: Elements) -> Complaints:
    """The response of an RPC is named after it."""
    empty_allowed = module.settings.rpc_allow_google_protobuf_empty_responses
    for method in module.methods:
        type_name = method.proto.output_type
        if not (type_name == _EMPTY and empty_allowed):
            for complaint in _wrong_name(method, type_name, "Response"):
                yield Complaint(method.at(_RESPONSE), complaint)


@MODULES.rule("RPC_REQUEST_RESPONSE_UNIQUE", *STANDARD)
def rpc_request_response_unique(module: Elements) -> Complaints:
    """Each RPC has a request and a response of its own, so that one can change without another."""
    settings = module.settings
    empty_requests = settings.rpc_allow_google_protobuf_empty_requests
    empty_responses = settings.rpc_allow_google_protobuf_empty_responses
    users: dict[str, list[Method]] = {}
    for method in module.methods:
        request, response = method.proto.input_type, method.proto.output_type
        users.setdefault(request, []).append(method)
        if request != response:
            users.setdefault(response, []).append(method)
        elif not settings.rpc_allow_same_request_response and not (
            request == _EMPTY and empty_requests and empty_responses
        ):
            yield Complaint(
                method.at(),
                f"RPC '{method.name}' has '{request[1:]}' as request and as response; "
                "give it one message for each.",
            )
    if empty_requests or empty_responses:
        of_empty = users.pop(_EMPTY, [])
        if not empty_requests:
            asking = [each for each in of_empty if each.proto.input_type == _EMPTY]
            yield from _shared(_EMPTY, asking, "the request")
        if not empty_responses:
            answering = [each for each in of_empty if each.proto.output_type == _EMPTY]
            yield from _shared(_EMPTY, answering, "the response")
    for type_name, methods in users.items():
        yield from _shared(type_name, methods, "request or response")


@MODULES.rule("RPC_NO_CLIENT_STREAMING", *UNARY_RPC)
def rpc_no_client_streaming(module: Elements) -> Complaints:
    """No RPC streams its requests."""
    for method in module.methods:
        if method.proto.client_streaming:
            yield Complaint(
                method.at(), f"RPC '{method.name}' streams requests; take a list in one request."
            )


@MODULES.rule("RPC_NO_SERVER_STREAMING", *UNARY_RPC)
def rpc_no_server_streaming(module: Elements) -> Complaints:
    """No RPC streams its responses."""
    for method in module.methods:
        if method.proto.server_streaming:
            yield Complaint(method.at(), f"RPC '{method.name}' streams responses; answer in pages.")


def _wrong_name(method: Method, type_name: str, suffix: str) -> list[str]:
    name = type_name.rpartition(".")[2]
    short = f"{pascal_case(method.name)}{suffix}"
    long = f"{pascal_case(method.service.name)}{short}"
    if name in {short, long}:
        return []
    which = suffix.lower()
    return [f"The {which} of RPC '{method.name}' is '{name}'; name it '{short}' or '{long}'."]


def _shared(type_name: str, methods: Sequence[Method], what: str) -> Complaints:
    if len(methods) > 1:
        for method in methods:
            others = [f"'{each.name}'" for each in methods[: _NAMED + 1] if each is not method]
            more = len(methods) - 1 - _NAMED
            listed = ", ".join(others[:_NAMED]) + (f" and {more} more" if more > 0 else "")
            yield Complaint(
                method.at(),
                f"RPC '{method.name}' has '{type_name[1:]}' as {what}, and so has {listed}; "
                "give each RPC its own.",
            )
