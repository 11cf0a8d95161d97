"""The ready heartbeat policies."""

from __future__ import annotations

import math
import random
from typing import Literal

from pydantic import Field

from agentlab.agent.heartbeat import END_TURN, GO_ON, AllOf, AnyOf, But, Continuation, HeartbeatPolicy, StepState
from agentlab.messages.envelopes import AUTOMATED


class OnRequest(HeartbeatPolicy):
    """Goes on when the model asks for it, and when it must learn that a call was refused; else the turn ends."""

    kind: Literal["on_request"] = "on_request"

    def decide(self, state: StepState) -> Continuation:
        """Follow the model's request."""
        return GO_ON if state.requested or state.refused else END_TURN


class Always(HeartbeatPolicy):
    """Goes on, whatever the model asks for, up to a number of steps."""

    kind: Literal["always"] = "always"
    max: int = Field(default=10, ge=1)
    """The last step [steps]."""

    def decide(self, state: StepState) -> Continuation:
        """Count the steps."""
        if state.step >= self.max:
            return END_TURN
        return Continuation(go_on=True, reason=f"{AUTOMATED}You have another step ({state.step + 1} of {self.max}).")


class Never(HeartbeatPolicy):
    """Ends the turn after every step."""

    kind: Literal["never"] = "never"

    def decide(self, state: StepState) -> Continuation:
        """Stop."""
        return END_TURN


class OnFailure(HeartbeatPolicy):
    """Goes on when a call failed, so that the model may try again; a few times in a row."""

    kind: Literal["on_failure"] = "on_failure"
    retries: int = Field(default=3, ge=1)
    """How many failed steps in a row earn another one."""

    def decide(self, state: StepState) -> Continuation:
        """Look at the step's calls."""
        if not state.failed or self._failed_in_a_row(state) > self.retries:
            return END_TURN
        return Continuation(go_on=True, reason=f"{AUTOMATED}Function call failed, returning control")

    @staticmethod
    def _failed_in_a_row(state: StepState) -> int:
        row = 1
        for step in reversed(state.earlier):
            if not any(not call.success for call in step.calls):
                break
            row += 1
        return row


class UntilTool(HeartbeatPolicy):
    """Goes on until a tool has been called with success."""

    kind: Literal["until_tool"] = "until_tool"
    name: str

    def decide(self, state: StepState) -> Continuation:
        """Look for the tool in all steps so far."""
        steps = (*(step.calls for step in state.earlier), state.calls)
        if any(call.tool == self.name and call.success for calls in steps for call in calls):
            return END_TURN
        return Continuation(go_on=True, reason=f"{AUTOMATED}Go on until you have called `{self.name}`.")


class Budget(HeartbeatPolicy):
    """Goes on while the run is within its budget. Tokens that no provider told of are not counted.

    Meant as a limit: `OnRequest().but(Budget(tokens=20_000))`.
    """

    kind: Literal["budget"] = "budget"
    steps: int | None = Field(default=None, ge=1)
    tokens: int | None = Field(default=None, ge=1)
    """Input and output of all calls."""
    seconds: float | None = Field(default=None, gt=0)
    cost: float | None = Field(default=None, gt=0)
    """[US dollars]."""

    def decide(self, state: StepState) -> Continuation:
        """Compare what was used with what may be used."""
        if self.steps is not None and state.step >= self.steps:
            return Continuation(go_on=False, stop_reason="max_steps")
        if _reached(state.known_tokens, self.tokens):
            return Continuation(go_on=False, stop_reason="token_limit")
        if _reached(state.elapsed_s, self.seconds):
            return Continuation(go_on=False, stop_reason="time_limit")
        if _reached(state.cost_usd, self.cost):
            return Continuation(go_on=False, stop_reason="cost_limit")
        return GO_ON


class Timer(HeartbeatPolicy):
    """Waits for the next tick of a timer and goes on: the automated-timer heartbeat. Ends with a limit.

    `Timer(every_s=60).but(Budget(seconds=600))`; in virtual time the waiting costs nothing.
    """

    kind: Literal["timer"] = "timer"
    every_s: float = Field(gt=0)

    def decide(self, state: StepState) -> Continuation:
        """The time from now to the next whole multiple of the interval since the run began."""
        tick = math.floor(state.elapsed_s / self.every_s + 1e-9) + 1
        wait_s = tick * self.every_s - state.elapsed_s
        reason = f"{AUTOMATED}Timer: {tick * self.every_s:g} s since the start."
        return Continuation(go_on=True, reason=reason, wait_s=wait_s)


class NoProgress(HeartbeatPolicy):
    """Goes on unless the last steps repeat each other: the same calls with the same returns, alone or in a cycle.

    Meant as a limit: `OnRequest().but(NoProgress())`.
    """

    kind: Literal["no_progress"] = "no_progress"
    window: int = Field(default=4, ge=2)
    """How many steps are looked at: a cycle shows when it fills them at least twice."""

    def decide(self, state: StepState) -> Continuation:
        """Look for a period in the last steps."""
        steps = [*(step.calls for step in state.earlier), state.calls][-self.window :]
        prints = [tuple(call.fingerprint for call in calls) for calls in steps]
        if len(prints) == self.window and all(prints) and _cycles(prints):
            return Continuation(go_on=False, stop_reason="no_progress")
        return GO_ON


class ContextPressure(HeartbeatPolicy):
    """Gives the model one step with a warning when its context fills up, before the window is full.

    Meant as an addition: `OnRequest() | ContextPressure(0.8)`.
    """

    kind: Literal["context_pressure"] = "context_pressure"
    fraction: float = Field(default=0.8, gt=0, lt=1)
    """Of the context window."""

    def decide(self, state: StepState) -> Continuation:
        """Warn in the step in which the prompt goes over the fraction; again, when it had become shorter since."""
        window, now = state.context_window_tokens, state.input_tokens
        if window is None or now is None or now < self.fraction * window:
            return END_TURN
        before = next((step.input_tokens for step in reversed(state.earlier) if step.input_tokens is not None), 0)
        if before >= self.fraction * window:
            return END_TURN
        share = f"{now:,} of {window:,} tokens ({now / window:.0%})"
        warning = f"{AUTOMATED}Your context is nearly full: {share}. Save what you must not forget."
        return Continuation(go_on=True, reason=warning)


class Probability(HeartbeatPolicy):
    """Goes on with a probability, drawn from a seed: the same steps of the same seed draw the same."""

    kind: Literal["probability"] = "probability"
    p: float = Field(ge=0, le=1)
    seed: int = 0

    def decide(self, state: StepState) -> Continuation:
        """Draw for this step."""
        drawn = random.Random(f"{self.seed}/{state.step}").random()
        return GO_ON if drawn < self.p else END_TURN


def asks_for_cost(policy: HeartbeatPolicy) -> bool:
    """Whether some part of the policy can only be kept when the price of tokens is known."""
    if isinstance(policy, (AnyOf, AllOf)):
        return any(map(asks_for_cost, policy.policies))
    if isinstance(policy, But):
        return any(map(asks_for_cost, (policy.policy, *policy.limits)))
    return isinstance(policy, Budget) and policy.cost is not None


def _reached(used: float | None, limit: float | None) -> bool:
    return used is not None and limit is not None and used >= limit


def _cycles(prints: list[tuple[str, ...]]) -> bool:
    return any(
        all(prints[n] == prints[n - period] for n in range(period, len(prints)))
        for period in range(1, len(prints) // 2 + 1)
    )
