"""What agentlab calls things in OpenTelemetry: the one table, pinned to one version of the conventions.

The conventions for generative AI are in development and names move. What they have no name for begins with `agentlab.`.
"""

from __future__ import annotations

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"
"""The version of the semantic conventions that the names below are from."""

# Operations; a span is called by its operation and its agent, model or tool: `chat gpt-5-mini`.
INVOKE_AGENT = "invoke_agent"
CHAT = "chat"
EXECUTE_TOOL = "execute_tool"

# Attributes of every span.
OPERATION = "gen_ai.operation.name"
CONVERSATION_ID = "gen_ai.conversation.id"  # the run's id
AGENT_NAME = "gen_ai.agent.name"
ERROR_TYPE = "error.type"
STEP = "agentlab.step"

# Attributes of `invoke_agent`.
RUN_STATUS = (
    "agentlab.run.status"  # `finished`, `paused`, `interrupted`; `running` where reporting ended before the run
)
STOP_REASON = "agentlab.run.stop_reason"
PARENT_RUN_ID = "agentlab.run.parent_id"  # the run whose conversation goes on

# Attributes of `chat`; provider, model and usage are on `invoke_agent` too.
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_STREAM = "gen_ai.request.stream"
RESPONSE_ID = "gen_ai.response.id"
RESPONSE_MODEL = "gen_ai.response.model"
FINISH_REASONS = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"  # any chunk of the reply, also one with a role only [s]
TTFT = "agentlab.response.ttft_s"  # the first token: reasoning, content or tool call [s]
PURPOSE = "agentlab.call.purpose"  # `step`, `approval` or `compaction`
INPUT_MESSAGES = "gen_ai.input.messages"  # only with content
OUTPUT_MESSAGES = "gen_ai.output.messages"  # only with content

# Attributes of `execute_tool`.
TOOL_NAME = "gen_ai.tool.name"
TOOL_TYPE = "gen_ai.tool.type"
TOOL_CALL_ID = "gen_ai.tool.call.id"
TOOL_ARGUMENTS = "gen_ai.tool.call.arguments"  # only with content
TOOL_RESULT = "gen_ai.tool.call.result"  # only with content
TOOL_EXECUTED = "agentlab.tool.executed"  # false: the call was answered, and the tool never ran
APPROVAL_DECISION = "agentlab.approval.decision"
APPROVAL_APPROVER = "agentlab.approval.approver"
APPROVAL_MODIFIED = "agentlab.approval.modified"
APPROVAL_LATENCY = "agentlab.approval.latency_s"  # from the question to the decision; none where nobody was asked

FIRST_TOKEN_EVENT = "agentlab.first_token"  # noqa: S105  # an event of `chat`, at the first token's own time

PARAMS = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "seed": "gen_ai.request.seed",
    "max_tokens": "gen_ai.request.max_tokens",
    "stop": "gen_ai.request.stop_sequences",
}
"""Sampling settings."""

USAGE = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_write_tokens": "gen_ai.usage.cache_creation.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
}
"""Counts of `Usage`. Inclusive on both sides: input with cached tokens, output with reasoning."""

# Histograms. What a client measures never goes under `gen_ai.server.*`: those names belong to model servers.
OPERATION_DURATION = "gen_ai.client.operation.duration"
TIME_TO_FIRST_CHUNK_METRIC = "gen_ai.client.operation.time_to_first_chunk"
TIME_PER_OUTPUT_CHUNK = "gen_ai.client.operation.time_per_output_chunk"
TTFT_METRIC = "agentlab.client.operation.ttft"
TOKEN_USAGE = "gen_ai.client.token.usage"  # noqa: S105  # a count, no secret
TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105  # `input` or `output`

SECONDS_BUCKETS = tuple(round(0.01 * 2**n, 2) for n in range(14))
"""0.01, 0.02, 0.04 … 81.92 s."""

TOKEN_BUCKETS = tuple(4**n for n in range(14))
"""1, 4, 16 … 67108864 tokens."""

OTHER_ERROR = "_OTHER"
"""What the conventions call an error whose type is not known."""

IN_PROCESS = frozenset({"local", "scripted"})
"""Providers that need no network: their `chat` spans are of kind INTERNAL, those of all others CLIENT."""
