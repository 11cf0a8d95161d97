"""agentlab: a lab bench for LLM agents inside Jupyter.

    from agentlab import Agent, ScriptedModel, call, tool

The names below are what notebooks use. Those that need heavy libraries load them when they are first touched.
"""

from __future__ import annotations

import importlib as _importlib
import typing as _typing

from agentlab.agent.agent import Agent
from agentlab.agent.approval import ApprovalRule, Decision, Scope
from agentlab.agent.approval_policy import ApprovalPolicy, approval
from agentlab.agent.approvers import Ask, Callback, Judge, Script, Terminal
from agentlab.agent.compaction import DropOldest, NoCompaction, Summarize
from agentlab.agent.differences import AgentDiffersWarning
from agentlab.agent.heartbeat import HeartbeatPolicy
from agentlab.agent.heartbeats import (
    Always,
    Budget,
    ContextPressure,
    Never,
    NoProgress,
    OnFailure,
    OnRequest,
    Probability,
    Timer,
    UntilTool,
)
from agentlab.agent.limits import Limits, Price, Retries
from agentlab.agent.memory import Memory
from agentlab.agent.run import Run
from agentlab.agent.tool_rule_kinds import (
    ChildTools,
    Conditional,
    ContinueLoop,
    ExitLoop,
    MaxCount,
    ParentLast,
    RequiredBeforeExit,
    RequiresApproval,
    RunFirst,
)
from agentlab.agent.tool_rules import ToolRules
from agentlab.agent.tools import Tool, tool
from agentlab.clock import frozen
from agentlab.errors import AgentLabError, ToolError
from agentlab.messages.message import Message
from agentlab.models.base import ModelParams
from agentlab.models.scripted import ScriptedModel, call, cut, fail, say, think
from agentlab.trace.trace import Trace
from agentlab.version import __version__

if _typing.TYPE_CHECKING:
    from agentlab.analysis.arms import runs_with_tags
    from agentlab.analysis.compare import adjusted, compare
    from agentlab.analysis.context import context_df
    from agentlab.analysis.frames import (
        approvals_df,
        chunks_df,
        events_df,
        messages_df,
        runs_df,
        steps_df,
        tool_calls_df,
    )
    from agentlab.analysis.gaps import gaps_df
    from agentlab.analysis.goodput import goodput
    from agentlab.analysis.latency_frames import definitions_df, latency_df
    from agentlab.analysis.percentiles import percentiles
    from agentlab.analysis.plan import plan
    from agentlab.analysis.plots import (
        context_growth,
        cost_vs_success,
        forest,
        save_picture,
        token_gaps,
        tokens_by_step,
        ttft_ecdf,
        waterfall,
    )
    from agentlab.analysis.ttft_split import ttft_split
    from agentlab.analysis.usage import ledger, usage_df
    from agentlab.lab.lab import Lab
    from agentlab.models.local import LocalModel
    from agentlab.models.openai import OpenAIModel
    from agentlab.serve import telemetry
    from agentlab.widgets.approval_card import ApprovalCard
    from agentlab.widgets.chat_box import chat
    from agentlab.widgets.compare_view import CompareView
    from agentlab.widgets.lab_browser import LabBrowser

__all__ = [
    "Agent",
    "AgentDiffersWarning",
    "AgentLabError",
    "Always",
    "ApprovalCard",
    "ApprovalPolicy",
    "ApprovalRule",
    "Ask",
    "Budget",
    "Callback",
    "ChildTools",
    "CompareView",
    "Conditional",
    "ContextPressure",
    "ContinueLoop",
    "Decision",
    "DropOldest",
    "ExitLoop",
    "HeartbeatPolicy",
    "Judge",
    "Lab",
    "LabBrowser",
    "Limits",
    "LocalModel",
    "MaxCount",
    "Memory",
    "Message",
    "ModelParams",
    "Never",
    "NoCompaction",
    "NoProgress",
    "OnFailure",
    "OnRequest",
    "OpenAIModel",
    "ParentLast",
    "Price",
    "Probability",
    "RequiredBeforeExit",
    "RequiresApproval",
    "Retries",
    "Run",
    "RunFirst",
    "Scope",
    "Script",
    "ScriptedModel",
    "Summarize",
    "Terminal",
    "Timer",
    "Tool",
    "ToolError",
    "ToolRules",
    "Trace",
    "UntilTool",
    "__version__",
    "adjusted",
    "approval",
    "approvals_df",
    "call",
    "chat",
    "chunks_df",
    "compare",
    "context_df",
    "context_growth",
    "cost_vs_success",
    "cut",
    "definitions_df",
    "events_df",
    "fail",
    "forest",
    "frozen",
    "gaps_df",
    "goodput",
    "latency_df",
    "ledger",
    "messages_df",
    "percentiles",
    "plan",
    "runs_df",
    "runs_with_tags",
    "save_picture",
    "say",
    "steps_df",
    "telemetry",
    "think",
    "token_gaps",
    "tokens_by_step",
    "tool",
    "tool_calls_df",
    "ttft_ecdf",
    "ttft_split",
    "usage_df",
    "waterfall",
]

_HEAVY = {
    "ApprovalCard": "agentlab.widgets.approval_card",
    "CompareView": "agentlab.widgets.compare_view",
    "LabBrowser": "agentlab.widgets.lab_browser",
    "Lab": "agentlab.lab.lab",
    "LocalModel": "agentlab.models.local",
    "OpenAIModel": "agentlab.models.openai",
    "adjusted": "agentlab.analysis.compare",
    "approvals_df": "agentlab.analysis.frames",
    "chat": "agentlab.widgets.chat_box",
    "chunks_df": "agentlab.analysis.frames",
    "compare": "agentlab.analysis.compare",
    "context_df": "agentlab.analysis.context",
    "context_growth": "agentlab.analysis.plots",
    "cost_vs_success": "agentlab.analysis.plots",
    "definitions_df": "agentlab.analysis.latency_frames",
    "events_df": "agentlab.analysis.frames",
    "forest": "agentlab.analysis.plots",
    "gaps_df": "agentlab.analysis.gaps",
    "goodput": "agentlab.analysis.goodput",
    "latency_df": "agentlab.analysis.latency_frames",
    "ledger": "agentlab.analysis.usage",
    "messages_df": "agentlab.analysis.frames",
    "percentiles": "agentlab.analysis.percentiles",
    "plan": "agentlab.analysis.plan",
    "runs_df": "agentlab.analysis.frames",
    "runs_with_tags": "agentlab.analysis.arms",
    "save_picture": "agentlab.analysis.plots",
    "steps_df": "agentlab.analysis.frames",
    "telemetry": "agentlab.serve.telemetry",
    "token_gaps": "agentlab.analysis.plots",
    "tokens_by_step": "agentlab.analysis.plots",
    "tool_calls_df": "agentlab.analysis.frames",
    "ttft_ecdf": "agentlab.analysis.plots",
    "ttft_split": "agentlab.analysis.ttft_split",
    "usage_df": "agentlab.analysis.usage",
    "waterfall": "agentlab.analysis.plots",
}
"""Names whose module is loaded at first use."""


def __getattr__(name: str) -> object:
    if name not in _HEAVY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = _importlib.import_module(_HEAVY[name])
    is_module = module.__name__.endswith(f".{name}") and not hasattr(module, name)
    return module if is_module else getattr(module, name)


def __dir__() -> list[str]:
    return __all__
