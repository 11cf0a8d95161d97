"""The desk of a run: calls that wait for a decision, and the decisions that came, each by call id.

From any thread, in any order; a repeated answer is harmless, a contradicting one is refused.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from agentlab.agent.approval import Decision, call_hash
from agentlab.agent.listeners import Listeners
from agentlab.agent.protocol import own_parameters
from agentlab.agent.tools import Tool
from agentlab.errors import ApprovalError
from agentlab.trace.events import ToolSpec
from agentlab.trace.steps import ToolCallRecord


@dataclass(frozen=True, slots=True)
class PendingCall:
    """A tool call that waits for a decision."""

    call_id: str
    tool: str
    arguments: dict[str, Any]
    """Checked against the tool's schema."""
    run_id: str
    step: int
    description: str = ""
    """What the tool says of itself."""
    rule: str = ""
    """Why somebody is asked."""
    number: int = 0
    """How many questions this run has asked before."""
    parameters: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """JSON schema of the arguments, as far as it is known."""
    tool_object: Tool | None = field(default=None, compare=False, repr=False)
    """The tool, where it is at hand."""

    @classmethod
    def of_record(
        cls, record: ToolCallRecord, run_id: str, *, spec: ToolSpec | None, tool: Tool | None = None
    ) -> PendingCall:
        """A call that waits, out of the trace of its run, and the tool as it was offered."""
        assert record.requested is not None  # noqa: S101  # it waits
        return cls(
            call_id=record.call_id,
            tool=record.tool,
            arguments=orjson.loads(record.requested.arguments),
            run_id=run_id,
            step=record.step,
            description=spec.description if spec else "",
            rule=record.requested.rule,
            parameters=own_parameters(spec) if spec else {},
            tool_object=tool,
        )

    @property
    def call_hash(self) -> str:
        """What a decision is bound to."""
        return call_hash(self.tool, self.arguments)

    def check(self, decision: Decision) -> None:
        """Return when the decision can be carried out.

        Raises:
            ToolArgumentError: Edited arguments break the tool's schema.
        """
        if decision.arguments is not None and self.tool_object is not None:
            self.tool_object.check(decision.arguments)

    def check_for(self, decision: Decision, call_hash: str | None) -> None:
        """Return when the decision can be carried out, and is about this very call.

        Raises:
            ApprovalError: It was taken on other arguments.
            ToolArgumentError: Edited arguments break the tool's schema.
        """
        if call_hash is not None and call_hash != self.call_hash:
            raise ApprovalError(f"`{self.call_id}` is another call than the one that was looked at: look again")
        self.check(decision)


@dataclass(frozen=True, slots=True)
class Answer:
    """A decision and who took it."""

    decision: Decision
    by: str

    def repeats(self, call_id: str, decision: Decision) -> Literal[False]:
        """False: the same was decided before.

        Raises:
            ApprovalError: Something else was.
        """
        if self.decision != decision:
            raise ApprovalError(f"`{call_id}` was decided before: {self.decision.action}, by {self.by}")
        return False


class Desk:
    """Pending calls and their answers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.listeners = Listeners()
        """Told when a call is opened, withdrawn or decided."""
        self._waiting: dict[str, tuple[PendingCall, asyncio.Future[Answer]]] = {}
        self._opened: dict[str, asyncio.Future[Answer]] = {}
        """Of calls that may be decided, and for whose decision nobody waits yet."""
        self._answers: dict[str, Answer] = {}
        self._closed: str | None = None

    @property
    def pending(self) -> list[PendingCall]:
        """Calls without a decision, in the order in which they came."""
        with self._lock:
            return [call for call, _ in self._waiting.values()]

    def decided(self, call_id: str) -> Answer | None:
        """What was decided on a call; None when nothing was."""
        with self._lock:
            return self._answers.get(call_id)

    def decide(self, call_id: str, answer: Answer, *, call_hash: str | None = None) -> bool:
        """Take a decision; False when the same one was there already.

        Args:
            call_id: The call.
            answer: What to do, and who says so.
            call_hash: Hash of the call that was looked at; another call under this id is then refused.

        Raises:
            ApprovalError: No call of this id waits, or somebody decided otherwise before.
            ToolArgumentError: Edited arguments break the tool's schema; the call still waits.
        """
        decision = answer.decision
        with self._lock:
            if (known := self._answers.get(call_id)) is not None:
                return known.repeats(call_id, decision)
            call, future = self._find(call_id)
            call.check_for(decision, call_hash)
            if decision.action != "escalate":
                self._answers[call_id] = answer
            del self._waiting[call_id]
        future.get_loop().call_soon_threadsafe(_settle, future, answer)
        self.listeners.tell()
        return True

    def open(self, call: PendingCall) -> None:
        """From now on anybody may decide this call; `wait` gets what they said."""
        with self._lock:
            self._open(call)
        self.listeners.tell()

    async def wait(self, call: PendingCall) -> Answer:
        """The decision on this call, when somebody takes it, or has taken it since it was opened."""
        with self._lock:
            is_new = call.call_id not in {*self._opened, *self._waiting}
            future = self._opened.pop(call.call_id, None) or self._open(call)
            self._opened.pop(call.call_id, None)
        if is_new:
            self.listeners.tell()
        try:
            return await future
        finally:
            self.withdraw(call.call_id)

    def withdraw(self, call_id: str) -> None:
        """Nobody waits for a decision on this call any more."""
        with self._lock:
            waited = self._waiting.pop(call_id, None)
            self._opened.pop(call_id, None)
        if waited is not None:
            self.listeners.tell()

    def close(self, why: str) -> None:
        """Refuse all further decisions, and say why."""
        with self._lock:
            self._closed = why

    def call(self, call_id: str) -> PendingCall:
        """The call that waits under this id.

        Raises:
            ApprovalError: None does.
        """
        with self._lock:
            return self._find(call_id)[0]

    def _open(self, call: PendingCall) -> asyncio.Future[Answer]:
        if call.call_id not in self._waiting:
            future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            self._waiting[call.call_id] = call, future
            self._opened[call.call_id] = future
        return self._waiting[call.call_id][1]

    def _find(self, call_id: str) -> tuple[PendingCall, asyncio.Future[Answer]]:
        found = self._waiting.get(call_id)
        if found is None:
            waiting = ", ".join(self._waiting) or "none"
            ended = f" ({self._closed})" if self._closed else ""
            raise ApprovalError(f"no call `{call_id}` waits for a decision{ended}; waiting: {waiting}")
        return found


def _settle(future: asyncio.Future[Answer], answer: Answer) -> None:
    if not future.done():
        future.set_result(answer)
