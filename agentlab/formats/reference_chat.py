"""The reference server's chat form, with what it leaves out; for comparing with stored conversations of its kind.

What goes to a model is written by `agentlab.formats.openai_chat`, which loses nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from agentlab.errors import ConversationError
from agentlab.formats.openai_chat import Chat, message_to_openai
from agentlab.formats.plain_chat import to_plain_chat
from agentlab.messages.message import Message
from agentlab.messages.parts import ImagePart, Part, TextPart, ToolReturnPart
from agentlab.messages.returns import returns_of

CALL_ID_CHARS = 29
"""Call ids are cut to this."""


def message_to_reference(message: Message) -> Chat | None:
    """One message as one dictionary at most.

    Returns of parallel calls are joined under the first id, pictures beside text are left out, ids are cut.

    Raises:
        ConversationError: There is nothing in the message, or a return has no call id.
    """
    _refuse_hollow([message])
    if message.is_approval_reply:
        return None
    parts = message.content or ()
    kept: tuple[Part, ...] = tuple(p for p in parts if not isinstance(p, ImagePart))
    if len(parts) == 1 and not isinstance(parts[0], TextPart | ToolReturnPart):
        kept = () if kept else (TextPart(text="[Image Here]"),)
    entries = message_to_openai(message.model_copy(update={"content": kept}))
    if not entries:
        return None
    joined = {"content": message.text} if len(entries) > 1 else {}
    return _with_short_ids([{**entries[0], **joined}])[0]


def plain_reference_chat(messages: Sequence[Message], *, system_notes: bool = True) -> list[Chat]:
    """The conversation as a person sees it, with call ids cut but distinct, and without thoughts beside spoken text.

    Args:
        messages: The conversation, in order.
        system_notes: Keep system messages after the first message.

    Raises:
        ConversationError: A message has nothing in it, or a return has no call id.
    """
    _refuse_hollow(messages)
    return _with_short_ids(to_plain_chat(messages, thoughts=False, system_notes=system_notes))


def _refuse_hollow(messages: Sequence[Message]) -> None:
    for n, message in enumerate(messages):
        if message.role == "tool":
            if not message.tool_call_id and not all(r.call_id for r in returns_of(message)):
                raise ConversationError(f"message {n} ({message.id}) is a tool return that names no call")
        elif not message.content and not message.tool_calls and message.role != "approval":
            raise ConversationError(f"message {n} ({message.id}) of role {message.role!r} has nothing in it")


def _with_short_ids(chat: list[Chat]) -> list[Chat]:
    short: dict[str, str] = {}
    taken: set[str] = set()
    for entry in chat:
        for call in entry.get("tool_calls", ()):
            call["id"] = _short_id(call["id"], short, taken)
        if "tool_call_id" in entry:
            entry["tool_call_id"] = _short_id(entry["tool_call_id"], short, taken)
    return chat


def _short_id(call_id: str, short: dict[str, str], taken: set[str]) -> str:
    """The id's first characters; where another id has the same, some of its hash as well."""
    if call_id not in short:
        cut = call_id[:CALL_ID_CHARS]
        if cut in taken:
            cut = cut[:-9] + "-" + hashlib.blake2s(call_id.encode(), digest_size=4).hexdigest()
        short[call_id] = cut
        taken.add(cut)
    return short[call_id]
