from __future__ import annotations

from agentlab.messages.parts import ReasoningPart, TextPart
from agentlab.models.reply import ReplyBuilder
from agentlab.trace.chunks import Chunk, ChunkKind, ToolCallDelta
from agentlab.trace.usage import Usage


def built(*chunks):
    builder = ReplyBuilder()
    for chunk in chunks:
        builder.add(chunk)
    return builder.build()


def test_pieces_are_joined_reasoning_first():
    reply = built(
        Chunk(1, ChunkKind.CONTENT, content="Hel"),
        Chunk(2, ChunkKind.REASONING, reasoning="Hm"),
        Chunk(3, ChunkKind.CONTENT, content="lo"),
        Chunk(4, ChunkKind.DONE, finish_reason="stop"),
    )
    assert reply.content == (ReasoningPart(is_native=True, reasoning="Hm"), TextPart(text="Hello"))
    assert reply.finish_reason == "stop"


def test_interleaved_calls_are_told_apart_by_index():
    reply = built(
        Chunk(1, ChunkKind.TOOL_NAME, tool_calls=(ToolCallDelta(1, "b", "two"), ToolCallDelta(0, "a", "one"))),
        Chunk(
            2, ChunkKind.TOOL_ARGS, tool_calls=(ToolCallDelta(0, arguments='{"x":'), ToolCallDelta(1, arguments="{}"))
        ),
        Chunk(3, ChunkKind.TOOL_ARGS, tool_calls=(ToolCallDelta(0, arguments="1}"),)),
    )
    assert [(c.id, c.function.name, c.function.arguments) for c in reply.tool_calls] == [
        ("a", "one", '{"x":1}'),
        ("b", "two", "{}"),
    ]


def test_a_missing_id_is_made_up():
    reply = built(Chunk(1, ChunkKind.TOOL_NAME, tool_calls=(ToolCallDelta(0, None, "one"),)))
    assert reply.tool_calls[0].id.startswith("call_")


def test_of_several_usage_reports_the_last_one_counts():
    reply = built(
        Chunk(1, ChunkKind.USAGE, usage=Usage(output_tokens=1, source="provider")),
        Chunk(2, ChunkKind.USAGE, usage=Usage(output_tokens=2, source="provider")),
    )
    assert reply.usage.output_tokens == 2


def test_nothing_gives_an_empty_reply():
    reply = built()
    assert (reply.content, reply.tool_calls, reply.finish_reason) == ((), (), None)
    assert reply.usage.source == "missing"
