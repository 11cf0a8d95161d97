"""The conversation of one run: every message joins it here, and is recorded as it joins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import orjson

from agentlab import clock
from agentlab.agent.settings import AgentSettings
from agentlab.agent.tool_rules import Offer
from agentlab.messages import builders
from agentlab.messages.builders import Links
from agentlab.messages.message import Message, ToolCall
from agentlab.messages.parts import Part
from agentlab.models.base import ModelRequest
from agentlab.trace.events import ContextCompacted, MessageAdded, MessageSource, ToolReturned
from agentlab.trace.recorder import Recorder


class Conversation:
    """Messages of a run, with the links that tie them to it and the calls that still wait for a return."""

    def __init__(self, settings: AgentSettings, recorder: Recorder) -> None:
        self._settings = settings
        self._recorder = recorder
        self._system: Message | None = None
        self._turn = 0
        self._used_ids: set[str] = set()
        self._open: dict[str, ToolCall] = {}
        self._returned: dict[str, tuple[str, bool]] = {}
        self._as_sent: dict[str, Message] = {}
        self.step_id: str | None = None

    def take_up(self) -> None:
        """Read out of the trace where a run stood that goes on."""
        trace = self._recorder.trace
        for entry in trace.entries:
            message = entry.message
            self._used_ids.update(call.id for call in message.tool_calls or ())
            if entry.source == "system":
                self._system = message
            elif entry.source == "model":
                self._turn += 1
                self._open = {call.id: call for call in message.tool_calls or ()}
            elif entry.source == "tool":
                self._open.pop(message.tool_call_id or "", None)
            elif entry.source == "history":
                self._turn += self._is_own(message)
        self._returned = {
            call_id: (record.returned.text or "", record.returned.status == "success")
            for call_id, record in trace.tool_calls.items()
            if call_id in self._open and record.returned is not None
        }
        self.step_id = trace.steps[-1].step_id if trace.steps else None

    def begin(self, history: Sequence[Message], messages: Sequence[Message]) -> None:
        """Take over an earlier conversation and add the input. The agent's own system message comes first."""
        self.refresh_system()
        for message in history:
            if message.role == "system" and self._system is not None:
                continue  # the agent's own stands in its place
            self._add(message, "history")
            self._turn += self._is_own(message)
        for message in messages:
            self._add(message.model_copy(update={"run_id": self._recorder.run_id}), "input")

    def refresh_system(self) -> None:
        """Write the system message again when the memory in it has changed."""
        text, old = self._settings.system_text(), self._system
        if not text or (old is not None and old.text == text):
            return
        self._system = builders.system_message(text, **self._links())
        self._add(self._system, "system", replaces=old.id if old else None)

    def add_assistant(self, content: Sequence[Part], calls: Sequence[ToolCall]) -> None:
        """Add what the model said; nothing, when it said nothing."""
        self._turn += 1
        if content or calls:
            self._open.update((call.id, call) for call in calls)
            self._add(builders.assistant_message(content, calls, **self._links()), "model")

    def record_return(self, call: ToolCall, text: str, *, ok: bool, error_type: str | None = None) -> None:
        """Write down what a call gave back. The model's message follows with `write_returns`."""
        self._recorder.emit(
            ToolReturned,
            call_id=call.id,
            tool=call.function.name,
            status="success" if ok else "error",
            text=text,
            error_type=error_type,
        )
        self._returned[call.id] = text, ok
        self._recorder.flush()

    def write_returns(self) -> None:
        """Add a message for each return that has none yet, in the order of the calls."""
        settings = self._settings
        for call_id, call in list(self._open.items()):
            if call_id not in self._returned:
                continue
            text, ok = self._returned.pop(call_id)
            packed = settings.protocol.return_text(self._told(call, text), ok=ok, timezone=settings.timezone)
            del self._open[call_id]
            self._add(builders.tool_message(call_id, call.function.name, packed, ok=ok, **self._links()), "tool")

    def add_heartbeat(self, reason: str) -> None:
        """Add the message that gives the model another step."""
        text = self._settings.protocol.heartbeat_text(reason, self._settings.timezone)
        self._add(builders.heartbeat_message(text, **self._links()), "heartbeat")

    def answer_open_calls(self, text: str, error_type: str) -> None:
        """Give every call that waits a failed return, so that no provider refuses the history."""
        for call in self._open.values():
            if call.id not in self._returned:
                self.record_return(call, text, ok=False, error_type=error_type)
        self.write_returns()

    def may_leave(self, messages: Sequence[Message]) -> list[Message]:
        """Those of the messages that may leave the context: all but the last input."""
        inputs = [entry.message.id for entry in self._recorder.trace.entries if entry.source == "input"]
        return [message for message in messages if message.id not in inputs[-1:]]

    def compact(self, how: Literal["drop", "summary"], removed: Sequence[Message], summary: str | None) -> None:
        """Take messages out of the context; the trace keeps them all."""
        note = None if summary is None else builders.user_message(summary, **self._links())
        self._recorder.emit(ContextCompacted, how=how, removed=tuple(m.id for m in removed), summary=note)

    def own_ids(self, calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
        """The calls, each with an id of its own: some servers number theirs anew in every reply."""
        return tuple(
            call.model_copy(update={"id": clock.new_call_id()})
            if call.id in seen or call.id in self._used_ids
            else call
            for call, seen in zip(calls, _ids_before(calls), strict=True)
        )

    def request(self, offer: Offer, *, attempt: int = 0) -> ModelRequest:
        """What to ask the model now."""
        settings = self._settings
        return ModelRequest(
            messages=[self._sent(message) for message in self._recorder.trace.messages],
            tools=tuple(settings.offered[name] for name in offer.tools),
            tool_choice=settings.tool_choice(offer),
            parallel_tool_calls=settings.parallel_tool_calls,
            params=settings.params,
            turn=self._turn,
            attempt=attempt,
        )

    def _is_own(self, message: Message) -> bool:
        """Whether this model wrote the message."""
        return message.role == "assistant" and message.model == self._settings.model.name

    def _told(self, call: ToolCall, text: str) -> str:
        """A return, with the arguments that really ran when they are not those that the model wrote."""
        record = self._recorder.trace.tool_calls.get(call.id)
        if record is None or record.started is None:
            return text
        executed = record.started.arguments
        if orjson.loads(executed) == self._settings.protocol.open(call).arguments:
            return text
        edited = record.decision is not None and record.decision.action == "edit"
        by = record.decision.approver if edited and record.decision else "a tool rule"
        return f"[{by} changed the arguments before the call ran, to {executed}]\n{text}"

    def _links(self) -> Links:
        return Links(model=self._settings.model.name, run_id=self._recorder.run_id, step_id=self.step_id)

    def _sent(self, message: Message) -> Message:
        sent = self._as_sent.get(message.id)
        if sent is None:
            sent = self._as_sent[message.id] = self._settings.protocol.as_sent(message)
        return sent

    def _add(self, message: Message, source: MessageSource, *, replaces: str | None = None) -> None:
        self._used_ids.update(call.id for call in message.tool_calls or ())
        self._recorder.emit(MessageAdded, message=message, source=source, replaces=replaces)


def _ids_before(calls: Sequence[ToolCall]) -> list[set[str]]:
    return [{call.id for call in calls[:n]} for n in range(len(calls))]
