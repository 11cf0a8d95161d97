"""An agent's settings as YAML and back: all that is data. Functions and models are named there, and given again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from agentlab.agent.approval_policy import ApprovalPolicy
from agentlab.agent.approvers import Approver, Callback, Judge
from agentlab.agent.compaction import Compaction
from agentlab.agent.heartbeat import HeartbeatPolicy, Policy
from agentlab.agent.limits import Limits, Retries
from agentlab.agent.memory import Memory
from agentlab.agent.settings import AgentSettings
from agentlab.agent.tool_rule_kinds import AnyRule
from agentlab.agent.tool_rules import ToolRules
from agentlab.agent.tools import Tool, as_tool
from agentlab.errors import InputError
from agentlab.models.base import ChatModel, ModelParams

VERSION = 1
"""Of the YAML's form; a later one is refused."""

_HEARTBEAT: TypeAdapter[HeartbeatPolicy] = TypeAdapter(Policy)
_RULES: TypeAdapter[list[AnyRule]] = TypeAdapter(list[AnyRule])
_COMPACTION: TypeAdapter[Compaction] = TypeAdapter(Compaction)


def settings_to_yaml(settings: AgentSettings) -> str:
    """The settings as YAML."""
    data = {
        "agentlab_agent": VERSION,
        "name": settings.name,
        "model": settings.model.name,
        "protocol": settings.protocol.name,
        "tools": settings.own_tool_names(),
        **settings.as_data(),
        "memory": None if settings.memory is None else settings.memory.as_data(),
    }
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)


def settings_from_yaml(
    text: str,
    *,
    tools: Sequence[Tool | Callable[..., Any]],
    functions: Sequence[Callable[..., Any]],
    models: Sequence[ChatModel],
) -> dict[str, Any]:
    """The keywords of `Agent`, but for model and tools."""
    data = _read(text)
    data.pop("model", None)
    _check_tools(data.pop("tools", []), tools)
    approval = data.pop("approval", None)
    try:
        return {
            **data,
            "heartbeat": _HEARTBEAT.validate_python(data["heartbeat"]),
            "rules": ToolRules(*_RULES.validate_python(data["rules"])),
            "approval": None if approval is None else _approval(approval, functions, models),
            "limits": Limits.model_validate(data["limits"]),
            "retries": Retries.model_validate(data["retries"]),
            "compaction": _COMPACTION.validate_python(data["compaction"]),
            "params": ModelParams.model_validate(data["params"]),
            "memory": _memory(data.pop("memory")),
        }
    except (KeyError, ValidationError) as exc:
        raise InputError(f"this YAML does not describe an agent: {exc}") from exc


def _read(text: str) -> dict[str, Any]:
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        raise InputError(f"this is no YAML: {exc}") from exc
    version = data.pop("agentlab_agent", None) if isinstance(data, dict) else None
    if not isinstance(version, int):
        raise InputError("this YAML does not describe an agent: its first key is not `agentlab_agent`")
    if version > VERSION:
        raise InputError(f"this YAML has version {version}, this agentlab reads up to {VERSION}: upgrade it")
    return data  # type: ignore[no-any-return]  # a dictionary, as was looked at above


def _check_tools(named: Sequence[str], tools: Sequence[Tool | Callable[..., Any]]) -> None:
    missing = set(named) - {as_tool(item).name for item in tools}
    if missing:
        raise InputError(f"the agent has a tool `{min(missing)}`: give its function in `tools`")


def _approval(
    data: dict[str, Any], functions: Sequence[Callable[..., Any]], models: Sequence[ChatModel]
) -> ApprovalPolicy:
    policy = ApprovalPolicy.model_validate(data)
    by_name = {getattr(f, "__name__", type(f).__name__): f for f in functions}
    judges = {model.name: model for model in models}
    return policy.model_copy(update={"approvers": tuple(_with_code(a, by_name, judges) for a in policy.approvers)})


def _with_code(approver: Approver, functions: dict[str, Callable[..., Any]], models: dict[str, ChatModel]) -> Approver:
    """The approver with its function or model, which YAML only names."""
    if isinstance(approver, Callback):
        if approver.name not in functions:
            raise InputError(f"approver `{approver.name}` calls a function: give it in `functions`")
        return approver.model_copy(update={"function": functions[approver.name]})
    if isinstance(approver, Judge):
        if approver.name not in models:
            raise InputError(f"approver `{approver.name}` asks a model: give it in `models`")
        return approver.model_copy(update={"model": models[approver.name]})
    return approver


def _memory(data: dict[str, Any] | None) -> Memory | None:
    return None if data is None else Memory(data["blocks"], limit_chars=data["limit_chars"])
