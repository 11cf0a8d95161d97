"""What a trace has to show, one item after the other: what HTML and plain text both draw.

Items hold texts as they came; whoever draws them makes them safe and cuts them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import orjson

from agentlab.messages import envelopes
from agentlab.messages.message import Message
from agentlab.messages.parts import (
    Base64Image,
    ImagePart,
    OmittedReasoningPart,
    Part,
    ReasoningPart,
    RedactedReasoningPart,
    SummarizedReasoningPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UrlImage,
)
from agentlab.messages.returns import CallReturn, returns_of
from agentlab.trace._sections import Section, started
from agentlab.trace.events import ApprovalDecided, ContinuationDecided, ErrorRaised
from agentlab.trace.words import as_json, seconds

if TYPE_CHECKING:
    from agentlab.trace.steps import Entry, ToolCallRecord
    from agentlab.trace.trace import Trace


@dataclass(frozen=True, slots=True)
class Said:
    """What people read: the user's words, or the agent's to the user."""

    who: Literal["user", "agent"]
    text: str
    messages: int = 0
    """How many messages of the trace this item stands for; here and in the other items."""
    message_id: str = field(default="", compare=False)
    """The message it was read from, which is nothing to see; empty where there is none. Here and in the other items."""


@dataclass(frozen=True, slots=True)
class Thought:
    """What the model thought. Reasoning is native to the model, inner thoughts belong to the protocol."""

    label: str
    text: str
    messages: int = 0
    message_id: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Told:
    """What the model was told by nobody in person: system message, alert, heartbeat, decision on an approval."""

    label: str
    text: str
    messages: int = 0
    message_id: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Called:
    """A tool call and its return."""

    tool: str
    arguments: str | None
    """JSON text; None where the trace holds the return alone."""
    status: Literal["waiting", "running", "success", "error", "unanswered"]
    returned: str | None = None
    error_type: str | None = None
    duration_s: float | None = None
    ran: bool = True
    """False: it was answered without having run."""
    heartbeat: bool = False
    """The model asked for another step along with it."""
    approval: str | None = None
    """What approvers said of it, in words; None when nobody was asked."""
    messages: int = 0
    message_id: str = field(default="", compare=False)
    call_id: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Decided:
    """Whether the agent got another step."""

    decision: ContinuationDecided
    messages: int = 0
    message_id: str = field(default="", compare=False)
    """The heartbeat that tells the model of it; empty where none was sent."""


@dataclass(frozen=True, slots=True)
class Failed:
    """An error outside of tools."""

    error: ErrorRaised
    messages: int = 0


Item: TypeAlias = Said | Thought | Told | Called | Decided | Failed


def items_of(section: Section, trace: Trace) -> Iterator[Item]:
    """The items of a section, in order. Together they stand for each of its messages once."""
    reader = _Reader(section, trace)
    for entry in section.entries:
        yield from reader.read(entry)
    yield from reader.rest()


class _Reader:
    """Joins what belongs together: a call with its return, a decision with its heartbeat."""

    def __init__(self, section: Section, trace: Trace) -> None:
        self._step = section.step
        self._errors = section.errors
        begin = started(trace)
        self._memgpt = begin is not None and begin.protocol == "memgpt"
        self._records: dict[str, ToolCallRecord] = {}
        if section.step:
            self._records = {call.call_id: call for call in section.step.tool_calls}
        self._answers: dict[str, CallReturn] = {}
        self._tool_messages: dict[str, int] = {}
        """How many tool messages a call stands for. One that answers several calls goes with the first of them."""
        self._returns = deque[list[CallReturn]]()
        """The returns of the tool messages that have not been read yet, in their order."""
        self._pair(section)
        self._drawn: set[str] = set()
        self._heartbeats: list[str] = []

    def _pair(self, section: Section) -> None:
        calls = set(self._records)
        for entry in section.entries:
            message = entry.message
            for call in message.tool_calls or ():
                calls.add(call.id)
            if message.role != "tool":
                continue
            returns = returns_of(message)
            self._returns.append(returns)
            answers = [answer for answer in returns if answer.call_id in calls]
            for answer in answers:
                self._answers[str(answer.call_id)] = answer
            for answer in answers[:1]:
                call_id = str(answer.call_id)
                self._tool_messages[call_id] = self._tool_messages.get(call_id, 0) + 1

    def read(self, entry: Entry) -> Iterator[Item]:
        message = entry.message
        if message.role == "tool":
            yield from self._lost_returns(message)
        elif message.role == "assistant" or message.is_approval_request:
            yield from self._reply(message)
        elif message.role == "approval":
            yield Told("approval", _decisions(message), 1, message.id)
        elif message.role == "system":
            label = "system message" if self._step is None else "system message, new version"
            yield Told(label, _text(message), 1, message.id)
        elif entry.source == "heartbeat" and self._step is not None and self._step.decision is not None:
            self._heartbeats.append(message.id)  # the decision tells its reason
        else:
            yield _of_user(message, wrapped=self._memgpt or entry.source != "input")

    def rest(self) -> Iterator[Item]:
        """Calls whose message is not in the trace (the process died), errors, the decision."""
        for call_id in self._records:
            if call_id not in self._drawn:
                yield self._call(call_id, None, None)
        for error in self._errors:
            yield Failed(error)
        if self._step is not None and self._step.decision is not None:
            heartbeats = self._heartbeats
            yield Decided(self._step.decision, len(heartbeats), heartbeats[-1] if heartbeats else "")

    def _reply(self, message: Message) -> Iterator[Item]:
        messages = 1  # the first item stands for the message
        for part in message.content or ():
            item = self._part(part, message.id, messages)
            if item is not None:
                yield item
                messages = 0
        for call in message.tool_calls or ():
            called = self._call(call.id, call.function.name, call.function.arguments, message.id)
            yield from _with_what_it_says(called, messages)
            messages = 0
        if messages:
            yield Told("reply", "(nothing)", 1, message.id)

    def _part(self, part: Part, message_id: str, messages: int) -> Item | None:
        match part:
            case TextPart() if not part.text.strip():
                return None
            case TextPart():
                if self._memgpt:
                    return Thought("inner thoughts", part.text, messages, message_id)
                return Said("agent", part.text, messages, message_id)
            case ReasoningPart():
                return Thought("reasoning", part.reasoning, messages, message_id)
            case SummarizedReasoningPart():
                text = "\n\n".join(entry.text for entry in part.summary)
                return Thought("reasoning, summarised", text, messages, message_id)
            case RedactedReasoningPart():
                return Thought("reasoning, encrypted by the provider", "", messages, message_id)
            case OmittedReasoningPart():
                return Thought("reasoning, not shown by the provider", "", messages, message_id)
            case ToolCallPart():
                called = self._call(part.id, part.name, as_json(part.input), message_id)
                return _standing_for(called, messages)
            case _:
                return Told("content", _part_text(part), messages, message_id)

    def _call(self, call_id: str, name: str | None, written: str | None, message_id: str = "") -> Called:
        """A call, which stands for the messages that answer it."""
        self._drawn.add(call_id)
        messages = self._tool_messages.pop(call_id, 0)
        heartbeat = _asks_for_heartbeat(written)
        record = self._records.get(call_id)
        if record is None:
            answer = self._answers.get(call_id)
            shown = Called(name or "?", written, "unanswered") if answer is None else _answered(answer, name, written)
            return replace(shown, heartbeat=heartbeat, messages=messages, message_id=message_id, call_id=call_id)
        returned = record.returned
        return Called(
            name or record.tool,
            record.started.arguments if record.started else written,
            record.status,
            returned=returned.text if returned else None,
            error_type=returned.error_type if returned else None,
            duration_s=record.duration_s,
            ran=record.started is not None,
            heartbeat=heartbeat,
            approval=approval_in_words(record),
            messages=messages,
            message_id=message_id,
            call_id=call_id,
        )

    def _lost_returns(self, message: Message) -> Iterator[Item]:
        """Returns whose calls are elsewhere."""
        returns = self._returns.popleft()
        lost = [answer for answer in returns if answer.call_id not in self._answers]
        owned = len(lost) < len(returns)  # then one of the calls drawn stands for the message
        for n, answer in enumerate(lost):
            shown = _answered(answer, None, None)
            n_messages = int(n == 0 and not owned)
            yield replace(shown, messages=n_messages, message_id=message.id, call_id=str(answer.call_id or ""))


def _answered(answer: CallReturn, name: str | None, written: str | None) -> Called:
    """A call as its messages tell of it, where the trace has no events for it."""
    text = "\n\n".join(map(_part_text, answer.content))
    envelope = envelopes.unpack(text)
    returned = envelope.text if envelope is not None and envelope.kind == "tool_return" else text
    return Called(name or answer.name or "?", written, "success" if answer.ok else "error", returned=returned)


def _of_user(message: Message, *, wrapped: bool) -> Item:
    """A message of role user; `wrapped`: its text may be an envelope, which in a user's own words it never is."""
    text = _text(message)
    envelope = envelopes.unpack(text) if wrapped else None
    if envelope is None or envelope.text is None or envelope.kind not in _KINDS:
        return Said("user", text, 1, message.id)
    label = _KINDS[envelope.kind]
    if label:
        return Told(label, without_prefix(envelope.text), 1, message.id)
    return Said("user", envelope.text, 1, message.id)


_KINDS = {"user_message": "", "heartbeat": "heartbeat", "system_alert": "system alert", "login": "last login"}
"""Envelopes of user messages: what they are called here, nothing for a user's own words."""


def without_prefix(reason: str) -> str:
    """A reason without the sentence that says to the model that it is automated."""
    return reason.removeprefix(envelopes.AUTOMATED)


def _standing_for(call: Called, messages: int) -> Called:
    """A call that stands for so many messages more."""
    return replace(call, messages=call.messages + messages) if messages else call


def _with_what_it_says(call: Called, messages: int) -> list[Item]:
    """A call of `send_message`, unless it failed, becomes what it says to the user and a call without that text.

    The first of these items stands for so many messages besides.
    """
    if call.tool != "send_message" or call.status == "error":
        return [_standing_for(call, messages)]
    arguments = _arguments(call.arguments)
    text = arguments.get("message")
    if not isinstance(text, str):
        return [_standing_for(call, messages)]
    rest = call.arguments if arguments.keys() - {"message", "request_heartbeat"} else None
    returned = None if call.returned == "None" else call.returned
    return [Said("agent", text, messages, call.message_id), replace(call, arguments=rest, returned=returned)]


def _asks_for_heartbeat(arguments: str | None) -> bool:
    if arguments is None or ("heartbeat" not in arguments and "\\u" not in arguments):
        return False  # most calls, which need not be read for that
    value = _arguments(arguments).get("request_heartbeat", False)
    return value.lower() == "true" if isinstance(value, str) else bool(value)


def _arguments(text: str | None) -> dict[str, Any]:
    try:
        value = orjson.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _decisions(message: Message) -> str:
    lines = []
    for entry in message.approvals or ():
        verdict = "answered by the client" if entry.type != "approval" else "approved" if entry.approve else "denied"
        reason = getattr(entry, "reason", None)
        lines.append(f"{entry.tool_call_id}: {verdict}" + (f" ({reason})" if reason else ""))
    return "\n".join(lines)


def _text(message: Message) -> str:
    return "\n\n".join(map(_part_text, message.content or ()))


def _part_text(part: Part) -> str:
    match part:
        case TextPart():
            return part.text
        case ImagePart():
            return f"[picture: {_picture(part)}]"
        case ReasoningPart():
            return part.reasoning
        case ToolReturnPart():
            return part.content
        case _:
            return f"[{part.type}]"


def _picture(part: ImagePart) -> str:
    source = part.source
    if isinstance(source, UrlImage):
        return f"at {source.url}, not fetched"
    if isinstance(source, Base64Image):
        return f"{source.media_type}, {len(source.data):,} base64 characters"
    return f"stored as {source.file_id}"


_VERBS = {
    "approve": "approved",
    "edit": "approved with other arguments",
    "deny": "denied",
    "respond": "answered in the tool's place",
    "escalate": "handed on",
    "stop": "stopped the run",
}


def approval_in_words(record: ToolCallRecord) -> str | None:
    """What approvers said of a call and how long each was waited for; None when nobody was asked."""
    if not record.decisions and record.requested is None:
        return None
    said = [_decision_in_words(decision, record) for decision in record.decisions]
    if record.status == "waiting":
        said.append("waits for a decision")
    return "; ".join(said) or None


def _decision_in_words(decision: ApprovalDecided, record: ToolCallRecord) -> str:
    told = f"{_VERBS[decision.action]} by {decision.approver}"
    if decision.approver_kind == "person" and record.requested is not None and not record.wait_is_lost:
        told += f" after {seconds((decision.t_ns - record.requested.t_ns) / 1e9)}"
    if decision.action == "edit" and record.requested is not None:
        told += f", in the place of {record.requested.arguments}"
    return f"{told}: {decision.reason}" if decision.reason else told
