"""A MemGPT-style conversation as a person sees it, in the OpenAI chat form.

Calls of `send_message` become plain assistant text, and what a person wrote comes out of its envelope. Everything else
stays: other calls and their returns, notes of the system, JSON that a person typed, calls that cannot be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import orjson

from agentlab.formats.openai_chat import Chat, join_openai
from agentlab.messages.envelopes import unpack_user_text
from agentlab.messages.message import Message, ToolCall
from agentlab.messages.parts import ReasoningPart, TextPart
from agentlab.messages.returns import answered_ids, failed_ids

_OWN_ARGUMENTS = {"message", "request_heartbeat", "thinking"}


def to_plain_chat(messages: Sequence[Message], *, thoughts: bool = True, system_notes: bool = True) -> list[Chat]:
    """The conversation as a person sees it, as OpenAI chat messages. No message, however odd, makes it raise.

    Args:
        messages: The conversation, in order.
        thoughts: Keep what the agent thought beside `send_message`, as reasoning.
        system_notes: Keep system messages after the first message.
    """
    return join_openai(_items(messages, thoughts, system_notes), messages)


def _items(messages: Sequence[Message], thoughts: bool, system_notes: bool) -> Iterator[Message | Chat]:
    said: set[str] = set()
    for index, message in enumerate(messages):
        role = message.role
        if role == "user":
            yield _unpacked(message)
        elif role == "tool":
            if not said or not said.issuperset(answered_ids(message)):
                yield message
        elif role == "assistant" and message.tool_calls:
            spoken = _spoken(messages, index)
            if spoken:
                said.update(spoken)
                yield _flat(message, spoken, thoughts)
            else:
                yield message
        elif role != "system" or system_notes or index == 0:
            yield message


def _spoken(messages: Sequence[Message], index: int) -> dict[str, str]:
    """The texts of the `send_message` calls that can be read and did not fail, by call id."""
    texts: dict[str, str] = {}
    for call in messages[index].tool_calls or ():
        if call.function.name == "send_message":
            text = _text_of(call)
            if text is not None:
                texts[call.id] = text
    following = index + 1
    while texts and following < len(messages) and messages[following].role == "tool":
        for call_id in failed_ids(messages[following]):
            texts.pop(call_id or "", None)
        following += 1
    return texts


def _text_of(call: ToolCall) -> str | None:
    try:
        arguments = orjson.loads(call.function.arguments)
    except (orjson.JSONDecodeError, RecursionError):
        return None
    if not isinstance(arguments, dict) or not arguments.keys() <= _OWN_ARGUMENTS:
        return None
    text = arguments.get("message", "")
    return text if isinstance(text, str) else None


def _flat(message: Message, spoken: dict[str, str], thoughts: bool) -> Chat | Message:
    """An assistant message with its spoken calls as text."""
    text = "\n\n".join(spoken.values())
    content = message.content or ()
    others = tuple(c for c in message.tool_calls or () if c.id not in spoken)
    if not others and message.name is None and (not content or not thoughts):
        return {"role": "assistant", "content": text}
    kept = [ReasoningPart(is_native=False, reasoning=p.text) if p.type == "text" else p for p in content if thoughts]
    return message.model_copy(update={"content": (*kept, TextPart(text=text)), "tool_calls": others or None})


def _unpacked(message: Message) -> Message | Chat:
    content = message.content or ()
    if len(content) == 1 and message.name is None:
        only = content[0]
        if only.type == "text":
            return {"role": "user", "content": unpack_user_text(only.text)}
    parts = tuple(TextPart(text=unpack_user_text(p.text)) if p.type == "text" else p for p in content)
    return message.model_copy(update={"content": parts})
