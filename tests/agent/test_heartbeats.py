"""Every heartbeat policy in real runs: how many steps, what the model is told, why it stops, what is written down."""

from __future__ import annotations

from itertools import count
from typing import Any, Literal

import pytest
from pydantic import TypeAdapter, ValidationError

from agentlab import (
    Agent,
    Always,
    Budget,
    ContextPressure,
    ExitLoop,
    HeartbeatPolicy,
    Limits,
    Never,
    NoProgress,
    OnFailure,
    OnRequest,
    Price,
    Probability,
    RequiredBeforeExit,
    ScriptedModel,
    Timer,
    ToolError,
    UntilTool,
    call,
    clock,
    say,
    tool,
)
from agentlab.agent.heartbeat import AllOf, AnyOf, But, CallOutcome, Continuation, Policy, StepState, StepSummary
from agentlab.messages import envelopes
from agentlab.messages.history import lint
from agentlab.trace.usage import Usage

BOTH = pytest.mark.parametrize("protocol", ["native", "memgpt"])


@tool
async def search(query: str) -> str:
    """Search the notes."""
    return f"{query}: found"


@tool
async def broken() -> str:
    """Never works."""
    raise ToolError("out of order")


def agent(script: Any, heartbeat: HeartbeatPolicy, protocol: str = "memgpt", **settings: Any) -> Agent:
    """Of an agent in virtual time: each reply takes a second."""
    model = ScriptedModel(script, ttft_s=1.0 if clock.clock().kind == "virtual" else 0.0)
    return Agent(model, [search, broken], protocol=protocol, heartbeat=heartbeat, system="", **settings)


def look(**more: Any) -> Any:
    """A model that searches for ever, and asks for no other step."""
    return lambda request: call("search", query="cats", **more)


def told(run: Any) -> list[str]:
    """What heartbeats said, without the prefix that marks them."""
    texts = [entry.message.text for entry in run.trace.entries if entry.source == "heartbeat"]
    read = [(envelopes.unpack(text).text if text.startswith("{") else text) for text in texts]
    return [text.removeprefix(envelopes.AUTOMATED) for text in read]


def ended(run: Any) -> tuple[int, str]:
    assert lint(run.messages) == []
    return len(run.steps), run.stop_reason


def outcome(name: str = "search", *, success: bool = True, heartbeat: bool = False, print_of: str = "a") -> CallOutcome:
    return CallOutcome(
        tool=name, success=success, executed=True, heartbeat_requested=heartbeat, fingerprint=f"{name}/{print_of}"
    )


def state(*steps: tuple[CallOutcome, ...], **more: Any) -> StepState:
    """The state after these steps."""
    *earlier, last = steps or ((),)
    return StepState(
        **{"step": len(steps) or 1, "max_steps": 50, "calls": last, **more},
        earlier=tuple(StepSummary(calls=calls) for calls in earlier),
    )


async def test_on_request_follows_the_model():
    script = [call("search", query="a", heartbeat=True), call("search", query="b", heartbeat=False), "never asked"]
    run = await agent(script, OnRequest()).run("x")

    assert ended(run) == (2, "end_turn")
    assert [step.decision.policy for step in run.steps] == ["on_request"] * 2
    assert [step.decision.inputs["calls"][0]["heartbeat_requested"] for step in run.steps] == [True, False]


async def test_on_request_lets_the_model_learn_that_a_call_was_refused():
    script = [call("nope", heartbeat=False), call("search", query="a")]
    run = await agent(script, OnRequest()).run("x")

    assert ended(run) == (2, "end_turn")
    assert told(run) == ["Function call failed, returning control"]


async def test_on_request_does_not_retry_a_tool_that_ran_and_failed():
    run = await agent([call("broken"), "never asked"], OnRequest()).run("x")

    assert ended(run) == (1, "end_turn")


@BOTH
async def test_always_gives_a_number_of_steps_whatever_the_model_asks_for(protocol):
    run = await agent(look(), Always(3), protocol).run("x")

    assert ended(run) == (3, "end_turn")
    assert told(run) == ["You have another step (2 of 3).", "You have another step (3 of 3)."]
    assert [step.decision.policy for step in run.steps] == ["always"] * 3


async def test_always_goes_on_after_text_too():
    run = await agent(["One.", "Two.", "Three."], Always(2), "native").run("x")

    assert ended(run) == (2, "end_turn")
    assert [m.role for m in run.messages] == ["user", "assistant", "user", "assistant"]
    assert run.text == "Two."


@BOTH
async def test_never_ends_the_turn_after_one_step(protocol):
    run = await agent(look(heartbeat=True) if protocol == "memgpt" else look(), Never(), protocol).run("x")

    assert ended(run) == (1, "end_turn")
    assert run.steps[0].decision.policy == "never"
    assert run.messages[-1].role == "tool"


@BOTH
async def test_on_failure_earns_a_retry_step(protocol):
    run = await agent([call("broken"), call("search", query="a"), "never asked"], OnFailure(), protocol).run("x")

    assert ended(run) == (2, "end_turn")
    assert told(run) == ["Function call failed, returning control"]
    first = run.steps[0].decision
    assert (first.policy, first.inputs["calls"][0]["success"]) == ("on_failure", False)


async def test_on_failure_gives_up_after_some_failures_in_a_row():
    script = [call("broken"), call("search", query="a", heartbeat=True), *[call("broken")] * 5]
    run = await agent(script, OnRequest() | OnFailure(retries=2)).run("x")

    assert ended(run) == (5, "end_turn"), "one failure, one success, then a failure and two retries"


@BOTH
async def test_until_tool_goes_on_until_the_tool_has_worked(protocol):
    first = "Let me think." if protocol == "native" else call("broken")
    second = call("search", {"query": 3})
    run = await agent([first, second, call("search", query="a"), "never asked"], UntilTool("search"), protocol).run("x")

    assert ended(run) == (3, "end_turn")
    assert told(run) == ["Go on until you have called `search`."] * 2
    assert run.steps[1].decision.policy == "until_tool"


async def test_until_tool_does_not_take_another_tool_or_a_failure_for_it():
    run = await agent(
        [call("search", query="a"), call("broken"), call("broken")], UntilTool("broken"), max_steps=3
    ).run("x")

    assert ended(run) == (3, "max_steps")


PRICE = Limits(price=Price(input_usd=0.0, output_usd=1e5))


@pytest.mark.parametrize(
    ("budget", "steps", "stop_reason"),
    [
        (Budget(steps=3), 3, "max_steps"),
        (Budget(tokens=25), 2, "token_limit"),
        (Budget(seconds=2.5), 3, "time_limit"),
        (Budget(cost=2.0), 3, "cost_limit"),
        (Budget(steps=9, seconds=2.5), 3, "time_limit"),
    ],
    ids=["steps", "tokens", "seconds", "cost", "the-first"],
)
@pytest.mark.parametrize("as_limit", [True, False], ids=["as-limit", "alone"])
async def test_a_budget_stops_the_run_with_its_own_reason(budget, steps, stop_reason, as_limit):
    with clock.frozen():
        policy = OnRequest().but(budget) if as_limit else budget
        run = await agent(look(heartbeat=True), policy, limits=PRICE).run("x")

    assert ended(run) == (steps, stop_reason)
    last = run.steps[-1].decision
    assert (last.policy, last.stop_reason) == ("but" if as_limit else "budget", stop_reason)
    used = [step.decision.inputs for step in run.steps]
    assert [given["elapsed_s"] for given in used] == [1.0 * n for n in range(1, steps + 1)]
    assert used[-1]["known_tokens"] == run.usage.total_tokens
    assert used[-1]["cost_usd"] == pytest.approx(run.usage.output_tokens / 10)


async def test_a_budget_counts_only_what_providers_told():
    script = [*[say("Hm.", usage=False)] * 3, "Hm."]
    run = await agent(script, Always(4) & Budget(tokens=1), "native").run("x")

    assert ended(run) == (4, "end_turn")
    assert run.steps[2].decision.inputs["known_tokens"] == 0
    assert "cost_usd" not in run.steps[2].decision.inputs, "without a price nothing is known of the cost"


@BOTH
async def test_a_timer_gives_a_step_at_each_tick(protocol):
    with clock.frozen():
        run = await agent(look(), Timer(60).but(Budget(seconds=170)), protocol).run("x")

    assert ended(run) == (4, "time_limit")
    assert [step.started_ns / 1e9 for step in run.steps] == [0, 60, 120, 180]
    assert [step.decision.wait_s for step in run.steps] == [59, 59, 59, 0]
    assert told(run) == [f"Timer: {n} s since the start." for n in (60, 120, 180)]


async def test_a_timer_leaves_out_the_ticks_that_a_long_step_has_missed():
    with clock.frozen():
        slow = Agent(
            ScriptedModel(look(), ttft_s=130), [search], protocol="memgpt", heartbeat=Timer(60).but(Budget(steps=2))
        )
        run = await slow.run("x")

    assert [step.started_ns / 1e9 for step in run.steps] == [0, 180]


async def wait_for(run: Any, event_type: str) -> None:
    async for event in run:
        if event.type == event_type:
            return


async def test_a_run_is_cancelled_while_it_waits_for_the_timer():
    with clock.frozen() as time:
        run = agent(look(), Timer(3600)).run("x")
        await wait_for(run, "step_finished")
        run.cancel()
        await run
        assert time.monotonic_ns() == 1_000_000_000, "it did not wait for the tick"

    assert ended(run) == (1, "cancelled")


async def test_the_wait_for_a_tick_ends_with_the_time_of_the_run():
    with clock.frozen():
        run = await agent(look(), Timer(60), limits=Limits(seconds=90)).run("x")

    assert ended(run) == (2, "time_limit")
    assert run.trace.duration_s == 90


def returning(*texts: str) -> Any:
    given = count()

    @tool(name="poll")
    async def poll(job: str) -> str:
        return texts[next(given) % len(texts)]

    return poll


async def poll_until_stopped(jobs: list[str], returns: list[str], window: int = 4, max_steps: int = 12) -> Any:
    script = [call("poll", job=job, heartbeat=True) for job in jobs]
    model = ScriptedModel(lambda request: script[request.turn % len(script)])
    policy = OnRequest().but(NoProgress(window))
    polling = Agent(model, [returning(*returns)], protocol="memgpt", heartbeat=policy, max_steps=max_steps)
    return await polling.run("x")


@pytest.mark.parametrize(
    ("jobs", "returns", "window", "steps"),
    [
        (["a"], ["busy"], 4, 4),
        (["a"], ["busy"], 2, 2),
        (["a", "b"], ["busy"], 4, 4),
        (["a", "b", "c"], ["busy"], 6, 6),
        (["a"], ["busy", "idle"], 4, 4),
    ],
    ids=["identical", "short-window", "cycle-of-two", "cycle-of-three", "same-call-cycling-returns"],
)
async def test_no_progress_stops_calls_that_repeat_each_other(jobs, returns, window, steps):
    run = await poll_until_stopped(jobs, returns, window)

    assert ended(run) == (steps, "no_progress")
    assert (run.steps[-1].decision.policy, run.steps[-1].decision.go_on) == ("but", False)
    prints = [step.decision.inputs["calls"][0]["fingerprint"] for step in run.steps]
    assert len(set(prints)) == len(set(jobs)) * len(set(returns))


@pytest.mark.parametrize(
    ("jobs", "returns", "window"),
    [
        (["a"], [f"{n} %" for n in range(12)], 4),
        (list("abcdefghijkl"), ["busy"], 4),
        (["a", "b", "c"], ["busy"], 4),
        (["a", "a", "b"], ["busy"], 4),
    ],
    ids=["returns-differ", "arguments-differ", "cycle-longer-than-half", "no-cycle"],
)
async def test_no_progress_lets_go_on_what_learns_something(jobs, returns, window):
    run = await poll_until_stopped(jobs, returns, window)

    assert ended(run) == (12, "max_steps")


async def test_no_progress_looks_at_calls_and_not_at_words():
    run = await agent(lambda request: "Still thinking.", Always(6) & NoProgress(2), "native").run("x")

    assert ended(run) == (6, "end_turn")


@BOTH
async def test_context_pressure_warns_once_before_the_window_is_full(protocol):
    policy = (OnRequest() | ContextPressure(0.5)).but(Budget(steps=20))
    script = look(heartbeat=True) if protocol == "memgpt" else look()
    run = await agent(script, policy, protocol, context_window_tokens=100).run("x")

    warnings = [text for text in told(run) if "context is nearly full" in text]
    assert len(warnings) == 1
    warned = next(n for n, step in enumerate(run.steps) if "nearly full" in (step.decision.reason or ""))
    prompts = [step.usage.input_tokens for step in run.steps]
    assert prompts[warned - 1] < 50 <= prompts[warned]
    assert f"{prompts[warned]:,} of 100 tokens ({prompts[warned]}%)" in warnings[0]
    assert run.steps[warned].decision.inputs["context_window_tokens"] == 100


async def test_context_pressure_gives_the_model_a_step_to_save_what_it_must():
    run = await agent(look(), ContextPressure(0.1), context_window_tokens=10).run("x")

    assert ended(run) == (2, "end_turn")
    assert "Save what you must not forget." in told(run)[0]


@pytest.mark.parametrize("window", [None, 10_000], ids=["unknown", "wide"])
async def test_context_pressure_is_silent_when_there_is_none(window):
    run = await agent(look(), ContextPressure(0.8), context_window_tokens=window).run("x")

    assert ended(run) == (1, "end_turn")


def test_context_pressure_warns_again_when_the_context_fills_again():
    def said(*prompts: int | None) -> bool:
        *earlier, now = prompts
        steps = tuple(StepSummary(calls=(), input_tokens=tokens) for tokens in earlier)
        seen = StepState(step=9, max_steps=50, earlier=steps, input_tokens=now, context_window_tokens=100)
        return ContextPressure(0.8).decide(seen).go_on

    assert said(50, 85)
    assert not said(50, 85, 90)
    assert not said(50, 85, None), "what is not known is no news"
    assert not said(85, None, 90), "it was told already"
    assert said(85, 30, 90), "after a compaction"


async def steps_of(policy: HeartbeatPolicy) -> int:
    return len((await agent(look(), policy, max_steps=40).run("x")).steps)


async def test_probability_draws_from_its_seed():
    lengths = [await steps_of(Probability(0.8, seed=seed)) for seed in range(12)]

    assert lengths == [await steps_of(Probability(0.8, seed=seed)) for seed in range(12)]
    assert len(set(lengths)) > 3
    assert await steps_of(Probability(0.0)) == 1
    assert await steps_of(Probability(1.0)) == 40


def test_probability_goes_on_about_as_often_as_it_says():
    drawn = [Probability(0.3).decide(StepState(step=n, max_steps=9)).go_on for n in range(1, 2001)]

    assert 0.26 < sum(drawn) / 2000 < 0.34


class Says(HeartbeatPolicy):
    """A policy of one's own: it says what it was told to say."""

    kind: Literal["says"] = "says"
    go_on: bool
    reason: str | None = None
    stop_reason: Any = None
    wait_s: float = 0.0

    def decide(self, state: StepState) -> Continuation:
        return Continuation(**self.model_dump(exclude={"kind"}))


GO, GO_A, GO_B = Says(True), Says(True, reason="a"), Says(True, reason="b")
LATER = Says(True, reason="later", wait_s=60)
SOONER = Says(True, reason="sooner", wait_s=5)
END, FULL, STUCK = (Says(False, stop_reason=reason) for reason in ("end_turn", "token_limit", "no_progress"))


@pytest.mark.parametrize(
    ("policy", "go_on", "said", "wait_s"),
    [
        (GO_A | GO_B, True, "a\nb", 0),
        (END | GO_A, True, "a", 0),
        (GO | GO_A, True, "a", 0),
        (GO_A | GO_A, True, "a", 0),
        (LATER | SOONER, True, "sooner", 5),
        (LATER | GO, True, None, 0),
        (LATER | END, True, "later", 60),
        (END | FULL, False, "end_turn", 0),
        (FULL | END, False, "token_limit", 0),
        (GO_A & GO_B, True, "a\nb", 0),
        (SOONER & LATER, True, "sooner\nlater", 60),
        (GO_A & FULL & END, False, "token_limit", 0),
        (END & FULL, False, "end_turn", 0),
        (GO_A.but(GO), True, "a", 0),
        (LATER.but(GO_A), True, "later", 60),
        (GO_A.but(GO, FULL, STUCK), False, "token_limit", 0),
        (END.but(FULL), False, "end_turn", 0),
        ((END | GO_A).but(STUCK), False, "no_progress", 0),
        (END | GO_A.but(STUCK), False, "end_turn", 0),
        ((GO_A & GO_B) | FULL, True, "a\nb", 0),
        ((GO_A | FULL) & (GO_B | END), True, "a\nb", 0),
    ],
)
def test_combined_policies_speak_with_one_voice(policy, go_on, said, wait_s):
    decision = policy.decide(state())

    assert decision.go_on is go_on
    assert (decision.reason if go_on else decision.stop_reason) == said
    assert decision.wait_s == wait_s


def test_alternatives_stand_side_by_side():
    assert AnyOf(policies=(END, GO, FULL)) == (END | GO | FULL)
    assert AllOf(policies=(END, GO, FULL)) == (END & (GO & FULL))
    assert AnyOf(policies=(END, AllOf(policies=(GO, FULL)))) == (END | (GO & FULL))
    assert GO.but(END, FULL) == But(policy=GO, limits=(END, FULL))


@BOTH
async def test_a_combination_decides_a_real_run_and_is_written_down(protocol):
    policy = (OnRequest() | OnFailure(retries=1)).but(Budget(steps=9), NoProgress(3))
    run = await agent(look(heartbeat=True) if protocol == "memgpt" else look(), policy, protocol).run("x")

    assert ended(run) == (3, "no_progress")
    assert run.trace.started.settings["heartbeat"] == policy.model_dump(mode="json")
    assert TypeAdapter(Policy).validate_python(run.trace.started.settings["heartbeat"]) == policy


async def test_a_limit_is_the_last_word_also_against_tool_rules():
    rules = [RequiredBeforeExit("broken")]
    run = await agent(look(heartbeat=True), OnRequest().but(Budget(steps=2)), rules=rules).run("x")

    assert ended(run) == (2, "max_steps")
    assert run.steps[-1].decision.policy == "but"


async def test_tool_rules_overrule_the_end_of_a_turn():
    rules = [RequiredBeforeExit("search"), ExitLoop("search")]
    run = await agent([call("broken"), call("search", query="a")], Never(), rules=rules).run("x")

    assert ended(run) == (2, "end_turn")
    assert [step.decision.policy for step in run.steps] == ["tool_rules", "never"]


async def test_a_policy_of_ones_own_is_read_from_data_by_its_kind():
    run = await agent(look(), (Says(True, reason="More.") & Budget(steps=2)) | Never(), max_steps=4).run("x")
    recorded = run.trace.started.settings["heartbeat"]

    assert told(run) == ["More."]
    assert TypeAdapter(Policy).validate_json(TypeAdapter(Policy).dump_json(Says(True))) == Says(True)
    assert TypeAdapter(Policy).validate_python(recorded).policies[0].policies[0] == Says(True, reason="More.")


def test_an_unknown_kind_is_refused_and_the_known_ones_are_named():
    with pytest.raises(ValidationError, match=r"kind 'clever' is not known; there are: .*budget.*on_request"):
        TypeAdapter(Policy).validate_python({"kind": "clever"})
    with pytest.raises(ValidationError, match="kind None is not known"):
        TypeAdapter(Policy).validate_python("on_request")


def test_a_subclass_without_a_kind_of_its_own_does_not_take_its_parents_place():
    class Stricter(Never):
        """Forgot its kind."""

    assert type(TypeAdapter(Policy).validate_python({"kind": "never"})) is Never
    assert Stricter().kind == "never"


async def test_a_policy_that_fails_ends_the_run_with_a_whole_history():
    class Faulty(HeartbeatPolicy):
        kind: Literal["faulty"] = "faulty"

        def decide(self, state: StepState) -> Continuation:
            raise ZeroDivisionError("oops")

    run = await agent(look(), Faulty()).run("x")

    assert ended(run) == (1, "error")
    assert run.error.error_type == "ZeroDivisionError"


def test_policies_are_values():
    assert OnRequest() | Never() == OnRequest() | Never()
    assert hash(Budget(steps=3).but(NoProgress())) == hash(Budget(steps=3).but(NoProgress()))
    assert Budget(steps=3) != Budget(steps=4)
    with pytest.raises(ValidationError):
        Budget().steps = 3


@pytest.mark.parametrize(
    ("policy", "fields"),
    [
        (Always, {"max": 0}),
        (OnFailure, {"retries": 0}),
        (Budget, {"seconds": 0}),
        (Budget, {"tokens": -1}),
        (Timer, {"every_s": 0}),
        (NoProgress, {"window": 1}),
        (ContextPressure, {"fraction": 1}),
        (Probability, {"p": 1.5}),
        (Never, {"max": 3}),
    ],
    ids=lambda given: getattr(given, "__name__", str(given)),
)
def test_a_policy_that_makes_no_sense_is_refused(policy, fields):
    with pytest.raises(ValidationError):
        policy(**fields)


async def test_the_state_after_each_step_is_what_the_trace_keeps():
    seen: list[StepState] = []

    class Watch(HeartbeatPolicy):
        kind: Literal["watch"] = "watch"

        def decide(self, state: StepState) -> Continuation:
            seen.append(state)
            return Continuation(go_on=state.step < 2, stop_reason=None)

    rules = [RequiredBeforeExit("broken")]
    with clock.frozen():
        run = await agent(look(heartbeat=True), Watch(), rules=rules, max_steps=2, context_window_tokens=500).run("x")

    first, second = seen
    assert [given.as_inputs() for given in seen] == [step.decision.inputs for step in run.steps]
    assert (first.step, first.max_steps, second.step) == (1, 2, 2)
    assert second.earlier == (StepSummary(calls=first.calls, input_tokens=first.input_tokens),)
    assert (second.elapsed_s, second.context_window_tokens, second.required_tools) == (2.0, 500, ("broken",))
    assert second.usage == Usage(**run.usage.model_dump())
    assert second.known_tokens == run.usage.total_tokens
    assert (first.requested, first.failed, first.refused) == (True, False, False)


def test_the_first_field_may_be_given_by_its_place():
    assert UntilTool("search") == UntilTool(name="search")
    assert ContextPressure(0.5) == ContextPressure(fraction=0.5)
    with pytest.raises(TypeError, match="`Never` takes no argument"):
        Never(3)
    with pytest.raises(TypeError, match="multiple values"):
        Timer(60, every_s=30)
