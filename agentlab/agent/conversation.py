"""The conversation of one run: every message joins it here, and is recorded as it joins."""

from __future__ import annotations

from collections.abc import Sequence

from agentlab import clock
from agentlab.agent.settings import AgentSettings
from agentlab.messages import builders
from agentlab.messages.builders import Links
from agentlab.messages.message import Message, ToolCall
from agentlab.messages.parts import Part
from agentlab.models.base import ModelRequest
from agentlab.trace.events import MessageAdded, MessageSource, ToolReturned
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
        self._as_sent: dict[str, Message] = {}
        self.step_id: str | None = None

    def begin(self, history: Sequence[Message], messages: Sequence[Message]) -> None:
        """Take over an earlier conversation and add the input. The agent's own system message comes first."""
        self.refresh_system()
        for message in history:
            if message.role == "system" and self._system is not None:
                continue  # the agent's own stands in its place
            self._add(message, "history")
            self._turn += message.role == "assistant" and message.model == self._settings.model.name
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

    def add_return(self, call: ToolCall, text: str, *, ok: bool, error_type: str | None = None) -> None:
        """Answer a call: the return as it was, and the message that the model reads."""
        settings, name = self._settings, call.function.name
        self._recorder.emit(
            ToolReturned,
            call_id=call.id,
            tool=name,
            status="success" if ok else "error",
            text=text,
            error_type=error_type,
        )
        packed = settings.protocol.return_text(text, ok=ok, timezone=settings.timezone)
        message = builders.tool_message(call.id, name, packed, ok=ok, **self._links())
        self._open.pop(call.id, None)
        self._add(message, "tool")
        self._recorder.flush()

    def add_heartbeat(self, reason: str) -> None:
        """Add the message that gives the model another step."""
        text = self._settings.protocol.heartbeat_text(reason, self._settings.timezone)
        self._add(builders.heartbeat_message(text, **self._links()), "heartbeat")

    def answer_open_calls(self, text: str, error_type: str) -> None:
        """Give every waiting call a failed return, so that no provider refuses the history."""
        for call in list(self._open.values()):
            self.add_return(call, text, ok=False, error_type=error_type)

    def own_ids(self, calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
        """The calls, each with an id of its own: some servers number theirs anew in every reply."""
        return tuple(
            call.model_copy(update={"id": clock.new_call_id()})
            if call.id in seen or call.id in self._used_ids
            else call
            for call, seen in zip(calls, _ids_before(calls), strict=True)
        )

    def request(self) -> ModelRequest:
        """What to ask the model now."""
        settings = self._settings
        return ModelRequest(
            messages=[self._sent(message) for message in self._recorder.trace.messages],
            tools=settings.offered,
            tool_choice=_tool_choice(settings),
            parallel_tool_calls=settings.parallel_tool_calls,
            params=settings.params,
            turn=self._turn,
        )

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


def _tool_choice(settings: AgentSettings) -> str:
    if not settings.offered:
        return "none"
    return "required" if settings.protocol.demands_call else "auto"
