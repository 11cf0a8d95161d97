"""The nine tool rules, alone and together: what they allow, what they demand, and what is refused beforehand."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from pydantic import TypeAdapter, ValidationError

from agentlab import (
    Agent,
    ApprovalPolicy,
    ApprovalRule,
    Ask,
    ChildTools,
    Conditional,
    ContinueLoop,
    Decision,
    ExitLoop,
    MaxCount,
    Never,
    OnRequest,
    ParentLast,
    RequiredBeforeExit,
    RequiresApproval,
    RunFirst,
    Script,
    ScriptedModel,
    ToolError,
    ToolRules,
    approval,
    call,
    think,
    tool,
)
from agentlab.agent.tool_rule_kinds import AnyRule
from agentlab.agent.tool_rules import PastCall
from agentlab.errors import InputError
from agentlab.messages import envelopes
from agentlab.messages.history import lint

BOTH = pytest.mark.parametrize("protocol", ["native", "memgpt"])
RAN: list[tuple[str, Any]] = []


@pytest.fixture(autouse=True)
def _nothing_ran():
    RAN.clear()


@tool
async def plan(goal: str = "") -> str:
    """Make a plan."""
    RAN.append(("plan", goal))
    return f"plan for {goal}"


@tool
async def search(query: str = "", limit: int = 10) -> str:
    """Search the notes."""
    RAN.append(("search", (query, limit)))
    return f"{query}: found"


@tool
async def write(text: str = "") -> str:
    """Write it down."""
    RAN.append(("write", text))
    return "written"


@tool
async def check() -> str:
    """Fails, always."""
    RAN.append(("check", None))
    raise ToolError("no")


def agent(
    script: Any, *rules: Any, protocol: str = "native", tools: Any = (plan, search, write, check), **more: Any
) -> Agent:
    return Agent(ScriptedModel(script), tools, rules=rules, protocol=protocol, **more)


def done(protocol: str) -> Any:
    """What ends a turn."""
    return call("send_message", message="Done.") if protocol == "memgpt" else "Done."


def ended(run: Any) -> str:
    assert lint(run.messages) == []
    return run.stop_reason


def ran() -> list[str]:
    return [name for name, _ in RAN]


def requests(agent: Agent) -> list[Any]:
    return agent.model.requests


def offered(agent: Agent) -> list[set[str]]:
    """The tools of each request, without the protocol's."""
    return [{spec.name for spec in request.tools} - {"send_message"} for request in requests(agent)]


def answers(run: Any) -> list[str]:
    return [record.returned.text for record in run.trace.tool_calls.values()]


def heartbeats(run: Any) -> list[str]:
    texts = [entry.message.text for entry in run.trace.entries if entry.source == "heartbeat"]
    read = [(envelopes.unpack(text).text if text.startswith("{") else text) for text in texts]
    return [text.removeprefix(envelopes.AUTOMATED) for text in read]


def past(*names: str, returned: str = "ok") -> list[PastCall]:
    return [PastCall(tool=name, success=True, returned=returned) for name in names]


async def until_pending(run: Any) -> None:
    for _ in range(1000):
        if run.pending:
            return
        await asyncio.sleep(0)
    raise AssertionError("nothing waits")


ALL = ("plan", "search", "write", "check")


def allowed(rules: ToolRules, *names: str, returned: str = "ok") -> str:
    offer = rules.offer(ALL, past(*names, returned=returned))
    return " ".join(offer.tools) + ("!" if offer.demanded else "")


# One rule at a time


@BOTH
async def test_run_first_comes_before_everything_else(protocol):
    script = [call("search", query="a"), call("plan", goal="g"), call("search", query="a"), done(protocol)]
    acting = agent(script, RunFirst("plan"), protocol=protocol)
    run = await acting.run("x")

    assert answers(run)[0] == "`search` may not be called now; allowed: plan. Call `plan` first."
    assert ran()[:2] == ["plan", "search"] if protocol == "native" else ran() == ["plan"]
    assert offered(acting)[:2] == [{"plan"}, {"plan"}]
    assert [request.tool_choice for request in requests(acting)][:2] == ["plan", "plan"]


async def test_run_first_holds_in_each_run_anew():
    acting = agent(lambda request: call("plan") if request.tool_choice == "plan" else "Done.", RunFirst("plan"))
    first = await acting.run("x")
    await acting.run("y", history=first)

    assert ran() == ["plan", "plan"]


@BOTH
async def test_children_are_demanded_directly_after_their_parent_and_not_later(protocol):
    script = [call("plan"), call("search", query="a"), done(protocol)]
    acting = agent(script, ChildTools("plan", children=("search", "write")), protocol=protocol)
    run = await acting.run("x")

    assert offered(acting)[:2] == [{"plan", "search", "write", "check"}, {"search", "write"}]
    assert requests(acting)[1].tool_choice == "required"
    assert run.steps[0].decision.go_on, "also without a request for a heartbeat"
    if protocol == "memgpt":
        assert run.steps[0].decision.policy == "tool_rules"
        assert heartbeats(run) == ["Directly after `plan` call `search` or `write`."]
        assert ended(run) == "end_turn"
    else:
        assert offered(acting)[2] == set(ALL)


async def test_text_is_no_answer_where_a_child_is_demanded():
    acting = agent(
        [call("plan"), "I would rather not.", call("search"), "Done."], ChildTools("plan", children=("search",))
    )
    run = await acting.run("x")

    assert heartbeats(run) == ["Your reply had no tool call and cannot be used: call a tool."]
    assert [request.tool_choice for request in requests(acting)] == ["auto", "search", "search", "auto"]
    assert ended(run) == "end_turn"


async def test_two_texts_where_a_child_is_demanded_end_the_run():
    run = await agent([call("plan"), "No.", "No!"], ChildTools("plan", children=("search",))).run("x")

    assert ended(run) == "invalid_llm_response"


def test_children_of_a_parent_are_allowed_only_directly_after_it():
    rules = ToolRules(ParentLast("plan", children=("write",)))

    assert allowed(rules) == "plan search check"
    assert allowed(rules, "plan") == "write!"
    assert allowed(rules, "plan", "write") == "plan search check"
    assert allowed(rules, "search") == "plan search check"


@BOTH
async def test_a_child_called_without_its_parent_is_refused(protocol):
    script = [call("write", text="a"), call("plan"), call("write", text="b"), done(protocol)]
    run = await agent(script, ParentLast("plan", children=("write",)), protocol=protocol).run("x")

    assert answers(run)[0] == (
        "`write` may not be called now; allowed: plan, search, check"
        + (", send_message" if protocol == "memgpt" else "")
        + ". Call `write` directly after `plan` and at no other time."
    )
    assert ran() == ["plan", "write"]


@pytest.mark.parametrize(
    ("returned", "names"),
    [
        (True, "plan!"),
        (False, "search!"),
        ("TRUE", "plan!"),
        (7, "write!"),
        ("7", "write!"),
        (" 7\n", "write!"),
        (7.0, "write!"),
        (2.5, "check!"),
        ("2.5", "check!"),
        ("blue", "plan!"),
        ("Blue", "search!"),
        (None, "search!"),
        (1, "search!"),
        ("007", "search!"),
        ("nan", "plan!"),
        ({"answer": 7}, "search!"),
        ([7], "search!"),
        ("", "search!"),
    ],
    ids=repr,
)
async def test_a_conditional_rule_reads_the_real_return(returned, names):
    outputs = {True: "plan", 7: "write", 2.5: "check", "blue": "plan", "nan": "plan"}

    @tool
    async def decide() -> Any:
        return returned

    rules = ToolRules(Conditional("decide", outputs=outputs, default="search"))
    acting = agent([call("decide"), call("nope")], *rules, tools=(decide, plan, search, write, check), max_steps=2)
    run = await acting.run("x")

    assert " ".join(spec.name for spec in requests(acting)[1].tools) + "!" == names
    assert requests(acting)[1].tool_choice == names[:-1]
    assert ended(run) == "max_steps"


async def test_a_conditional_rule_reads_a_failed_return_too():
    acting = agent(
        [call("check"), call("write"), "Done."], Conditional("check", outputs={"no": "write"}, default="plan")
    )
    run = await acting.run("x")

    assert ran() == ["check", "write"]
    assert ended(run) == "end_turn"


async def test_without_default_anything_goes_when_nothing_matches():
    acting = agent([call("plan"), "Done."], Conditional("plan", outputs={"never": "write"}))
    run = await acting.run("x")

    assert offered(acting)[1] == set(ALL)
    assert requests(acting)[1].tool_choice == "auto"
    assert ended(run) == "end_turn"


@BOTH
async def test_a_strict_rule_that_allows_nothing_stops_and_says_why(protocol):
    acting = agent(
        [call("plan"), "never asked"], Conditional("plan", outputs={"never": "write"}, strict=True), protocol=protocol
    )
    run = await acting.run("x")

    assert ended(run) == "no_tool_allowed"
    assert len(requests(acting)) == 1
    assert run.error.code == "NO_TOOL_ALLOWED"
    assert run.error.message == (
        "the tool rules allow no call now: After `plan` its return says what to call: 'never': `write`."
    )


async def test_rules_that_contradict_each_other_stop_and_say_why():
    rules = [ChildTools("plan", children=("write",)), MaxCount("write", max_count=1)]
    run = await agent([call("plan"), call("write"), call("plan"), "never asked"], *rules).run("x")

    assert ended(run) == "no_tool_allowed"
    assert "Directly after `plan` call `write`." in run.error.message
    assert "Call `write` at most 1 times." in run.error.message


@BOTH
async def test_each_call_counts_once(protocol):
    more = {"heartbeat": True} if protocol == "memgpt" else {}
    script = [*[call("search", query=str(n), **more) for n in range(4)], done(protocol)]
    acting = agent(script, MaxCount("search", max_count=3), protocol=protocol)
    run = await acting.run("x")

    assert ran() == ["search"] * 3
    assert [("search" in names) for names in offered(acting)] == [True, True, True, False, False]
    assert answers(run)[3].endswith("Call `search` at most 3 times.")
    assert ended(run) == "end_turn"


async def test_calls_that_never_ran_do_not_count():
    script = [call("search", {"limit": "many"}), call("search", '{"query": '), call("search"), "Done."]
    run = await agent(script, MaxCount("search", max_count=1)).run("x")

    assert ran() == ["search"]
    assert ended(run) == "end_turn"


async def test_a_tool_with_a_count_does_not_go_on_by_itself():
    run = await agent([call("search"), "never asked"], MaxCount("search", max_count=3), protocol="memgpt").run("x")

    assert len(run.steps) == 1
    assert ended(run) == "end_turn"


async def test_when_every_tool_is_used_up_the_model_may_still_speak():
    acting = agent([call("search"), "Done."], MaxCount("search", max_count=1), tools=[search])
    run = await acting.run("x")

    assert (run.text, ended(run)) == ("Done.", "end_turn")
    assert requests(acting)[1].tool_choice == "none"


@BOTH
async def test_exit_loop_ends_the_run(protocol):
    more = {"heartbeat": True} if protocol == "memgpt" else {}
    run = await agent([call("write", text="a", **more), "never asked"], ExitLoop("write"), protocol=protocol).run("x")

    assert len(run.steps) == 1
    assert ended(run) == "tool_rule"
    assert run.steps[0].decision.policy == "tool_rules"


async def test_a_turn_that_ends_anyway_ends_as_a_turn():
    run = await agent([call("write", text="a")], ExitLoop("write"), protocol="memgpt").run("x")

    assert ended(run) == "end_turn"


async def test_a_tool_that_ends_the_run_gets_no_request_heartbeat():
    script = [think("Bye.") + call("write", {"thinking": "I am done.", "text": "a"})]
    acting = agent(script, ExitLoop("write"), protocol="memgpt", inner_thoughts=True)
    run = await acting.run("x")

    specs = {spec.name: spec.parameters for spec in requests(acting)[0].tools}
    assert list(specs["write"]["properties"]) == ["thinking", "text"]
    assert "request_heartbeat" not in specs["write"]["required"]
    assert "request_heartbeat" in specs["search"]["properties"]
    stored = next(m for m in run.messages if m.tool_calls).tool_calls[0].function.arguments
    assert orjson.loads(stored) == {"text": "a"}, "nothing is stored that the model did not write"


async def test_an_exit_that_failed_is_no_exit():
    run = await agent([call("check"), "It failed."], ExitLoop("check")).run("x")

    assert run.text == "It failed."
    assert ended(run) == "end_turn"


async def test_continue_loop_gives_another_step():
    acting = agent([call("search"), call("write"), "never asked"], ContinueLoop("search"), protocol="memgpt")
    run = await acting.run("x")

    assert heartbeats(run) == ["You always get another step after `search`."]
    assert [step.decision.policy for step in run.steps] == ["tool_rules", "on_request"]
    assert offered(acting)[1] == set(ALL), "it demands nothing"
    assert ended(run) == "end_turn"


async def test_continue_loop_holds_wherever_the_call_stands_in_a_reply():
    acting = agent([call("search") + call("write"), "Done."], ContinueLoop("search"), heartbeat=Never(), max_steps=3)
    run = await acting.run("x")

    assert len(run.steps) == 2
    assert run.steps[0].decision.reason.endswith("You always get another step after `search`.")


@BOTH
async def test_a_required_tool_is_named_until_it_was_called(protocol):
    script = [done(protocol), call("write", text="a"), done(protocol)]
    acting = agent(script, RequiredBeforeExit("write"), protocol=protocol)
    run = await acting.run("x")

    assert heartbeats(run) == ["Before your turn can end you must still call `write`."]
    assert run.steps[0].decision.policy == "tool_rules"
    assert run.steps[0].decision.inputs["required_tools"] == ["write"]
    assert "write" in ran()
    assert ended(run) == "end_turn"


@BOTH
async def test_an_exit_is_no_exit_while_a_required_tool_is_uncalled(protocol):
    script = [call("write"), call("search"), call("write"), "never asked"]
    acting = agent(script, ExitLoop("write"), RequiredBeforeExit("search"), ContinueLoop("search"), protocol=protocol)
    run = await acting.run("x")

    assert heartbeats(run)[0] == "Before your turn can end you must still call `search`."
    assert ran() == ["write", "search", "write"]
    assert ended(run) == ("tool_rule" if protocol == "native" else "end_turn")


async def test_a_required_tool_that_failed_was_not_called():
    run = await agent([call("check"), "Done.", "Done.", "Done."], RequiredBeforeExit("check"), max_steps=3).run("x")

    assert ended(run) == "max_steps"


async def test_a_required_tool_that_is_used_up_is_required_no_more():
    rules = [RequiredBeforeExit("check"), MaxCount("check", max_count=1)]
    run = await agent([call("check"), "Done.", "never asked"], *rules).run("x")

    assert (run.text, ended(run)) == ("Done.", "end_turn")


async def test_the_last_step_is_the_last_whatever_the_rules_demand():
    rules = [RequiredBeforeExit("write"), ContinueLoop("search")]
    run = await agent(lambda request: call("search"), *rules, protocol="memgpt", max_steps=2).run("x")

    assert len(run.steps) == 2
    assert ended(run) == "max_steps"
    assert [step.decision.inputs["step"] for step in run.steps] == [1, 2]
    assert {step.decision.inputs["max_steps"] for step in run.steps} == {2}
    assert [entry.source for entry in run.trace.entries].count("heartbeat") == 1, "none after the last step"


@BOTH
async def test_requires_approval_asks_before_the_tool_runs(protocol):
    policy = ApprovalPolicy(rules=(ApprovalRule(decide="approve"),), approvers=(Script("not today", True),))
    script = [call("write", text="a"), call("write", text="b"), done(protocol)]
    run = await agent(script, RequiresApproval("write"), protocol=protocol, approval=policy).run("x")

    assert RAN == [("write", "b")]
    assert [record.requested is not None for record in run.trace.tool_calls.values()][:2] == [True, True]
    assert "Reason: not today" in answers(run)[0]


# Rules together


async def test_rules_that_narrow_the_choice_are_all_kept():
    rules = ToolRules(
        ChildTools("plan", children=("search", "write", "check")),
        ParentLast("plan", children=("write", "check")),
        MaxCount("check", max_count=1),
    )

    assert allowed(rules) == "plan search"
    assert allowed(rules, "plan") == "write check!"
    assert allowed(rules, "plan", "check") == "plan search"
    assert allowed(rules, "plan", "check", "plan") == "write!"


async def test_an_order_of_tools_is_kept_from_start_to_end():
    rules = [RunFirst("plan"), ChildTools("plan", children=("search",)), RequiredBeforeExit("write"), ExitLoop("write")]
    forced = lambda request: call(request.tool_choice if request.tool_choice in ALL else "write")  # noqa: E731
    acting = agent(forced, *rules)
    run = await acting.run("x")

    assert ran() == ["plan", "search", "write"]
    assert [request.tool_choice for request in requests(acting)] == ["plan", "search", "auto"]
    assert ended(run) == "tool_rule"


async def test_calls_of_one_reply_see_what_the_ones_before_did():
    batch = call("plan") + call("write") + call("search") + call("search")
    rules = [ChildTools("plan", children=("search",)), MaxCount("search", max_count=1)]
    acting = agent([batch, "Done."], *rules, parallel_tool_calls=True)
    run = await acting.run("x")

    assert ran() == ["plan", "search"]
    assert answers(run)[1] == "`write` may not be called now; allowed: search. Directly after `plan` call `search`."
    assert answers(run)[3] == (
        "`search` may not be called now; allowed: plan, write, check. Call `search` at most 1 times."
    )
    assert requests(acting)[1].tool_choice == "auto", "what the reply itself has done is demanded no more"
    assert ended(run) == "end_turn"


def test_rules_of_order_ask_for_one_call_a_reply_unless_told_otherwise():
    def parallel(*rules: Any, **more: Any) -> bool:
        acting = agent(["Done."], *rules, **more)
        acting.run("x").wait()
        return requests(acting)[0].parallel_tool_calls

    assert parallel() is True
    assert parallel(ExitLoop("write"), RequiredBeforeExit("write"), RequiresApproval("write"), ContinueLoop("plan"))
    assert parallel(RunFirst("plan")) is False
    assert parallel(MaxCount("plan", max_count=1)) is False
    assert parallel(RunFirst("plan"), parallel_tool_calls=True) is True


async def test_behind_a_call_that_waits_the_ones_in_order_wait_too():
    policy = ApprovalPolicy(
        rules=(ApprovalRule(tool="plan", decide="ask"), ApprovalRule(decide="approve")),
        approvers=(Ask(attended=True),),
    )
    rules = [ChildTools("plan", children=("search",))]
    run = agent([call("plan") + call("search"), "Done."], *rules, approval=policy).run("x")
    await until_pending(run)
    assert ran() == []
    run.approve(run.pending[0].call_id)
    await run

    assert ran() == ["plan", "search"]
    assert ended(run) == "end_turn"


async def test_a_tool_that_the_caller_answered_for_counts_as_called():
    policy = ApprovalPolicy(
        rules=(ApprovalRule(tool="plan", decide="ask"), ApprovalRule(decide="approve")),
        approvers=(Script(Decision(action="respond", response="7")),),
    )
    rules = [
        Conditional("plan", outputs={7: "write"}, strict=True),
        MaxCount("plan", max_count=1),
        RequiredBeforeExit("plan"),
    ]
    acting = agent([call("plan"), call("write"), "Done."], *rules, approval=policy)
    run = await acting.run("x")

    assert ran() == ["write"]
    assert requests(acting)[1].tool_choice == "write"
    assert "plan" not in offered(acting)[2]
    assert ended(run) == "end_turn"


async def test_an_exit_that_the_caller_answered_for_is_an_exit():
    policy = ApprovalPolicy(rules=(ApprovalRule(tool="write", decide="respond", response="by hand"),))
    run = await agent([call("write"), "never asked"], ExitLoop("write"), approval=policy).run("x")

    assert ended(run) == "tool_rule"


async def test_a_denied_call_leaves_the_rules_where_they_were():
    policy = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), approvers=(Script("no", True, True, True),))
    rules = [RunFirst("plan"), ChildTools("plan", children=("search",))]
    acting = agent([call("plan"), call("plan"), call("search"), "Done."], *rules, approval=policy)
    run = await acting.run("x")

    assert [request.tool_choice for request in requests(acting)] == ["plan", "plan", "search", "auto"]
    assert ended(run) == "end_turn"


async def test_an_edited_call_does_not_mislead_a_conditional_rule():
    @tool
    async def decide(what: str) -> bool:
        return what == "yes"

    policy = ApprovalPolicy(
        rules=(ApprovalRule(tool="decide", decide="ask"), ApprovalRule(decide="approve")),
        approvers=(Script(Decision(action="edit", arguments={"what": "yes"})),),
    )
    rules = [Conditional("decide", outputs={True: "write"}, strict=True)]
    acting = agent([call("decide", what="no"), call("write"), "Done."], *rules, tools=(decide, write), approval=policy)
    run = await acting.run("x")

    assert ran() == ["write"]
    told = next(m for m in run.messages if m.role == "tool").text
    assert told == '[script changed the arguments before the call ran, to {"what":"yes"}]\nTrue'
    assert answers(run)[0] == "True", "the trace keeps what came back"


# Arguments that a rule fills in


async def test_prefilled_arguments_stand_in_for_the_models_and_the_model_is_told():
    script = [call("search", query="cats", limit=500), call("plan", goal="a"), call("write", text="mine"), "Done."]
    rules = [
        RunFirst("search", arguments={"limit": 3}),
        ChildTools("plan", children=("write",), arguments={"write": {"text": "ours"}}),
    ]
    run = await agent(script, *rules).run("x")

    assert RAN == [("search", ("cats", 3)), ("plan", "a"), ("write", "ours")]
    first = next(iter(run.trace.tool_calls.values()))
    assert orjson.loads(first.started.arguments) == {"query": "cats", "limit": 3}
    told = [m.text for m in run.messages if m.role == "tool"]
    assert told[0] == (
        '[a tool rule changed the arguments before the call ran, to {"query":"cats","limit":3}]\ncats: found'
    )
    assert told[1] == "plan for a"
    assert told[2].startswith("[a tool rule changed the arguments")


async def test_a_required_argument_may_be_left_to_the_rule():
    @tool
    async def pay(to: str, amount: int) -> str:
        RAN.append(("pay", (to, amount)))
        return "paid"

    run = await agent([call("pay", to="ann"), "Done."], RunFirst("pay", arguments={"amount": 5}), tools=[pay]).run("x")

    assert RAN == [("pay", ("ann", 5))]
    assert ended(run) == "end_turn"


async def test_prefilled_arguments_hold_only_where_their_rule_does():
    run = await agent(
        [call("search"), call("search", limit=7), "Done."], RunFirst("search", arguments={"limit": 3})
    ).run("x")

    assert RAN == [("search", ("", 3)), ("search", ("", 7))]
    assert ended(run) == "end_turn"


async def test_prefilled_arguments_that_break_the_schema_give_a_failed_return():
    rule = RunFirst("search", arguments={"limit": "lots"})
    acting = agent([call("search", query="a"), call("search", query="b")], rule, max_steps=2)
    run = await acting.run("x")

    assert ran() == []
    assert "`limit`: Input should be a valid integer" in answers(run)[0]
    assert run.stop_reason == "max_steps"


async def test_who_approves_sees_the_arguments_that_will_run():
    seen: list[Any] = []
    policy = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), approvers=(Ask(attended=True),))
    acting = agent([call("search", limit=500), "Done."], RunFirst("search", arguments={"limit": 3}), approval=policy)
    run = acting.run("x")
    await until_pending(run)
    seen.append(run.pending[0].arguments)
    run.approve(run.pending[0].call_id)
    await run

    assert seen == [{"limit": 3}]
    assert RAN == [("search", ("", 3))]


# What is refused when an agent is made


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ([RunFirst("nope")], "rule 'run_first' names the tool `nope`; there are: plan, search, write, check"),
        ([ChildTools("plan", children=("nope",))], "names the tool `nope`"),
        ([ParentLast("plan", children=("nope",))], "names the tool `nope`"),
        ([Conditional("plan", outputs={1: "nope"})], "names the tool `nope`"),
        ([Conditional("plan", outputs={1: "write"}, default="nope")], "names the tool `nope`"),
        ([MaxCount("nope", max_count=1)], "names the tool `nope`"),
        ([ExitLoop("nope")], "names the tool `nope`"),
        ([ContinueLoop("nope")], "names the tool `nope`"),
        ([RequiredBeforeExit("nope")], "names the tool `nope`"),
        ([RequiresApproval("nope")], "names the tool `nope`"),
        ([RunFirst("plan", arguments={"depth": 1})], "rule 'run_first' fills in `depth`, which `plan` does not take"),
        (
            [ChildTools("plan", children=("write",), arguments={"write": {"depth": 1}})],
            "fills in `depth`, which `write` does not take",
        ),
        ([ChildTools("plan", children=("plan",))], "after `plan` the rules demand one call after another"),
        (
            [ChildTools("plan", children=("search",)), ChildTools("search", children=("plan",))],
            "after `plan` the rules demand one call after another without an end; add `ExitLoop`",
        ),
        (
            [ParentLast("plan", children=("search",)), Conditional("search", outputs={1: "plan"}, default="plan")],
            "without an end",
        ),
        ([Conditional("plan", outputs={1: "plan"}, strict=True)], "without an end"),
        (
            [
                RunFirst("plan"),
                ChildTools("plan", children=("search",)),
                ChildTools("search", children=("plan",)),
                ExitLoop("search"),
                RequiredBeforeExit("write"),
            ],
            "`write` is required before the end, and the rules never let it be called",
        ),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_rules_that_cannot_be_kept_are_refused(rules, problem):
    with pytest.raises(InputError, match=problem.replace("(", r"\(")):
        agent([], *rules)


@pytest.mark.parametrize("protocol", ["native", "memgpt"])
@pytest.mark.parametrize(
    "rules",
    [
        [ContinueLoop("search")],
        [ContinueLoop(name) for name in ALL],
        [ChildTools("plan", children=("search",)), ChildTools("search", children=("plan",)), ExitLoop("search")],
        [ChildTools("plan", children=("search", "plan"))],
        [Conditional("plan", outputs={"again": "plan"})],
        [Conditional("plan", outputs={"again": "plan"}, default="write")],
        [RunFirst("plan"), RequiredBeforeExit("write")],
        [ParentLast("plan", children=("write",)), RequiredBeforeExit("write")],
        [RunFirst("search"), Conditional("search", outputs={1: "plan"}), RequiredBeforeExit("write")],
    ],
    ids=["continue", "continue-all", "exit", "own-child", "open", "default", "required", "required-child", "no-match"],
)
def test_rules_that_can_be_kept_are_taken(rules, protocol):
    agent([], *rules, protocol=protocol)


def test_memgpt_needs_a_tool_after_which_the_turn_may_end():
    every = [ContinueLoop(name) for name in (*ALL, "send_message")]

    with pytest.raises(InputError, match="without an end"):
        agent([], *every, protocol="memgpt")
    with pytest.raises(InputError, match="names the tool `send_message`"):
        agent([], *every)


@pytest.mark.parametrize(
    "make",
    [
        lambda: MaxCount("plan", max_count=0),
        lambda: ChildTools("plan", children=()),
        lambda: ParentLast("plan", children=()),
        lambda: Conditional("plan", outputs={}),
        lambda: Conditional("plan", outputs={"1": "write", 1: "search"}),
        lambda: Conditional("plan", outputs={"1.0": "write", 1: "search"}),
        lambda: ChildTools("plan", children=("search",), arguments={"write": {"text": "a"}}),
        lambda: ExitLoop("plan", tool_name="x"),
        lambda: ExitLoop(),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(make):
    with pytest.raises(ValidationError):
        make()


def test_truth_and_one_are_different_returns():
    rule = Conditional("plan", outputs={"true": "search", "1": "write"})

    assert rule.next_tools("True") == ("search",)
    assert rule.next_tools("1") == ("write",)


# What the model reads


EVERY = (
    RunFirst("plan", arguments={"goal": "g"}),
    ChildTools("plan", children=("search", "write"), arguments={"search": {"limit": 3}}),
    ParentLast("search", children=("check",)),
    Conditional("check", outputs={True: "write", 2: "plan", 0.5: "search", "x": "write"}, default="plan"),
    MaxCount("search", max_count=2),
    ExitLoop("write"),
    ContinueLoop("search"),
    RequiredBeforeExit("check"),
    RequiresApproval("write"),
)


async def test_the_rules_stand_in_the_system_message():
    acting = agent([call("plan"), "Done."], *EVERY, system="Be brief.", max_steps=1)
    await acting.run("x")

    assert requests(acting)[0].messages[0].text == (
        "Be brief.\n\n<tool_usage_rules>\n"
        "- Call `plan` first.\n"
        "- Directly after `plan` call `search` or `write`.\n"
        "- Call `check` directly after `search` and at no other time.\n"
        "- After `check` its return says what to call: 'true': `write`; '2': `plan`; '0.5': `search`; 'x': `write`; "
        "otherwise `plan`.\n"
        "- Call `search` at most 2 times.\n"
        "- `write` ends your turn.\n"
        "- You always get another step after `search`.\n"
        "- Call `check` at least once before your turn ends.\n"
        "- A person must approve each call of `write`.\n"
        "</tool_usage_rules>"
    )


def test_rules_are_data():
    rules = ToolRules(*EVERY)
    data = rules.model_dump(mode="json")["rules"]

    assert ToolRules(*TypeAdapter(list[AnyRule]).validate_json(orjson.dumps(data))) == rules
    assert [rule["kind"] for rule in data] == [
        "run_first",
        "constrain_child_tools",
        "parent_last_tool",
        "conditional",
        "max_count_per_step",
        "exit_loop",
        "continue_loop",
        "required_before_exit",
        "requires_approval",
    ]
    assert (len(rules), list(rules)) == (9, list(EVERY))
    assert ToolRules().describe() == ""


async def test_the_tools_that_were_withdrawn_are_not_forgotten():
    acting = agent([call("search"), call("plan"), "Done."], MaxCount("search", max_count=1))
    before = [given.spec.model_copy(deep=True) for given in acting.tools]
    await acting.run("x")

    assert [given.spec for given in acting.tools] == before
    again = await acting.run("y")
    assert len(again.steps) == 3, "each run counts for itself"


async def test_a_run_that_is_resumed_knows_what_was_called_before():
    policy = ApprovalPolicy(
        rules=(ApprovalRule(tool="write", decide="ask"), ApprovalRule(decide="approve")), unattended="pause"
    )
    rules = [RunFirst("plan"), MaxCount("search", max_count=1), RequiredBeforeExit("search")]
    acting = agent([call("plan"), call("search"), call("write"), call("search"), "Done."], *rules, approval=policy)
    paused = await acting.run("x")
    assert paused.status == "paused"

    with approval(policy.model_copy(update={"unattended": "approve"})):
        run = await acting.resume(paused)

    assert ran() == ["plan", "search", "write"]
    assert "at most 1 times" in answers(run)[3]
    assert ended(run) == "end_turn"


async def test_a_policy_and_rules_decide_one_run_together():
    run = await agent([call("search"), "Done."], ContinueLoop("search"), heartbeat=OnRequest()).run("x")

    assert [step.decision.policy for step in run.steps] == ["on_request", "on_request"]
