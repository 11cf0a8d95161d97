"""An agent's settings as YAML and back: all that is data. Functions and models are named there, and given again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from agentlab.agent.approval_policy import ApprovalPolicy
from agentlab.agent.compaction import Compaction, NoCompaction
from agentlab.agent.heartbeat import Policy
from agentlab.agent.heartbeats import OnRequest
from agentlab.agent.limits import Limits, Retries
from agentlab.agent.memory import DEFAULT_LIMIT_CHARS, Memory
from agentlab.agent.plain_yaml import problems, read_yaml, write_yaml
from agentlab.agent.settings import AgentSettings
from agentlab.agent.tool_rule_kinds import AnyRule
from agentlab.agent.tool_rules import ToolRules
from agentlab.agent.tools import Tool, as_tool
from agentlab.errors import InputError
from agentlab.messages.parts import Value
from agentlab.models.base import ChatModel, ModelParams

VERSION = 1
"""Of the YAML's form; a later one is refused."""

_VERSION_KEY = "agentlab_agent"


class _MemoryData(Value):
    """Memory blocks."""

    blocks: dict[str, str]
    limit_chars: int = Field(default=DEFAULT_LIMIT_CHARS, ge=1)


class _AgentData(Value):
    """What the YAML may say; what it does not say is as `Agent` has it by itself."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    name: str = "agent"
    model: str | None = None
    protocol: Literal["native", "memgpt"] = "native"
    tools: tuple[str, ...] = ()
    system: str | None = None
    heartbeat: Policy = Field(default_factory=OnRequest)
    rules: tuple[AnyRule, ...] = ()
    approval: ApprovalPolicy | None = None
    limits: Limits = Limits()
    retries: Retries = Retries()
    compaction: Compaction = NoCompaction()
    params: ModelParams = ModelParams()
    max_steps: int = Field(default=50, ge=1)
    timezone: str = "UTC"
    tool_return_limit_chars: int | None = 50_000
    parallel_tool_calls: bool | None = None
    inner_thoughts: bool = False
    context_window_tokens: int | None = None
    memory: _MemoryData | None = None


def settings_to_yaml(settings: AgentSettings) -> str:
    """The settings as YAML."""
    return write_yaml(
        {
            _VERSION_KEY: VERSION,
            "name": settings.name,
            "model": settings.model.name,
            "protocol": settings.protocol.name,
            "tools": settings.own_tool_names(),
            **settings.as_data(),
            "memory": None if settings.memory is None else settings.memory.as_data(),
        }
    )


def settings_from_yaml(
    text: str,
    *,
    tools: Sequence[Tool | Callable[..., Any]],
    functions: Sequence[Callable[..., Any]],
    models: Sequence[ChatModel],
) -> dict[str, Any]:
    """The keywords of `Agent`, but for model and tools."""
    data = _read(text)
    missing = set(data.tools) - {as_tool(item).name for item in tools}
    if missing:
        raise InputError(f"the agent has a tool `{min(missing)}`: give its function in `tools`")
    memory = data.memory
    said = {name: getattr(data, name) for name in _AgentData.model_fields if name not in ("model", "tools")}
    return {
        **said,
        "rules": ToolRules(*data.rules),
        "approval": None if data.approval is None else data.approval.with_code(functions, models),
        "memory": None if memory is None else Memory(memory.blocks, limit_chars=memory.limit_chars),
    }


def _read(text: str) -> _AgentData:
    data = read_yaml(text)
    version = data.pop(_VERSION_KEY, None)
    if type(version) is not int or version < 1:
        raise InputError(f"this YAML does not describe an agent: it has no `{_VERSION_KEY}: {VERSION}`")
    if version > VERSION:
        raise InputError(f"this YAML has version {version}, this agentlab reads up to {VERSION}: upgrade it")
    try:
        return _AgentData.model_validate(data)
    except ValidationError as exc:
        raise InputError(f"this YAML does not describe an agent: {problems(exc)}") from exc
