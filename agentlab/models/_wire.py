"""The body of a chat completions request, as JSON bytes.

Each message is written once: a conversation of n steps sends its first message n times, and its JSON is kept.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from agentlab.formats.openai_chat import message_to_openai, to_openai
from agentlab.messages.message import Message
from agentlab.models.base import ModelRequest
from agentlab.trace.events import ToolSpec

KEPT_BYTES = 16 * 2**20
"""How much memory written messages may take."""
_OVERHEAD_BYTES = 2000
"""About what a kept message costs besides its JSON."""


class RequestWriter:
    """Writes requests for one endpoint."""

    def __init__(
        self,
        model: str,
        *,
        max_tokens_field: str = "max_tokens",
        reasoning: bool = False,
        extra_body: Mapping[str, Any] | None = None,
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        """Take what all requests share.

        Args:
            model: The model's name.
            max_tokens_field: What the endpoint calls the limit of a reply.
            reasoning: Whether earlier reasoning is sent back.
            extra_body: Fields for every request; None takes a field out.
            kept_bytes: How much memory the written messages may take.
        """
        self._model = model
        self._max_tokens_field = max_tokens_field
        self._reasoning = reasoning
        self._extra_body = dict(extra_body or {})
        self._kept: dict[int, tuple[object, bytes]] = {}
        self._room_bytes = kept_bytes
        self._keeping = threading.Lock()

    def body(self, request: ModelRequest, extra: Mapping[str, Any] | None = None) -> bytes:
        """The request as JSON; `extra` are fields for this one."""
        params = request.params.as_dict()
        if "max_tokens" in params:
            params[self._max_tokens_field] = params.pop("max_tokens")
        fields: dict[str, Any] = {
            "model": self._model,
            "messages": self._messages(request.messages),
            "stream": True,
            "stream_options": {"include_usage": True},
            **params,
        }
        if request.tools:
            fields["tools"] = _Written(b",".join(map(self._written, request.tools)))
            fields["tool_choice"] = _tool_choice(request.tool_choice)
            fields["parallel_tool_calls"] = request.parallel_tool_calls
        fields |= extra or {}
        fields |= self._extra_body
        pairs = (_json(name) + b":" + _json(value) for name, value in fields.items() if value is not None)
        return b"{" + b",".join(pairs) + b"}"

    def _messages(self, messages: Sequence[Message]) -> _Written:
        texts: list[bytes] = []
        for message in messages:
            if message.role == "approval":  # how it is written depends on its neighbours
                return _Written(_entries(to_openai(messages, reasoning=self._reasoning)))
            if text := self._written(message):
                texts.append(text)
        return _Written(b",".join(texts))

    def _written(self, value: Message | ToolSpec) -> bytes:
        """The JSON of a message or tool, from memory where it is the same object as before.

        Holding the object itself keeps its `id` from being given to another one.
        """
        kept = self._kept.get(id(value))
        if kept is not None:
            return kept[1]
        text = _entries(self._chat_form(value))
        with self._keeping:
            if id(value) in self._kept:  # another thread was quicker
                return text
            self._kept[id(value)] = (value, text)
            self._room_bytes -= _OVERHEAD_BYTES + len(text)
            while self._room_bytes < 0 and self._kept:
                _, oldest = self._kept.pop(next(iter(self._kept)))
                self._room_bytes += _OVERHEAD_BYTES + len(oldest)
        return text

    def _chat_form(self, value: Message | ToolSpec) -> list[dict[str, Any]]:
        if isinstance(value, Message):
            return message_to_openai(value, reasoning=self._reasoning)
        return [{"type": "function", "function": value.model_dump(mode="json")}]


@dataclass(frozen=True, slots=True)
class _Written:
    """The entries of a list as JSON, joined by commas."""

    text: bytes


def _tool_choice(choice: str) -> str | dict[str, Any]:
    if choice in ("auto", "none", "required"):
        return choice
    return {"type": "function", "function": {"name": choice}}


def _entries(entries: list[dict[str, Any]]) -> bytes:
    return b",".join(map(_json, entries))


def _json(value: object) -> bytes:
    if isinstance(value, _Written):
        return b"[" + value.text + b"]"
    try:
        return orjson.dumps(value)
    except TypeError:  # numbers above 64 bits, halves of surrogate pairs: the standard library writes them
        return json.dumps(value, separators=(",", ":")).encode()
