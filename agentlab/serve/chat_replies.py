"""The answers of a chat completion: whole, or chunk by chunk."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import BaseModel

from agentlab.agent.run import Run
from agentlab.serve.problems import Problem, problem_of_run
from agentlab.trace.usage import Usage

FinishReason: TypeAlias = Literal["stop", "length"]

_CUT_SHORT = frozenset({"max_steps", "token_limit", "time_limit", "cost_limit"})


class PromptTokens(BaseModel):
    """Of the tokens that the model read."""

    cached_tokens: int | None = None


class CompletionTokens(BaseModel):
    """Of the tokens that the model wrote."""

    reasoning_tokens: int | None = None


class ChatUsage(BaseModel):
    """Tokens of all model calls of the run. What a later step reads again counts again."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokens | None = None
    completion_tokens_details: CompletionTokens | None = None


class AnswerMessage(BaseModel):
    """What the agent told the user."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class Choice(BaseModel):
    """The one answer."""

    index: Literal[0] = 0
    message: AnswerMessage
    finish_reason: FinishReason
    logprobs: None = None


class ChatCompletion(BaseModel):
    """A whole answer."""

    id: str
    """`chatcmpl-` and the id of the run."""
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: ChatUsage | None = None
    """Missing where the model did not count."""


def completion_id(run: Run) -> str:
    """The id of the answer that this run gives."""
    return f"chatcmpl-{run.id}"


def whole(run: Run, text: str) -> ChatCompletion:
    """The answer of a run that has ended well."""
    return ChatCompletion(
        id=completion_id(run),
        created=_created(run),
        model=run.trace.started.agent_name,
        choices=[Choice(message=AnswerMessage(content=text), finish_reason=finish_reason(run))],
        usage=usage_of(run.usage),
    )


def chunk(
    run: Run, delta: dict[str, str] | None, *, finish: FinishReason | None = None, usage: ChatUsage | None = None
) -> dict[str, Any]:
    """One chunk of a streamed answer; without a delta, one that has no choices."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}]
    told = {"usage": usage.model_dump(exclude_none=True)} if usage is not None else {}
    return {
        "id": completion_id(run),
        "object": "chat.completion.chunk",
        "created": _created(run),
        "model": run.trace.started.agent_name,
        "choices": choices,
        **told,
    }


def finish_reason(run: Run) -> FinishReason:
    """Why the answer ended, in OpenAI's words."""
    return "length" if run.stop_reason in _CUT_SHORT else "stop"


def problem_in(run: Run) -> Problem | None:
    """Why the run has no whole answer; None when it has."""
    if run.error is not None:
        return problem_of_run(run.error)
    if run.status == "paused":
        told = f"run {run.id} waits for decisions: GET /v1/approvals lists them; it goes on when they are taken"
        return Problem(409, told, code="approval_required")
    if run.stop_reason == "cancelled":
        return Problem(409, f"run {run.id} was cancelled", code="cancelled")
    if run.stop_reason in ("error", "llm_api_error", "invalid_llm_response", "no_tool_allowed"):
        return Problem(500, f"run {run.id} ended by an error", code=run.stop_reason)
    return None


def usage_of(usage: Usage) -> ChatUsage | None:
    """The counts in OpenAI's words; None when one of the two that matter is not known."""
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    return ChatUsage(
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
        total_tokens=usage.input_tokens + usage.output_tokens,
        prompt_tokens_details=_if_known(PromptTokens, cached_tokens=usage.cached_tokens),
        completion_tokens_details=_if_known(CompletionTokens, reasoning_tokens=usage.reasoning_tokens),
    )


def _if_known(kind: Any, **counts: int | None) -> Any:
    return None if None in counts.values() else kind(**counts)


def _created(run: Run) -> int:
    return int(run.trace.started.started_at.timestamp())
