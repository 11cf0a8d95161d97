"""What an agent is made of, checked once and then fixed for its runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from agentlab.agent.approval_policy import ApprovalPolicy
from agentlab.agent.compaction import Compaction
from agentlab.agent.heartbeat import HeartbeatPolicy
from agentlab.agent.limits import Limits, Retries
from agentlab.agent.memory import Memory
from agentlab.agent.protocol import TalkProtocol
from agentlab.agent.tool_rules import Offer, ToolRules
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
    offered: dict[str, ToolSpec]
    """The tools as the protocol tells the model of them."""
    memory: Memory | None
    protocol: TalkProtocol
    heartbeat: HeartbeatPolicy
    rules: ToolRules
    approval: ApprovalPolicy | None
    limits: Limits
    retries: Retries
    compaction: Compaction
    params: ModelParams
    max_steps: int
    timezone: str
    tool_return_limit_chars: int | None
    parallel_tool_calls: bool
    context_window_tokens: int | None

    def system_text(self) -> str:
        """The system message as of now: the fixed part, the tool rules and the memory."""
        parts = [self.system, self.rules.describe(), self.memory.render() if self.memory else ""]
        return "\n\n".join(part for part in parts if part)

    def own_tool_names(self) -> list[str]:
        """The tools that come neither from the memory nor from the protocol."""
        of_protocol = self.protocol.own_tools()
        of_memory = [tool.name for tool in self.memory.tools()] if self.memory else []
        return [
            name
            for name, tool in self.tools.items()
            if name not in of_memory and not any(tool is own for own in of_protocol)
        ]

    def tool_choice(self, offer: Offer) -> str:
        """`auto`, `none`, `required`, or the one tool that a rule demands."""
        if not offer.tools:
            return "none"
        if offer.demanded and len(offer.tools) == 1:
            return offer.tools[0]
        return "required" if offer.demanded or self.protocol.demands_call else "auto"

    def as_data(self) -> dict[str, Any]:
        """What a trace keeps of the settings, besides model and tools."""
        return {
            "system": self.system,
            "heartbeat": self.heartbeat.model_dump(mode="json", fallback=_kind_of),
            "rules": self.rules.model_dump(mode="json")["rules"],
            "approval": None if self.approval is None else self.approval.model_dump(mode="json", fallback=_kind_of),
            "limits": self.limits.model_dump(mode="json", exclude_none=True),
            "retries": self.retries.model_dump(mode="json"),
            "compaction": self.compaction.model_dump(mode="json"),
            "params": self.params.as_dict(),
            "max_steps": self.max_steps,
            "timezone": self.timezone,
            "tool_return_limit_chars": self.tool_return_limit_chars,
            "parallel_tool_calls": self.parallel_tool_calls,
            "inner_thoughts": self.protocol.inner_thoughts,
            "context_window_tokens": self.context_window_tokens,
        }


def _kind_of(value: object) -> str:
    """What stands for a value that JSON does not have, as in a policy of one's own."""
    return f"<{type(value).__name__}>"


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
