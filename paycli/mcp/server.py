"""The MCP server: tools, what a failure of one tells the agent, and stdin and stdout."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, InputRequiredResult, TextContent
from pydantic import ValidationError

from paycli import __version__
from paycli.errors import (
    CheckFailed,
    InputError,
    OutcomeUnknown,
    PaycliError,
    Refused,
    Retry,
    StateForbids,
)
from paycli.mcp.desk import Desk
from paycli.mcp.tools import MOVING, tools

_INSTRUCTIONS: Final = (
    "Payments of a gRPC payment service. Amounts are decimal text. A failed call is an error as JSON: "
    "`retry` says whether the same call may be made again (same-key: nothing was done, and later it may "
    "be; no: it would fail again; unknown: it may have been done), `next` the call to make next. Never "
    "pay an order under another order_id because its outcome is unknown."
)

_log = logging.getLogger("paycli.mcp")


class Server(MCPServer[Desk]):
    """Tools over a desk; `moving` offers those that move money."""

    def __init__(self, desk: Desk, *, moving: bool) -> None:
        @asynccontextmanager
        async def at_the_desk(_: MCPServer[Desk]) -> AsyncIterator[Desk]:
            yield desk

        super().__init__(
            "paycli",
            instructions=_INSTRUCTIONS,
            version=__version__,
            tools=tools(moving=moving),
            lifespan=at_the_desk,
            log_level="WARNING",
        )

    def serve(self) -> None:
        """Serve stdin and stdout until stdin ends. Raises BrokenPipeError, and CheckFailed for a full stdout."""
        try:
            anyio.run(self.run_stdio_async)
        except BaseExceptionGroup as problems:
            lost, others = problems.split(OSError)
            if lost is None or others is not None:
                raise
            raise _of_stdout(lost) from lost

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Desk, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """The tool's answer, or its error as the CLI has it."""
        try:
            return await super().call_tool(name, arguments, context)
        except (ToolError, MCPError) as problem:
            error = _meant(name, problem)
            error.command = _next(name, arguments, error)
            body = {"error": error.as_dict()}
            text = json.dumps(body, ensure_ascii=False)
            return CallToolResult(
                content=[TextContent(text=text)], structured_content=body, is_error=True
            )


def _meant(name: str, problem: ToolError | MCPError) -> PaycliError:
    """The error of our tree that stands behind one of the SDK's. Raises what is a bug and did nothing."""
    cause = problem.__cause__
    if isinstance(cause, PaycliError):
        return cause
    if isinstance(problem, UnexpectedToolError):
        if name not in MOVING:
            raise problem
        _log.error("a tool failed", exc_info=cause)
        return OutcomeUnknown(f"{name} failed in paycli itself; it may have been carried out.")
    if isinstance(cause, ValidationError):
        wrong = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in cause.errors()]
        return InputError(f"{'; '.join(wrong)}.")
    if name in MOVING and cause is None and isinstance(problem, ToolError):
        return InputError(
            f"{name} is not offered: this server only reads. It moves money when it is started as "
            "paycli mcp --allow-payments."
        )
    if isinstance(problem, ToolError) and cause is None:
        return InputError(f"{problem}.")
    # What is left is a question that was not answered as it was asked.
    return Refused(
        "The client did not answer with the form that it was asked for, which confirms nothing. "
        "Nothing was done.",
        reason="NOT_CONFIRMED",
    )


def _next(name: str, arguments: Mapping[str, Any], error: PaycliError) -> str:
    """The call to make next, where it is known."""
    if error.retry is Retry.UNKNOWN and name == "pay":
        return _call("settle", {"order_id": arguments["order_id"]})
    if error.retry is not Retry.NO:
        return _call(name, arguments)
    if first := error.metadata.get("firstPaymentId"):
        return _call("get", {"payment_id": first})
    if name == "refund" and error.status == StateForbids.status:
        return _call("get", {"payment_id": arguments["payment_id"]})
    return ""


def _call(name: str, arguments: Mapping[str, Any]) -> str:
    return f"{name} {json.dumps(arguments, ensure_ascii=False)}"


def _of_stdout(lost: BaseExceptionGroup[OSError]) -> Exception:
    problem: BaseException = lost
    while isinstance(problem, BaseExceptionGroup):
        problem = problem.exceptions[0]
    if isinstance(problem, BrokenPipeError):
        return BrokenPipeError()
    why = problem.strerror if isinstance(problem, OSError) else problem
    return CheckFailed(f"Cannot write an answer: {why}.")
