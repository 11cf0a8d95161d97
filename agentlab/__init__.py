"""agentlab: a lab bench for LLM agents inside Jupyter.

    from agentlab import Agent, ScriptedModel, call, tool

The names below are what notebooks use. Those that need heavy libraries load them when they are first touched.
"""

from __future__ import annotations

import importlib as _importlib
import typing as _typing

from agentlab.agent.agent import Agent
from agentlab.agent.heartbeat import OnRequest
from agentlab.agent.memory import Memory
from agentlab.agent.run import Run
from agentlab.agent.tools import Tool, tool
from agentlab.clock import frozen
from agentlab.errors import AgentLabError, ToolError
from agentlab.messages.message import Message
from agentlab.models.base import ModelParams
from agentlab.models.scripted import ScriptedModel, call, cut, fail, say, think
from agentlab.trace.trace import Trace
from agentlab.version import __version__

if _typing.TYPE_CHECKING:
    from agentlab.analysis.frames import chunks_df, messages_df, runs_df, steps_df, tool_calls_df
    from agentlab.analysis.plots import waterfall
    from agentlab.lab.lab import Lab
    from agentlab.models.local import LocalModel
    from agentlab.models.openai import OpenAIModel

__all__ = [
    "Agent",
    "AgentLabError",
    "Lab",
    "LocalModel",
    "Memory",
    "Message",
    "ModelParams",
    "OnRequest",
    "OpenAIModel",
    "Run",
    "ScriptedModel",
    "Tool",
    "ToolError",
    "Trace",
    "__version__",
    "call",
    "chunks_df",
    "cut",
    "fail",
    "frozen",
    "messages_df",
    "runs_df",
    "say",
    "steps_df",
    "think",
    "tool",
    "tool_calls_df",
    "waterfall",
]

_HEAVY = {
    "Lab": "agentlab.lab.lab",
    "LocalModel": "agentlab.models.local",
    "OpenAIModel": "agentlab.models.openai",
    "chunks_df": "agentlab.analysis.frames",
    "messages_df": "agentlab.analysis.frames",
    "runs_df": "agentlab.analysis.frames",
    "steps_df": "agentlab.analysis.frames",
    "tool_calls_df": "agentlab.analysis.frames",
    "waterfall": "agentlab.analysis.plots",
}
"""Names whose module is loaded at first use."""


def __getattr__(name: str) -> object:
    if name not in _HEAVY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_importlib.import_module(_HEAVY[name]), name)


def __dir__() -> list[str]:
    return __all__
