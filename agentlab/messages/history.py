"""Why a provider would refuse a conversation, and the mended one.

The rules are those of the OpenAI chat form, which nearly all endpoints share: each call has an id of its own and is
answered once, right after the message that made it; each return answers a call; no message is empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agentlab import clock
from agentlab.messages._pairing import Call, Pairing, ProblemKind, Return, pair
from agentlab.messages.builders import tool_message
from agentlab.messages.message import Message
from agentlab.messages.parts import ToolCallPart
from agentlab.messages.returns import with_returns

NEVER_RAN = "No decision was made on this call; it did not run."
NO_RETURN = "No return of this call was recorded."

_TEXTS: dict[ProblemKind, str] = {
    "duplicate_call_id": "has the id of an earlier call",
    "duplicate_return": "answers a call that is answered already",
    "empty_message": "has nothing in it",
    "late_return": "answers a call, but other messages stand between them",
    "missing_call_id": "has no call id",
    "orphan_return": "answers a call that no message before it made",
    "pending_approval": "asks for an approval that nobody has given or refused",
    "unanswered_call": "makes a call that nothing answers",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that a provider would refuse."""

    kind: ProblemKind
    index: int
    """Position of the message in the list."""
    message_id: str
    call_id: str | None = None

    def __str__(self) -> str:
        call = f" (call {self.call_id!r})" if self.call_id else ""
        return f"message {self.index} {_TEXTS[self.kind]}{call}"


def lint(messages: Sequence[Message]) -> list[Problem]:
    """Why a provider would refuse this list, in the order of the messages; empty when it would not."""
    return _problems(messages, pair(messages))


def mend(messages: Sequence[Message]) -> list[Message]:
    """The smallest change of a conversation that every provider accepts; a clean one comes back as it is.

    Late returns move up to their calls, calls without a return get a failed one, ids that are missing or used twice
    become fresh ones. Returns without a call and messages without anything in them go; nothing else is lost.
    """
    pairing = pair(messages)
    if not _problems(messages, pairing):
        return list(messages)
    return _Mender(messages, pairing).mended()


def _problems(messages: Sequence[Message], pairing: Pairing) -> list[Problem]:
    found = [Problem("empty_message", i, messages[i].id) for i in pairing.empty]
    for call in pairing.calls:
        kinds = [call.fault] if call.fault else []
        if call.answered_by is None:
            kinds.append("pending_approval" if _is_pending(call, messages) else "unanswered_call")
        found += [Problem(kind, call.index, messages[call.index].id, call.id or None) for kind in kinds]
    found += [Problem(r.fault, r.index, messages[r.index].id, r.call_id) for r in pairing.returns if r.fault]
    return sorted(found, key=lambda p: p.index)


def _is_pending(call: Call, messages: Sequence[Message]) -> bool:
    return messages[call.index].is_approval_request and not call.decided


class _Mender:
    """Writes a paired history anew, turn by turn."""

    def __init__(self, messages: Sequence[Message], pairing: Pairing) -> None:
        self._messages = messages
        self._pairing = pairing
        self._fresh = {c: clock.new_call_id() if c.fault else c.id for c in pairing.calls}
        self._empty = set(pairing.empty)
        self._last = {turn: index for index, turn in pairing.turn_of.items()}
        self._written: set[int] = set()

    def mended(self) -> list[Message]:
        out: list[Message] = []
        for index, message in enumerate(self._messages):
            turn = self._pairing.turn_of.get(index)
            if turn is not None:
                out.append(self._asking(index))
                if self._last[turn] == index:
                    out += self._answers(turn)
            elif message.is_approval_reply:
                out += self._stray_reply(index)
            elif message.role != "tool" and index not in self._empty:
                out.append(message)
        return out

    def _asking(self, index: int) -> Message:
        """The message with its calls under the ids they have now."""
        message = self._messages[index]
        ids = [(c.id, self._fresh[c]) for c in self._pairing.calls if c.turn == self._pairing.turn_of[index]]
        if all(was == now for was, now in ids):
            return message
        calls = tuple(c.model_copy(update={"id": _take(ids, c.id)}) for c in message.tool_calls or ())
        content = tuple(
            p.model_copy(update={"id": _take(ids, p.id)}) if isinstance(p, ToolCallPart) else p
            for p in message.content or ()
        )
        first = calls[0].id if len(calls) == 1 else None
        return message.model_copy(
            update={"tool_calls": calls or message.tool_calls, "content": content, "tool_call_id": first}
        )

    def _answers(self, turn: int) -> list[Message]:
        """What answers a turn: the messages that do, in order, then failed returns for the rest."""
        out: list[Message] = []
        mine = [r for r in self._pairing.returns if r.call and r.call.turn == turn]
        for index in sorted({r.index for r in mine}):
            message = self._messages[index]
            entries = [r for r in mine if r.index == index]
            mended = (
                self._replying(message, entries) if message.role == "approval" else self._returning(message, entries)
            )
            if index in self._written:  # one message answered calls of several turns
                mended = mended.model_copy(update={"id": clock.new_message_id()})
            self._written.add(index)
            out.append(mended)
        calls = [c for c in self._pairing.calls if c.turn == turn and c.answered_by is None]
        return out + [self._failed(call) for call in calls]

    def _returning(self, message: Message, entries: Sequence[Return]) -> Message:
        ids = {r.position: self._fresh[r.call] for r in entries if r.call}
        everything = sum(1 for r in self._pairing.returns if r.index == entries[0].index)
        same = len(entries) == everything and all(r.call_id == ids[r.position] for r in entries)
        return message if same else with_returns(message, ids)

    def _replying(self, message: Message, entries: Iterable[Return]) -> Message:
        given = message.approvals or ()
        kept = [given[r.position].model_copy(update={"tool_call_id": self._fresh[r.call]}) for r in entries if r.call]
        return message if tuple(kept) == given else message.model_copy(update={"approvals": tuple(kept)})

    def _stray_reply(self, index: int) -> list[Message]:
        """A reply that decides on no call: it stays when it says nothing to the model."""
        message = self._messages[index]
        entries = [r for r in self._pairing.returns if r.index == index]
        if any(r.call for r in entries) or any(r.fault for r in entries):
            return []
        return [message]

    def _failed(self, call: Call) -> Message:
        asking = self._messages[call.index]
        return tool_message(
            self._fresh[call],
            call.name,
            NEVER_RAN if _is_pending(call, self._messages) else NO_RETURN,
            ok=False,
            agent_id=asking.agent_id,
            model=asking.model,
            run_id=asking.run_id,
            step_id=asking.step_id,
            batch_item_id=asking.batch_item_id,
        )


def _take(ids: list[tuple[str, str]], old: str) -> str:
    """The next new id for an old one; calls that share an old id are in order."""
    for n, (was, now) in enumerate(ids):
        if was == old:
            return ids.pop(n)[1] if any(w == old for w, _ in ids[n + 1 :]) else now
    return old
