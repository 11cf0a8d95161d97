"""Token usage as the frame before the end of a stream."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from agentlab.errors import InputError
from agentlab.messages.parts import Value
from agentlab.trace.usage import Usage


class UsageStatistics(Value):
    """Usage as the reference server counts it: over all steps of a request."""

    message_type: Literal["usage_statistics"] = "usage_statistics"
    completion_tokens: int = 0
    prompt_tokens: int = 0
    total_tokens: int = 0
    step_count: int = 0
    run_ids: tuple[str, ...] | None = None


def usage_payload(usage: object) -> BaseModel | dict[str, Any]:
    """What the usage frame holds. A count that is not known is null, never 0.

    Raises:
        InputError: It is neither a `Usage` nor another model.
    """
    match usage:
        case Usage():
            return {
                "message_type": "usage_statistics",
                "completion_tokens": usage.output_tokens,
                "prompt_tokens": usage.input_tokens,
                "total_tokens": usage.total_tokens,
                "cached_tokens": usage.cached_tokens,
                "cache_write_tokens": usage.cache_write_tokens,
                "reasoning_tokens": usage.reasoning_tokens,
                "source": usage.source,
            }
        case BaseModel():
            return usage
        case _:
            raise InputError(f"the usage of a stream is a `Usage` or another model, not `{type(usage).__name__}`")
