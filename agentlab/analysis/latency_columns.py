"""The columns of the frames about latency, and those that steps share with them."""

from __future__ import annotations

from typing import get_args

from agentlab.analysis.column import COUNT, FLAG, NUMBER, TEXT, WORDS, Column, seconds, tokens
from agentlab.trace.events import CallPurpose
from agentlab.trace.usage import UsageSource

DEFINITION_NAMES = ("agentlab", "vllm", "guidellm", "aiperf", "otel", "letta")
"""Whose definitions there are."""

PARTS = ("client_s", "connect_s", "send_s", "server_wait_s", "first_event_s", "first_token_s")
"""What `ttft_s` is made of, in order of time."""

TIMES_TO_TOKENS = (
    seconds("ttfb_s", "Request to response headers."),
    seconds("ttft_s", "Request to the first token: reasoning, answer or tool call."),
    seconds("ttfot_s", "Request to the first token that is no reasoning."),
    seconds("ttfa_s", "Request to the first answer text."),
    seconds("itl_mean_s", "Mean time between tokens, first to last; NA with fewer than two tokens."),
    seconds("e2e_s", "Request to the last token."),
    seconds("close_overhead_s", "Last token to the end of the stream."),
    Column("tokens_per_s_decode", NUMBER, "1 / itl_mean_s.", "tokens/s"),
    Column("tokens_per_s_e2e", NUMBER, "Tokens that the clock saw, by e2e_s.", "tokens/s"),
)

TRANSPORT = (
    seconds("client_s", "Request to the start of a new connection; NA on one that was there, where send_s has it."),
    seconds("connect_s", "DNS, TCP and TLS; 0 on a connection that was there already."),
    seconds("send_s", "Sending the request, once connected."),
    seconds("server_wait_s", "Request sent to response headers."),
    seconds("first_event_s", "Response headers to the first event of any kind."),
    seconds("first_token_s", "First event to the first token."),
    seconds("consumer_lag_s", "Arrival of the first token to the consumer having it; not a part of ttft_s."),
    seconds("consumer_lag_max_s", "The longest that a piece of the reply waited for the consumer."),
    seconds("queue_s", "In the server's queue, where the server says so."),
    seconds("prefill_s", "Reading the prompt, where the server says so."),
)

_CALL = (
    Column("run_id", TEXT, "The run."),
    Column("step", COUNT, "The step, from 1; 0 before the first."),
    Column("call", COUNT, "Which model call of the step, from 1."),
    Column("purpose", get_args(CallPurpose), "What the model was called for: the step itself, or something aside."),
)
_DEFINITION = Column("definition", DEFINITION_NAMES, "Whose definitions the figures follow.")

LATENCY = (
    *_CALL,
    _DEFINITION,
    Column("model", WORDS, "The model that was asked."),
    Column("complete", FLAG, "The reply came whole; False: cut, cancelled or failed; NA: nothing came back."),
    *TIMES_TO_TOKENS,
    seconds("tpot_s", "Time per output token, where the definition has one."),
    seconds("icl_p50_s", "Median of the gaps between chunks."),
    seconds("icl_p99_s", "99th percentile of the gaps between chunks."),
    seconds("icl_max_s", "The longest gap between chunks."),
    Column("n_gaps", COUNT, "Gaps between chunks; NA where the definition takes none."),
    tokens("timed_tokens", "Tokens that the means and rates are taken over."),
    Column("usage_source", get_args(UsageSource), "Who counted the tokens."),
    *TRANSPORT,
)

GAPS = (
    *_CALL,
    _DEFINITION,
    Column("event", COUNT, "Which event of the call ended the gap, from 0; `chunks_df` has the rest of it."),
    seconds("offset_s", "Arrival of that event, from the request."),
    seconds("icl_s", "Time since the counted event before; 0 where one read of the socket brought both."),
)

TTFT_SPLIT = (
    *_CALL,
    Column("part", WORDS, "What the time went to: a column of steps, or several that were not told apart."),
    Column("in_ttft", FLAG, "It is a part of ttft_s; those add up to it. Else it lies behind ttft_s or inside."),
    Column("start_ns", COUNT, "Start, from the request; NA for what only the server knows.", "ns"),
    Column("duration_ns", COUNT, "How long it took; of what the server tells, rounded.", "ns"),
    seconds("duration_s", "The same in seconds."),
    Column("share", NUMBER, "Of ttft_s."),
)

LATENCY_FRAMES = {"latency": LATENCY, "gaps": GAPS, "ttft_split": TTFT_SPLIT}
"""The columns of each frame, in order."""
