"""A conversation as a plain chat: calls as JSON text, returns as what the user's side says, no tools anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from agentlab.messages import envelopes
from agentlab.messages.message import Message, ToolCall
from agentlab.messages.parts import Part, TextPart
from agentlab.messages.returns import CallReturn, decisions_of, returns_of

_SAYS_NOTHING = frozenset({envelopes.HEARTBEAT_SUCCESS, envelopes.HEARTBEAT_FAILURE})
"""Reasons of heartbeats that say no more than the return before them."""


class PlainTalk:
    """Writes one conversation in the form in which the model is to answer.

    Args:
        text_call: The name of the call by which the model answers in plain text; None where it answers without.
        in_list: Whether a reply is a list of calls.
        open_envelopes: Whether texts are taken out of their envelopes.
    """

    def __init__(self, *, text_call: str | None, in_list: bool, open_envelopes: bool) -> None:
        self._text_call = text_call
        self._in_list = in_list
        self._open_envelopes = open_envelopes
        self._told: list[Message] = []
        self._tool_of: dict[str, str] = {}
        self._request: Message | None = None
        self._return: Message | None = None
        """The last message told, when it tells a return."""

    def tell(self, messages: Iterable[Message]) -> list[Message]:
        """All messages so far, as text of system, user and assistant.

        What the user's side says after a return is joined to it: many chat templates want the sides to take turns.
        """
        for message in messages:
            if message.tool_calls:
                self._request = message
                self._told.append(_as(message, "assistant", [TextPart(text=self._calls(message))]))
            elif message.role in ("tool", "approval"):
                self._tell_returns(message)
            elif message.role == "user":
                self._tell_user(message)
            elif message.role == "assistant" and message.text and self._text_call is not None:
                call = {"name": self._text_call, "arguments": {"content": message.text}}
                self._told.append(_as(message, "assistant", [TextPart(text=self._listed([call]))]))
            else:
                self._told.append(message)
        return self._told

    def _calls(self, message: Message) -> str:
        calls = message.tool_calls or ()
        self._tool_of |= {call.id: call.function.name for call in calls}
        listed = self._listed([{"name": c.function.name, "arguments": _arguments(c)} for c in calls])
        return f"{message.text}\n{listed}" if message.text else listed

    def _listed(self, calls: Sequence[dict[str, Any]]) -> str:
        value: object = calls if self._in_list or len(calls) > 1 else calls[0]
        return json.dumps(value, ensure_ascii=False)

    def _tell_returns(self, message: Message) -> None:
        returns = returns_of(message) if message.role == "tool" else decisions_of(message, self._request)
        if returns:
            self._add(message, _joined([part for one in returns for part in self._return_parts(one)]))
            self._return = self._told[-1]

    def _return_parts(self, returned: CallReturn) -> list[Part]:
        text = "\n".join(part.text for part in returned.content if isinstance(part, TextPart))
        ok = returned.ok
        envelope = self._envelope(text)
        if envelope is not None and envelope.ok is not None:
            text, ok = str(envelope.text), envelope.ok
        tool = self._tool_of.get(returned.call_id or "") or returned.name or "the tool"
        told = TextPart(text=f"{tool} {'returned' if ok else 'failed'}: {text}")
        return [told, *(part for part in returned.content if not isinstance(part, TextPart))]

    def _tell_user(self, message: Message) -> None:
        envelope = self._envelope(message.text)
        if self._follows_return() and envelope is not None and envelope.text in _SAYS_NOTHING:
            return
        self._add(message, [self._opened(part) for part in message.content or ()])

    def _opened(self, part: Part) -> Part:
        envelope = self._envelope(part.text) if isinstance(part, TextPart) else None
        if envelope is None or envelope.text is None:
            return part
        return TextPart(text=envelope.text.removeprefix(envelopes.AUTOMATED))

    def _envelope(self, text: str) -> envelopes.Envelope | None:
        return envelopes.unpack(text) if self._open_envelopes else None

    def _follows_return(self) -> bool:
        return bool(self._told) and self._told[-1] is self._return

    def _add(self, message: Message, parts: Sequence[Part]) -> None:
        if self._follows_return():
            before = self._told.pop()
            self._return = _as(before, "user", _joined([*(before.content or ()), *parts]))
            self._told.append(self._return)
        else:
            self._told.append(_as(message, "user", parts))


def _joined(parts: Sequence[Part]) -> list[Part]:
    joined: list[Part] = []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(last, TextPart) and isinstance(part, TextPart):
            joined[-1] = TextPart(text=f"{last.text}\n{part.text}")
        else:
            joined.append(part)
    return joined


def _as(message: Message, role: str, parts: Sequence[Part]) -> Message:
    gone = dict.fromkeys(("name", "tool_calls", "tool_call_id", "tool_returns", "approvals"))
    return message.model_copy(update={"role": role, "content": tuple(parts), **gone})


def _arguments(call: ToolCall) -> Any:
    try:
        return json.loads(call.function.arguments or "{}")
    except ValueError:
        return call.function.arguments
