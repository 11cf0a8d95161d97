"""What an agent is made of, checked once and then fixed for its runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from agentlab.agent.heartbeat import HeartbeatPolicy
from agentlab.agent.memory import Memory
from agentlab.agent.protocol import TalkProtocol
from agentlab.agent.tools import Tool, as_tool
from agentlab.errors import ToolDefinitionError
from agentlab.models.base import ChatModel, ModelParams
from agentlab.trace.events import ToolSpec


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """Everything that a run needs to know of its agent."""

    name: str
    model: ChatModel
    system: str
    """The fixed part of the system message; may be empty."""
    tools: dict[str, Tool]
    offered: tuple[ToolSpec, ...]
    """The tools as the protocol tells the model of them."""
    memory: Memory | None
    protocol: TalkProtocol
    heartbeat: HeartbeatPolicy
    params: ModelParams
    max_steps: int
    timezone: str
    tool_return_limit_chars: int | None
    parallel_tool_calls: bool

    def system_text(self) -> str:
        """The system message as of now: the fixed part and the memory."""
        parts = [self.system, self.memory.render() if self.memory else ""]
        return "\n\n".join(part for part in parts if part)

    def as_data(self) -> dict[str, Any]:
        """What a trace keeps of the settings, besides model and tools."""
        return {
            "heartbeat": self.heartbeat.model_dump(),
            "params": self.params.as_dict(),
            "max_steps": self.max_steps,
            "timezone": self.timezone,
            "tool_return_limit_chars": self.tool_return_limit_chars,
            "parallel_tool_calls": self.parallel_tool_calls,
            "inner_thoughts": getattr(self.protocol, "inner_thoughts", False),
        }


def collect_tools(
    given: Iterable[Tool | Callable[..., Any]], memory: Memory | None, protocol: TalkProtocol
) -> dict[str, Tool]:
    """The agent's tools by name: its own, those of its memory, those of its protocol.

    Raises:
        ToolDefinitionError: Two have one name. A tool of one's own may stand in for a protocol's.
    """
    tools: dict[str, Tool] = {}
    for item in (*map(as_tool, given), *(memory.tools() if memory else [])):
        if item.name in tools:
            raise ToolDefinitionError(f"two tools are called `{item.name}`; give one of them another name")
        tools[item.name] = item
    for item in protocol.own_tools():
        tools.setdefault(item.name, item)
    return tools
