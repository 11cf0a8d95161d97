"""Who is asked about a tool call: a person at a front end or a terminal, a function, a model, a script.

An approver answers, hands on (`escalate`), or has nothing to say (None): then the next one is asked, and when none is
left, the policy's `unattended` decides.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal, Protocol, TypeAlias

from pydantic import BeforeValidator, ConfigDict, Field, SerializeAsAny, SkipValidation

from agentlab.agent._thread import start_in_thread
from agentlab.agent.approval import Decision
from agentlab.agent.desk import Answer, PendingCall
from agentlab.agent.front_end import person_at_terminal
from agentlab.agent.kinds import reader
from agentlab.agent.presence import Presence, wait_at_page
from agentlab.agent.typed import TerminalQuestion
from agentlab.errors import InputError
from agentlab.messages import builders
from agentlab.messages.parts import Value
from agentlab.models.base import ChatModel, ModelRequest
from agentlab.models.reply import Reply
from agentlab.trace.events import ApproverKind

Said: TypeAlias = Decision | bool | str | None
"""What a function may answer: a decision; True or False; a reason to deny; None to hand on."""


class Surroundings(Protocol):
    """What an approver may use of the run that asks."""

    presence: Presence

    async def wait_for_person(self, call: PendingCall) -> Answer:
        """The decision that somebody takes, here or in another process."""
        ...

    async def ask_model(self, model: ChatModel, request: ModelRequest) -> Reply:
        """A model's reply, recorded and booked as a side call."""
        ...


class Approver(Value):
    """Base of all approvers. They are data as far as they can be."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    answers_as: ClassVar[ApproverKind]

    kind: str
    timeout_s: float | None = Field(default=None, gt=0)
    """How long to wait for an answer [s]; None: as long as it takes."""

    async def ask(self, call: PendingCall, run: Surroundings) -> Answer | None:
        """The answer; None when there is none to be had."""
        raise NotImplementedError

    def opens_desk(self, presence: Presence) -> bool:
        """True where anybody may decide the call through the run while this approver is asked."""
        return False

    def with_code(self, functions: Mapping[str, Callable[..., Any]], models: Mapping[str, ChatModel]) -> Approver:
        """The approver with its function or model, of which data hold only the name.

        Raises:
            InputError: It is not among them.
        """
        return self


class Ask(Approver):
    """A person, through whatever front end is there: a notebook, a server, a terminal."""

    answers_as: ClassVar[ApproverKind] = "person"

    kind: Literal["ask"] = "ask"
    attended: bool | None = None
    """Whether somebody can answer; None: look, when the run starts."""

    async def ask(self, call: PendingCall, run: Surroundings) -> Answer | None:
        """Wait for a decision at the desk, or ask in the cell that waits for the run, or in the terminal."""
        if self._at_front_end(run.presence):
            waiting = asyncio.ensure_future(run.wait_for_person(call))
            return await wait_at_page(call, waiting, run.presence, self.timeout_s)
        if self.attended is None and person_at_terminal():
            return await Terminal().ask(call, run)
        return None

    def opens_desk(self, presence: Presence) -> bool:
        """True where somebody can answer."""
        return self._at_front_end(presence) or (self.attended is None and person_at_terminal())

    def _at_front_end(self, presence: Presence) -> bool:
        return presence.attended if self.attended is None else self.attended


class Terminal(Approver):
    """A person at the terminal of a script."""

    answers_as: ClassVar[ApproverKind] = "person"

    kind: Literal["terminal"] = "terminal"

    async def ask(self, call: PendingCall, run: Surroundings) -> Answer | None:
        """Ask by `input()`; None where there is no terminal."""
        if not person_at_terminal():
            return None
        waiting = asyncio.ensure_future(run.wait_for_person(call))  # somebody else may be faster
        question = TerminalQuestion(call)
        typing = start_in_thread(question.ask, name="approval")
        both: list[asyncio.Future[Any]] = [waiting, typing]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return waiting.result()
            decision = typing.result()
            return None if decision is None else Answer(decision, "terminal")
        finally:
            question.end()
            waiting.cancel()

    def opens_desk(self, presence: Presence) -> bool:
        """True where there is a terminal."""
        return person_at_terminal()


class Callback(Approver):
    """A function of the call, plain or `async`."""

    answers_as: ClassVar[ApproverKind] = "callback"

    kind: Literal["callback"] = "callback"
    name: str
    function: Callable[[PendingCall], Any] | None = Field(default=None, exclude=True, repr=False)

    def __init__(self, function: Callable[[PendingCall], Any] | None = None, /, **fields: Any) -> None:
        if function is not None:
            fields = {"name": getattr(function, "__name__", type(function).__name__), "function": function, **fields}
        super().__init__(**fields)

    def with_code(self, functions: Mapping[str, Callable[..., Any]], models: Mapping[str, ChatModel]) -> Callback:
        """The approver with its function."""
        if self.name not in functions:
            raise InputError(f"approver `{self.name}` calls a function: give it in `functions`")
        return self.model_copy(update={"function": functions[self.name]})

    async def ask(self, call: PendingCall, run: Surroundings) -> Answer | None:
        """What the function says."""
        if self.function is None:
            raise InputError(f"approver {self.name!r} was read from data, which hold no function: give it again")
        said = self.function(call)
        return _answer(await said if inspect.isawaitable(said) else said, self.name)


class Judge(Approver):
    """A model that judges the call. Its tokens are booked apart from the run's."""

    answers_as: ClassVar[ApproverKind] = "model"

    kind: Literal["model"] = "model"
    name: str
    instructions: str = (
        "You decide whether a tool call of another agent may run. Answer with one line: `APPROVE`, or "
        "`DENY: ` and the reason, or `ESCALATE` when a person should decide."
    )
    model: SkipValidation[ChatModel | None] = Field(default=None, exclude=True, repr=False)

    def __init__(self, model: ChatModel | None = None, /, **fields: Any) -> None:
        if model is not None:
            fields = {"name": model.name, "model": model, **fields}
        super().__init__(**fields)

    def with_code(self, functions: Mapping[str, Callable[..., Any]], models: Mapping[str, ChatModel]) -> Judge:
        """The approver with its model."""
        if self.name not in models:
            raise InputError(f"approver `{self.name}` asks a model: give it in `models`")
        return self.model_copy(update={"model": models[self.name]})

    async def ask(self, call: PendingCall, run: Surroundings) -> Answer | None:
        """What the model says; None when it is neither yes nor no."""
        if self.model is None:
            raise InputError(f"approver {self.name!r} was read from data, which hold no model: give it again")
        question = json.dumps({"tool": call.tool, "does": call.description, "arguments": call.arguments}, indent=2)
        request = ModelRequest([builders.system_message(self.instructions), builders.user_message(question)])
        decision = _judged((await run.ask_model(self.model, request)).text)
        return None if decision is None else Answer(decision, self.name)


class Script(Approver):
    """Decisions given beforehand, for notebooks and tests: one for each question of the run, in order."""

    answers_as: ClassVar[ApproverKind] = "script"

    kind: Literal["script"] = "script"
    decisions: tuple[Decision, ...]

    def __init__(self, *decisions: Decision | bool | str, **fields: Any) -> None:
        if decisions:
            fields["decisions"] = tuple(_answer(said, "script").decision for said in decisions)  # type: ignore[union-attr]
        super().__init__(**fields)

    async def ask(self, call: PendingCall, run: Surroundings) -> Answer | None:
        """The decision for this question; None after the last."""
        return Answer(self.decisions[call.number], "script") if call.number < len(self.decisions) else None


AnyApprover: TypeAlias = Annotated[SerializeAsAny[Approver], BeforeValidator(reader(Approver))]


def _answer(said: Said, by: str) -> Answer | None:
    if said is None:
        return None
    if isinstance(said, bool):
        return Answer(Decision(action="approve" if said else "deny"), by)
    if isinstance(said, str):
        return Answer(Decision(action="deny", reason=said), by)
    if isinstance(said, Decision):
        return Answer(said, by)
    raise InputError(f"an approver answered {said!r}; it may say a Decision, True, False, a reason to deny, or None")


def _judged(text: str) -> Decision | None:
    word, _, reason = text.strip().partition(":")
    match word.strip().upper():
        case "APPROVE":
            return Decision(action="approve")
        case "DENY":
            return Decision(action="deny", reason=reason.strip() or None)
        case "ESCALATE":
            return Decision(action="escalate")
    return None
