"""An agent's client, the SDK's own, over stdio to a real `paycli mcp`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp import Client, StdioServerParameters
from mcp_types import ElicitRequestParams, ElicitResult, Tool

Mode = Literal["auto", "legacy"]


class Person:
    """Who is asked, and answers always the same; `asked` are the questions so far."""

    def __init__(
        self,
        action: Literal["accept", "decline", "cancel"] = "accept",
        content: dict[str, Any] | None = None,
    ) -> None:
        self.asked: list[str] = []
        self._answer = ElicitResult(action=action, content=content)

    async def __call__(self, context: object, params: ElicitRequestParams) -> ElicitResult:
        self.asked.append(params.message)
        return self._answer


class Agent:
    """Calls tools; what they answer is plain data."""

    def __init__(self, portal: BlockingPortal, client: Client) -> None:
        self._portal = portal
        self._client = client

    def tools(self) -> list[Tool]:
        return self._portal.call(self._client.list_tools).tools

    def call(self, tool: str, **arguments: Any) -> Any:
        """The answer."""
        result = self._portal.call(self._client.call_tool, tool, arguments)
        assert not result.is_error, result.content
        return result.structured_content

    def fail(self, tool: str, **arguments: Any) -> Any:
        """The error."""
        result = self._portal.call(self._client.call_tool, tool, arguments)
        assert result.is_error
        assert result.structured_content is not None
        return result.structured_content["error"]


@contextmanager
def agent(
    target: str, *words: str, person: Person | None = None, mode: Mode = "auto"
) -> Iterator[Agent]:
    """An agent at `paycli mcp WORDS`; without a person its client cannot ask anybody."""
    line = ["-m", "paycli", "mcp", "--target", target, *words]
    server = StdioServerParameters(command=sys.executable, args=line, env=dict(os.environ))
    client = Client(server, mode=mode, elicitation_callback=person)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(client) as opened:
        yield Agent(portal, opened)
