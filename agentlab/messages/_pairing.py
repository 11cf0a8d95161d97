"""Which return answers which call: one pass over a history, shared by `lint` and `mend`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from agentlab.messages.message import ApprovalReturn, Message
from agentlab.messages.parts import OmittedReasoningPart, ReasoningPart, SummarizedReasoningPart, TextPart, ToolCallPart
from agentlab.messages.returns import decided_calls, returns_of

ProblemKind: TypeAlias = Literal[
    "duplicate_call_id",
    "duplicate_return",
    "empty_message",
    "late_return",
    "missing_call_id",
    "orphan_return",
    "pending_approval",
    "unanswered_call",
]


@dataclass(slots=True, eq=False)
class Call:
    """A call, and whether something answers it."""

    index: int
    """Position of its message in the history."""
    id: str
    name: str
    turn: int
    fault: ProblemKind | None = None
    decided: bool = False
    answered_by: Literal["tool", "approval"] | None = None


@dataclass(slots=True, eq=False)
class Return:
    """A return or a decision, and the call it speaks of."""

    index: int
    position: int
    """Position among the returns, or the approvals, of its message."""
    call_id: str | None
    call: Call | None = None
    fault: ProblemKind | None = None


@dataclass(slots=True)
class Pairing:
    """A history, read. A turn is a reply of the model with calls; they are numbered from 1."""

    calls: list[Call] = field(default_factory=list)
    returns: list[Return] = field(default_factory=list)
    turn_of: dict[int, int] = field(default_factory=dict)
    """By position of a message that asks: its turn. An approval request shares that of the message just before it."""
    empty: list[int] = field(default_factory=list)
    """Positions of messages without anything in them."""


def pair(messages: Sequence[Message]) -> Pairing:
    """Read a history."""
    reader = _Reader(messages)
    for index, message in enumerate(messages):
        if message.role == "tool":
            reader.take_returns(index, message)
        elif message.is_approval_reply:
            reader.take_decisions(index, message)
        elif calls := calls_of(message):
            reader.take_calls(index, message, calls)
        elif is_empty(message):
            reader.found.empty.append(index)
        elif not _is_unseen(message):
            reader.open_turn = None
    reader.settle_decisions()
    return reader.found


def calls_of(message: Message) -> list[tuple[str, str]]:
    """The ids and names of the calls that a message makes."""
    if message.role not in ("assistant", "approval"):
        return []
    calls = [(c.id, c.function.name) for c in message.tool_calls or ()]
    known = {call_id for call_id, _ in calls}
    parts = [p for p in message.content or () if isinstance(p, ToolCallPart)]
    return calls + [(p.id, p.name) for p in parts if p.id not in known]


def is_empty(message: Message) -> bool:
    """True when there is nothing in a message."""
    return all(_is_hollow(p) for p in message.content or ())


def _is_hollow(part: object) -> bool:
    if isinstance(part, TextPart):
        return not part.text and part.signature is None
    return isinstance(part, ReasoningPart) and not part.reasoning and part.signature is None


def _is_unseen(message: Message) -> bool:
    """True when the chat form has no place for what is in a message."""
    hidden = OmittedReasoningPart | SummarizedReasoningPart
    return message.role == "assistant" and all(isinstance(p, hidden) for p in message.content or ())


class _Reader:
    """The state of the pass."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.found = Pairing()
        self.open_turn: int | None = None
        self._messages = messages
        self._turns = 0
        self._request: Message | None = None
        self._latest: dict[str, list[Call]] = {}
        self._decisions: list[tuple[Return, list[Call], int | None]] = []

    def take_calls(self, index: int, message: Message, calls: list[tuple[str, str]]) -> None:
        joins = message.is_approval_request and self._asks(index - 1)
        self._turns += not joins
        self.found.turn_of[index] = self.open_turn = self._turns
        if message.is_approval_request:
            self._request = message
        before = {c.id for c in self.found.calls if c.turn == self._turns} if joins else set()
        for call_id, name in calls:
            if call_id not in before:  # a request may name again what the message just before it asked for
                self._take_call(Call(index, call_id, name, self._turns))

    def _take_call(self, call: Call) -> None:
        earlier = self._latest.get(call.id)
        if not call.id:
            call.fault = "missing_call_id"
        elif earlier:
            call.fault = "duplicate_call_id"
        if earlier and earlier[0].turn == call.turn:
            earlier.append(call)
        else:
            self._latest[call.id] = [call]
        self.found.calls.append(call)

    def take_returns(self, index: int, message: Message) -> None:
        for position, given in enumerate(returns_of(message)):
            entry = Return(index, position, given.call_id)
            self.found.returns.append(entry)
            if given.call_id:
                _answer(entry, self._latest.get(given.call_id, []), self.open_turn)
            else:
                entry.fault = "missing_call_id"
                entry.call = self._call_meant(given.name)
            if entry.call:
                entry.call.answered_by = "tool"

    def take_decisions(self, index: int, message: Message) -> None:
        for position, given in enumerate(message.approvals or ()):
            for call_id in decided_calls(given, self._request):
                entry, calls = Return(index, position, call_id), self._latest.get(call_id, [])
                self.found.returns.append(entry)
                if isinstance(given, ApprovalReturn) and given.approve:
                    entry.call = calls[0] if calls else None
                else:
                    self._decisions.append((entry, calls, self.open_turn))
                for call in calls:
                    call.decided = True

    def settle_decisions(self) -> None:
        """Let denials and the client's own returns answer what no tool message answers."""
        for entry, calls, turn in self._decisions:
            entry.call = next((c for c in calls if c.answered_by == "tool"), None)
            if entry.call is None:
                _answer(entry, calls, turn)
                if entry.call:
                    entry.call.answered_by = "approval"

    def _call_meant(self, name: str | None) -> Call | None:
        waiting = [c for c in self.found.calls if c.turn == self.open_turn and not c.answered_by]
        if name:
            return next((c for c in waiting if c.name == name), None)
        return waiting[0] if len(waiting) == 1 else None

    def _asks(self, index: int) -> bool:
        return index in self.found.turn_of and self._messages[index].role == "assistant"


def _answer(entry: Return, calls: list[Call], turn: int | None) -> None:
    if not calls:
        entry.fault = "orphan_return"
        return
    entry.call = next((c for c in calls if not c.answered_by), None)
    if entry.call is None:
        entry.fault = "duplicate_return"
    elif entry.call.turn != turn:
        entry.fault = "late_return"
