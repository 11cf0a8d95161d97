"""The columns of the token ledger's frames, declared once."""

from __future__ import annotations

from typing import get_args

from agentlab.analysis.column import COUNT, NUMBER, TEXT, WORDS, Column, tokens
from agentlab.trace.events import CallPurpose
from agentlab.trace.usage import COUNTS, UsageSource

PARTS = ("system", "tool_schemas", "history", "summary", "user", "heartbeat", "assistant", "tool")
"""The parts of a prompt. `history` was inherited from an earlier run, `summary` stands for messages that left."""

_RUN_ID = Column("run_id", TEXT, "The run.")
_STEP = Column("step", COUNT, "The step, from 1; 0 before the first.")
_CALL = Column("call", COUNT, "Which model call of the step, from 1.")
_PURPOSE = Column("purpose", get_args(CallPurpose), "What the model was called for; side calls have rows of their own.")
_PROVIDER = Column("provider", WORDS, "Who serves the model.")
_MODEL = Column("model", WORDS, "The model that was asked for.")
_PART = Column("part", PARTS, "What it was of the prompt.")
_MEASURED = Column("source", get_args(UsageSource), "Who counted `tokens`: a tokenizer, or an estimate by length.")

USAGE = (
    _RUN_ID,
    _STEP,
    _CALL,
    _PURPOSE,
    _PROVIDER,
    _MODEL,
    Column("n_calls", COUNT, "Model calls in the row."),
    Column("n_missing", COUNT, "Of these, calls whose input or output is not known."),
    tokens("input_tokens", "Prompt, cached tokens included; NA when one call did not report it."),
    tokens("cached_tokens", "Of these, read from the provider's cache."),
    tokens("cache_write_tokens", "Of these, written to the provider's cache."),
    tokens("output_tokens", "Reply, reasoning included."),
    tokens("reasoning_tokens", "Of these, reasoning."),
    tokens("total_tokens", "Input and output, as the provider adds them."),
    Column("usage_source", get_args(UsageSource), "Who counted; of several calls the weakest source."),
    tokens("known_input_tokens", "Prompts of the calls that reported them: at least so many were used."),
    tokens("known_output_tokens", "Replies of these."),
    Column("cost_usd", NUMBER, "Cost; NA when that of one call is not known.", "USD"),
    Column("n_unpriced", COUNT, "Calls whose cost is not known."),
    Column("known_cost_usd", NUMBER, "Cost of the calls where it is known; of no other call anything is added.", "USD"),
    Column("cost_source", WORDS, "Whose prices, of which version and day, and for which model."),
    Column("cost_note", WORDS, "Why a cost is not known, or what had to be supposed."),
)

NUMBERS = (
    _RUN_ID,
    _STEP,
    _CALL,
    _PURPOSE,
    _PROVIDER,
    _MODEL,
    Column("count", COUNTS, "What was counted."),
    tokens("tokens", "How many."),
    Column("source", get_args(UsageSource), "Who counted; `missing`: nobody, and `tokens` is NA."),
)

ROLES = (
    _RUN_ID,
    _PART,
    Column("n_prompts", COUNT, "Prompts that had some of it."),
    Column("n_items", COUNT, "Messages, or tool definitions, each as often as a prompt had it."),
    tokens("tokens", "Tokens of all these; NA where something cannot be measured, as a picture."),
    _MEASURED,
    Column("scaled_tokens", NUMBER, "Its share of the provider's `input_tokens`, in proportion to `tokens`.", "tokens"),
    Column("n_missing", COUNT, "Prompts where that share is not known: it is NA here then."),
    Column("known_scaled_tokens", NUMBER, "Its share of the other prompts: at least so much.", "tokens"),
)

TOOLS = (
    _RUN_ID,
    Column("tool", WORDS, "The tool's name."),
    Column("n_calls", COUNT, "Calls that the model asked for."),
    Column("n_returns", COUNT, "Returns that joined the conversation."),
    tokens("argument_tokens", "Name and arguments of the calls, as the model wrote them: a part of its replies."),
    tokens("argument_prompt_tokens", "The same, as often as a later prompt had them."),
    tokens("return_tokens", "What came back, packed for the model, each return once."),
    tokens("first_read_tokens", "Of returns: in the first prompt that had them; inherited ones included."),
    tokens("reread_tokens", "Of returns: in all later prompts."),
    tokens("schema_prompt_tokens", "The tool's definition, in all prompts that had it."),
    Column("source", get_args(UsageSource), "Who counted: a tokenizer, or an estimate by length."),
)

CONTEXT = (
    _RUN_ID,
    _STEP,
    _PART,
    Column("n_items", COUNT, "Messages, or tool definitions."),
    tokens("tokens", "Tokens of these; NA where something cannot be measured, as a picture."),
    _MEASURED,
    Column("scaled_tokens", NUMBER, "Its share of the provider's `input_tokens`, in proportion to `tokens`.", "tokens"),
)

PROBLEMS = (
    _RUN_ID,
    _STEP,
    Column("call", COUNT, "Which model call of the step, from 1; NA: the run up to this step."),
    _PURPOSE,
    Column("check", WORDS, "What should hold."),
    Column("found", COUNT, "The number on the left of it."),
    Column("against", COUNT, "The number on its right."),
)

USAGE_FRAMES: dict[str, tuple[Column, ...]] = {
    "usage": USAGE,
    "usage_numbers": NUMBERS,
    "usage_roles": ROLES,
    "usage_tools": TOOLS,
    "usage_problems": PROBLEMS,
    "context": CONTEXT,
}
"""The columns of each frame, in order."""
