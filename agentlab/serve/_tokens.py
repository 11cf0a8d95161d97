"""Whether a chunk of a stream shows a token: what stops the clock of the first one, and what does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from agentlab.trace.chunks import PAYLOAD
from agentlab.trace.events import EVENT_TYPES

_SILENT = frozenset({"ping", "stop_reason", "usage_statistics"})
"""Kinds of the reference's messages that say something of the stream and nothing of the answer."""

_SPOKEN = ("content", "reasoning_content", "reasoning", "tool_calls", "function_call", "refusal")


def shows_token(chunk: object) -> bool:
    """False for marks of roles, ends and usage, for pings, errors, empty text, and events around the model's own."""
    if isinstance(chunk, Enum):
        chunk = chunk.value
    if isinstance(chunk, str):
        return chunk not in ("", "[DONE]")
    get = _getter(chunk)
    if get("error"):
        return False
    choices = get("choices")
    if isinstance(choices, list | tuple):
        return any(map(_choice_shows, choices))
    kind = get("type")
    if isinstance(kind, str) and kind in EVENT_TYPES:
        return kind == "model_delta" and bool(get("kind") & PAYLOAD)
    message_type = get("message_type")
    return not (isinstance(message_type, str) and message_type in _SILENT)


def _choice_shows(choice: object) -> bool:
    get = _getter(choice)
    delta = _getter(get("delta"))
    return bool(get("text")) or any(delta(name) for name in _SPOKEN)


def _getter(holder: object) -> Callable[[str], Any]:
    if isinstance(holder, Mapping):
        return holder.get
    return lambda name: getattr(holder, name, None)
