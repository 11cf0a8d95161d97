"""What an agent tells the user, piece by piece, read off the events of its run. Tools and thoughts are left out.

In `native` that is the text of the replies; in both protocols it is what `send_message` gets, read out of its
arguments while they arrive. Where somebody may still stop or change the call, it is told when the call runs.
"""

from __future__ import annotations

from collections.abc import Hashable

import orjson

from agentlab.agent.protocol import SEND_MESSAGE
from agentlab.messages.message import Message
from agentlab.models._json_scan import ObjectScan, StringDecoder
from agentlab.trace.events import Event, MessageAdded, ModelCalled, ModelDelta, RunStarted, ToolStarted

_BETWEEN = "\n\n"
_RULES_THAT_STOP_NO_CALL = {"exit_loop", "continue_loop", "required_before_exit"}


class Spoken:
    """Turns events into the text that they add to what the user reads."""

    def __init__(self) -> None:
        self._text_speaks = self._calls_speak = self._early_calls = False
        self._begun = False
        self._said: dict[Hashable, str] = {}
        """What of the reply under way was told: its text under None, its calls under their numbers."""
        self._scans: dict[int, MessageScan] = {}

    def take(self, event: Event) -> str:
        """The text that this event adds; often none."""
        match event:
            case ModelDelta():
                return self._of_delta(event)
            case ModelCalled(purpose="step"):
                self._said, self._scans = {}, {}
            case MessageAdded(source="model"):
                return self._of_reply(event.message)
            case ToolStarted() if self._calls_speak and not self._early_calls and event.tool == SEND_MESSAGE:
                return self._piece(object(), _message_in(event.arguments))
            case RunStarted():
                self._begin(event)
        return ""

    def _begin(self, event: RunStarted) -> None:
        self._text_speaks = event.protocol == "native"
        self._calls_speak = any(tool.name == SEND_MESSAGE for tool in event.tools)
        rules = {rule["kind"] for rule in event.settings.get("rules", ())}
        self._early_calls = event.settings.get("approval") is None and not rules - _RULES_THAT_STOP_NO_CALL

    def _of_delta(self, event: ModelDelta) -> str:
        told = self._piece(None, event.content) if self._text_speaks else ""
        if event.call_index is None or not (self._calls_speak and self._early_calls):
            return told
        if event.tool_name == SEND_MESSAGE:
            self._scans.setdefault(event.call_index, MessageScan())
        scan = self._scans.get(event.call_index)
        return told if scan is None else told + self._piece(event.call_index, scan.feed(event.tool_args))

    def _of_reply(self, message: Message) -> str:
        """What had not come in pieces, or differs from them."""
        told = self._rest(None, message.text) if self._text_speaks else ""
        if not (self._calls_speak and self._early_calls):
            return told
        begun = list(self._scans)
        calls = [call for call in message.tool_calls or () if call.function.name == SEND_MESSAGE]
        for number, call in enumerate(calls):
            key = begun[number] if number < len(begun) else object()
            told += self._rest(key, _message_in(call.function.arguments))
        return told

    def _rest(self, key: Hashable, whole: str) -> str:
        said = self._said.get(key, "")
        if whole.startswith(said):
            return self._piece(key, whole[len(said) :])
        return self._piece(object(), whole)

    def _piece(self, key: Hashable, text: str) -> str:
        if not text:
            return ""
        lead = _BETWEEN if self._begun and key not in self._said else ""
        self._said[key] = self._said.get(key, "") + text
        self._begun = True
        return lead + text


class MessageScan:
    """Reads the text of `message` out of a call's arguments while they arrive."""

    def __init__(self) -> None:
        self._scan, self._decoder = ObjectScan(), StringDecoder()
        self._is_text: bool | None = None

    def feed(self, piece: str) -> str:
        """The text that this piece of the arguments adds."""
        return "".join(map(self._take, piece))

    def _take(self, char: str) -> str:
        inside = self._scan.take(char)
        if not inside or self._scan.broken or self._scan.key != "message":
            return ""
        if self._is_text is None:
            self._is_text = char == '"'
            return ""
        return self._decoder.take(char) if self._is_text and not self._scan.value_ended else ""


def _message_in(arguments: str) -> str:
    try:
        value = orjson.loads(arguments)
        if isinstance(value, str):  # some models write the object as a JSON string
            value = orjson.loads(value)
    except orjson.JSONDecodeError:
        return ""
    text = value.get("message") if isinstance(value, dict) else None
    return text if isinstance(text, str) else ""
