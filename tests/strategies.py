"""Hypothesis strategies for values of agentlab; one place, which grows with every kind."""

from __future__ import annotations

from hypothesis import strategies as st

from agentlab.messages.message import ApprovalReturn, FunctionCall, Message, ToolCall, ToolReturn
from agentlab.messages.parts import (
    Base64Image,
    ImagePart,
    OmittedReasoningPart,
    Part,
    ReasoningPart,
    RedactedReasoningPart,
    StoredImage,
    SummarizedReasoningPart,
    SummaryEntry,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UrlImage,
)

CALL_IDS = ("a", "b", "c", "")
"""Few, so that they meet; one is missing."""

TEXT = st.text(max_size=12)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
ARGUMENTS = st.dictionaries(TEXT, JSON_VALUES, max_size=3)

texts = st.builds(TextPart, text=TEXT, signature=st.none() | st.just("sig"))
pictures = st.builds(
    ImagePart,
    source=st.builds(
        Base64Image, media_type=st.just("image/png"), data=st.just("aaaa"), detail=st.none() | st.just("low")
    )
    | st.builds(UrlImage, url=st.just("https://example.org/cat.png"))
    | st.builds(StoredImage, file_id=st.just("file-1"), data=st.none() | st.just("bbbb")),
)
thoughts = st.builds(ReasoningPart, is_native=st.booleans(), reasoning=TEXT, signature=st.none() | st.just("sig"))
hidden_thoughts = (
    st.builds(RedactedReasoningPart, data=st.just("ENC"))
    | st.builds(OmittedReasoningPart)
    | st.builds(SummarizedReasoningPart, id=st.just("rs"), summary=st.just((SummaryEntry(index=0, text="s"),)))
)
part_calls = st.builds(ToolCallPart, id=st.sampled_from(CALL_IDS), name=st.sampled_from("fg"), input=ARGUMENTS)
part_returns = st.builds(ToolReturnPart, tool_call_id=st.sampled_from(CALL_IDS), content=TEXT, is_error=st.booleans())
parts: st.SearchStrategy[Part] = st.one_of(texts, pictures, thoughts, hidden_thoughts, part_calls, part_returns)

tool_calls = st.builds(
    ToolCall,
    id=st.sampled_from(CALL_IDS),
    function=st.builds(FunctionCall, name=st.sampled_from("fg"), arguments=TEXT | st.just("{}")),
)
tool_returns = st.builds(
    ToolReturn,
    tool_call_id=st.none() | st.sampled_from(CALL_IDS),
    status=st.sampled_from(("success", "error")),
    func_response=st.none() | TEXT,
)
approvals = st.one_of(
    st.builds(
        ApprovalReturn,
        tool_call_id=st.sampled_from((*CALL_IDS, "message-1")),
        approve=st.booleans(),
        reason=st.none() | TEXT,
    ),
    tool_returns,
)

messages = st.builds(
    Message,
    id=st.sampled_from(("message-1", "message-2", "message-3")),
    role=st.sampled_from(("system", "user", "assistant", "tool", "approval")),
    content=st.none() | st.lists(parts, max_size=3).map(tuple),
    name=st.none() | st.sampled_from(("f", "g", "send_message", "my tool")),
    tool_calls=st.none() | st.lists(tool_calls, max_size=3).map(tuple),
    tool_call_id=st.none() | st.sampled_from(CALL_IDS),
    tool_returns=st.none() | st.lists(tool_returns, max_size=3).map(tuple),
    approvals=st.none() | st.lists(approvals, max_size=3).map(tuple),
)
"""Any message, however odd; every stored history is made of such."""

histories = st.lists(messages, max_size=8)
