"""After each step: whether the agent gets another one, what it is told, and why a run stops.

Policies are data: frozen, compared, stored with the run, written to YAML. The ready ones stand in `heartbeats`.

    OnRequest().but(Budget(tokens=20_000)) | OnFailure()
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, SerializeAsAny

from agentlab.agent.kinds import reader
from agentlab.messages.parts import Value
from agentlab.trace.events import StopReason
from agentlab.trace.usage import NO_USAGE, Usage


class CallOutcome(Value):
    """How one tool call of a step went."""

    tool: str
    success: bool
    executed: bool
    """False: the call was refused before anything ran (no such tool, bad arguments, denied)."""
    heartbeat_requested: bool
    """The model asked for another step along with this call."""
    fingerprint: str = ""
    """Hash of tool, arguments and return: two calls with one fingerprint did the same and learnt the same."""

    @property
    def done(self) -> bool:
        """The call ran, or somebody answered in the tool's place."""
        return self.executed or self.success


class StepSummary(Value):
    """What a policy may know of an earlier step."""

    calls: tuple[CallOutcome, ...]
    input_tokens: int | None = None


class StepState(Value):
    """What a policy sees after a step."""

    step: int
    """The step just made, from 1."""
    max_steps: int
    calls: tuple[CallOutcome, ...] = ()
    """The step's calls; empty when the model only spoke."""
    earlier: tuple[StepSummary, ...] = ()
    """The steps before, oldest first."""
    usage: Usage = NO_USAGE
    """Tokens of the run so far; a count that one call lacks is None."""
    known_tokens: int = 0
    """Tokens of the run so far that providers told of: at least so many were used."""
    input_tokens: int | None = None
    """Tokens of the last prompt."""
    context_window_tokens: int | None = None
    """What the model can read at once, where that is known."""
    cost_usd: float | None = None
    """Cost of the run so far, where prices are known [US dollars]."""
    elapsed_s: float = 0.0
    """Since the run began, without the time in which people decided [s]."""
    required_tools: tuple[str, ...] = ()
    """Tools that the rules demand before the end and that were not called yet."""

    @property
    def requested(self) -> bool:
        """The model asked for another step."""
        return any(call.heartbeat_requested for call in self.calls)

    @property
    def refused(self) -> bool:
        """Some call was refused before anything ran: the model must learn why."""
        return any(not call.executed and not call.success for call in self.calls)

    @property
    def failed(self) -> bool:
        """Some call failed or never ran."""
        return any(not call.success for call in self.calls)

    def as_inputs(self) -> dict[str, Any]:
        """What the trace keeps: all but the earlier steps, which it holds already."""
        return self.model_dump(mode="json", exclude={"earlier"}, exclude_none=True)


class Continuation(Value):
    """What a policy decided."""

    go_on: bool
    reason: str | None = None
    """What the model will read; None: the protocol's own words, where it has any."""
    stop_reason: StopReason | None = None
    wait_s: float = 0.0
    """How long to wait before the next step [s]."""


GO_ON = Continuation(go_on=True)
END_TURN = Continuation(go_on=False, stop_reason="end_turn")


class HeartbeatPolicy(Value):
    """Base of all policies. A new one has a `kind` and decides from the state alone, so that it repeats.

    A subclass is read from data by its kind, like the ready ones.
    """

    kind: str

    def __init__(self, first: Any = None, /, **fields: Any) -> None:
        """The first field may be given by its place: `UntilTool("send_message")`."""
        super().__init__(**({} if first is None else {_first_field(type(self)): first}), **fields)

    def decide(self, state: StepState) -> Continuation:
        """Go on or stop, and why."""
        raise NotImplementedError

    def __or__(self, other: HeartbeatPolicy) -> AnyOf:
        """Go on when one of the two does."""
        return AnyOf(policies=(*_members(self, AnyOf), *_members(other, AnyOf)))

    def __and__(self, other: HeartbeatPolicy) -> AllOf:
        """Go on when both do."""
        return AllOf(policies=(*_members(self, AllOf), *_members(other, AllOf)))

    def but(self, *limits: HeartbeatPolicy) -> But:
        """Decide as this policy does, but stop when a limit says stop."""
        return But(policy=self, limits=limits)


Policy: TypeAlias = Annotated[SerializeAsAny[HeartbeatPolicy], BeforeValidator(reader(HeartbeatPolicy))]


def _first_field(policy: type[HeartbeatPolicy]) -> str:
    for name in policy.model_fields:
        if name != "kind":
            return name
    raise TypeError(f"`{policy.__name__}` takes no argument")


def _members(policy: HeartbeatPolicy, kind: type[AnyOf] | type[AllOf]) -> tuple[HeartbeatPolicy, ...]:
    """The parts of a combination of this kind, so that three alternatives stand side by side."""
    return policy.policies if isinstance(policy, kind) else (policy,)


class AnyOf(HeartbeatPolicy):
    """Goes on when one of its policies does, as soon as one does; the first gives the stop reason when none does."""

    kind: Literal["any_of"] = "any_of"
    policies: tuple[Policy, ...] = Field(min_length=1)

    def decide(self, state: StepState) -> Continuation:
        """Ask all; of those that go on the shortest wait counts, and whoever waits longer has no say."""
        decisions = [policy.decide(state) for policy in self.policies]
        going = [d for d in decisions if d.go_on]
        if not going:
            return decisions[0]
        wait_s = min(d.wait_s for d in going)
        return _together([d for d in going if d.wait_s == wait_s])


def _together(decisions: Sequence[Continuation]) -> Continuation:
    """One decision to go on out of several: their reasons, each once, and the longest wait."""
    reasons = list(dict.fromkeys(d.reason for d in decisions if d.reason))
    return Continuation(go_on=True, reason="\n".join(reasons) or None, wait_s=max(d.wait_s for d in decisions))


class AllOf(HeartbeatPolicy):
    """Goes on when all of its policies do; the first that stops gives the stop reason."""

    kind: Literal["all_of"] = "all_of"
    policies: tuple[Policy, ...] = Field(min_length=1)

    def decide(self, state: StepState) -> Continuation:
        """Ask all; reasons of those that go on are told together, and the longest wait counts."""
        decisions = [policy.decide(state) for policy in self.policies]
        return next((d for d in decisions if not d.go_on), None) or _together(decisions)


class But(HeartbeatPolicy):
    """Decides as one policy does, but stops when a limit says stop."""

    kind: Literal["but"] = "but"
    policy: Policy
    limits: tuple[Policy, ...]

    def decide(self, state: StepState) -> Continuation:
        """Ask the policy; when it goes on, ask each limit whether it may."""
        decision = self.policy.decide(state)
        if not decision.go_on:
            return decision
        return next((d for d in (limit.decide(state) for limit in self.limits) if not d.go_on), decision)
