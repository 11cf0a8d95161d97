"""Wrong input to an agent is told at once, by name, with what is wanted."""

from __future__ import annotations

import pytest

from agentlab import (
    Agent,
    ApprovalPolicy,
    ApprovalRule,
    Budget,
    ExitLoop,
    Lab,
    Limits,
    MaxCount,
    OnRequest,
    Price,
    ScriptedModel,
    approval,
    call,
    tool,
)
from agentlab.errors import ConversationError, InputError

PAUSING = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), unattended="pause")


@tool
def search(query: str) -> str:
    """Search."""
    return query


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"model": "gpt-5"}, r"model is 'gpt-5'; give OpenAIModel\('gpt-5-mini'\)"),
        ({"model": ScriptedModel}, "model is <class"),
        ({"tools": search}, r"tools is <tool search\(query\)>; give a list of functions"),
        ({"system": 5}, "system is 5; give text"),
        ({"memory": ["a"]}, r"memory is \['a'\]; give a Memory"),
        ({"memory": {"a": 1}}, "memory is {'a': 1}"),
        ({"heartbeat": "always"}, "heartbeat is 'always'; give a policy"),
        ({"heartbeat": OnRequest}, "heartbeat is <class"),
        ({"approval": {}}, "approval is {}; give an ApprovalPolicy"),
        ({"limits": {"tokens": 3}}, "limits is {'tokens': 3}; give Limits"),
        ({"max_steps": "3"}, "max_steps is '3'; give a whole number"),
        ({"params": {"temprature": 0}}, "`temprature`: Extra inputs.* There are: temperature"),
        ({"params": 3}, "params is 3; give settings"),
    ],
    ids=str,
)
def test_a_setting_of_the_wrong_kind(settings, text):
    with pytest.raises(InputError, match=text):
        Agent(**{"model": ScriptedModel(["hi"]), **settings})


def test_a_budget_of_the_cost_without_a_price():
    for policy in (Budget(cost=1), OnRequest().but(Budget(cost=1)), OnRequest() | Budget(cost=1)):
        with pytest.raises(InputError, match="needs the price of tokens"):
            Agent(ScriptedModel([]), heartbeat=policy)
    Agent(ScriptedModel([]), heartbeat=Budget(cost=1), limits=Limits(price=Price(input_usd=1, output_usd=2)))


@pytest.mark.parametrize("given", [None, 5, {"role": "user"}], ids=str)
def test_an_input_of_the_wrong_kind(given):
    with pytest.raises(InputError, match=r"input is .*; give text, a message, or a list of messages"):
        Agent(ScriptedModel(["hi"])).run(given)


def test_a_history_of_the_wrong_kind():
    with pytest.raises(InputError, match="history is 'run-1'; give a run, a trace, or messages"):
        Agent(ScriptedModel(["hi"])).run("x", history="run-1")


@pytest.mark.parametrize("given", [{"trial": 1}, {1: "a"}, "a=b"], ids=str)
def test_tags_of_the_wrong_kind(given):
    with pytest.raises(
        InputError, match=r"tags is .*; give texts by their names, such as \{'task': 't1', 'trial': '1'\}"
    ):
        Agent(ScriptedModel(["hi"])).run("x", tags=given)


def test_what_is_no_run_cannot_be_resumed():
    agent = Agent(ScriptedModel(["hi"]))
    with pytest.raises(
        InputError, match=r"paused is 'run-1'; give a run or its trace; of a lab, lab.resume\(run_id, agent\)"
    ):
        agent.resume("run-1")
    with Lab() as lab, pytest.raises(InputError, match=r"run is <agent .*; give the id of a run of this lab"):
        lab.resume(agent.run("x"), agent)


async def test_what_is_no_decision_decides_nothing():
    agent = Agent(ScriptedModel([call("search", query="a"), "ok"]), [search], approval=PAUSING)
    told = r"decision is 'approve'; give one such as Decision\(action='approve'\)"
    with Lab() as lab:
        run = await agent.run("x", lab=lab)
        (waits,) = lab.pending()
        with pytest.raises(InputError, match=told):
            lab.decide(waits.call_id, "approve")
        with pytest.raises(InputError, match=told):
            run.decide(waits.call_id, "approve")
        assert len(lab.pending()) == 1


def test_a_block_takes_a_policy_alone():
    with pytest.raises(InputError, match="approval is 'approve'; give an ApprovalPolicy"), approval("approve"):
        pass


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (lambda: MaxCount("search", 3), "MaxCount takes one tool, and what comes after it by name: max_count=…; not 3"),
        (lambda: ExitLoop("search", "submit"), "ExitLoop takes one tool, and nothing after it; not 'submit'"),
    ],
    ids=["MaxCount", "ExitLoop"],
)
def test_a_rule_that_is_given_too_much(rule, told):
    with pytest.raises(InputError, match=told):
        rule()


async def test_a_run_that_still_runs_is_no_history_yet():
    agent = Agent(ScriptedModel(["hi"], ttft_s=0.05))
    run = agent.run("x")
    with pytest.raises(ConversationError, match="is still running: await it"):
        agent.run("y", history=run)
    await run


@pytest.mark.parametrize("number", ["123456789012345678901234567890", "-9999999999999999999"])
async def test_a_number_that_would_be_rounded_is_refused_and_told(number):
    @tool
    def keep(n: int) -> str:
        return str(n)

    run = await Agent(ScriptedModel([call("keep", f'{{"n": {number}}}'), "ok"]), [keep]).run("x")
    returned = next(iter(run.trace.tool_calls.values())).returned
    assert "more digits than can be kept; write it as text" in returned.text
    assert number in returned.text


def test_a_rule_on_an_argument_that_its_tool_does_not_take():
    misspelt = ApprovalRule(tool="search", where=("qurey == cats",), decide="deny")
    policy = ApprovalPolicy(rules=(misspelt, ApprovalRule(decide="approve")))  # it would never deny anything
    told = (
        "rule 1 of the approval policy has a condition on `qurey`, which `search` does not take; its arguments: query"
    )

    with pytest.raises(InputError, match=told):
        Agent(ScriptedModel(["hi"]), [search], approval=policy)
    with approval(policy), pytest.raises(InputError, match=told):
        Agent(ScriptedModel(["hi"]), [search]).run("x")
    Agent(ScriptedModel(["hi"]), approval=policy)  # of tools that are not here nothing is known
