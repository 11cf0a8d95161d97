"""Agents and approval policies as YAML: everything comes back, nothing but data comes in."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, Literal

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from agentlab import (
    Agent,
    Always,
    ApprovalPolicy,
    ApprovalRule,
    Ask,
    Budget,
    Callback,
    ChildTools,
    Conditional,
    ContextPressure,
    ContinueLoop,
    Decision,
    DropOldest,
    ExitLoop,
    HeartbeatPolicy,
    Judge,
    Limits,
    MaxCount,
    Memory,
    ModelParams,
    Never,
    NoCompaction,
    NoProgress,
    OnFailure,
    OnRequest,
    ParentLast,
    Price,
    Probability,
    RequiredBeforeExit,
    RequiresApproval,
    Retries,
    RunFirst,
    Scope,
    Script,
    ScriptedModel,
    Summarize,
    Terminal,
    Timer,
    UntilTool,
    call,
    tool,
)
from agentlab.agent.heartbeat import Continuation, StepState
from agentlab.errors import InputError


@tool
async def plan(goal: str = "") -> str:
    """Make a plan."""
    return "plan"


@tool
async def search(query: str = "") -> str:
    """Search the notes."""
    return query


@tool
async def write(text: str = "") -> str:
    """Write it down."""
    return "written"


TOOLS = (plan, search, write)


def clerk(call: Any) -> bool:
    return call.tool == "search"


class Coin(HeartbeatPolicy):
    """A policy of one's own."""

    kind: Literal["coin"] = "coin"
    heads: bool = True

    def decide(self, state: StepState) -> Continuation:
        return Continuation(go_on=self.heads)


MODEL = ScriptedModel(["Done."], name="tiny-1")
JUDGE = ScriptedModel(lambda request: "APPROVE", name="judge-1")

POLICY = ApprovalPolicy(
    rules=(
        ApprovalRule(tool="search", where=('query in ["cats", "dogs"]',), decide="approve"),
        ApprovalRule(tool_glob="pl*", decide="deny", reason="no: plans # today"),
        ApprovalRule(tool="write", where=("text under notes", "text != notes/secret"), decide="ask"),
        ApprovalRule(tool="write", decide="respond", response="by hand\n"),
        ApprovalRule(decide="stop"),
    ),
    approvers=(
        Ask(timeout_s=30),
        Ask(attended=True),
        Terminal(),
        Callback(clerk),
        Judge(JUDGE, instructions="Be strict."),
        Script(
            True,
            "no",
            Decision(action="edit", arguments={"text": "a", "n": [1, {"x": None}]}),
            Decision(action="approve", always=Scope(kind="pattern", where=("text under notes",), uses=3, lifetime_s=9)),
            Decision(action="respond", response="é ☃"),
        ),
    ),
    unattended="pause",
    denial_text="No `{tool}`: {reason}",
    no_reason="no reason",
)
RULES = (
    RunFirst("plan", arguments={"goal": "g"}),
    ChildTools("plan", children=("search", "write"), arguments={"search": {"query": "q"}}),
    ParentLast("search", children=("write",)),
    Conditional("write", outputs={True: "plan", 2: "search", 0.5: "search", "x: y": "plan"}, default="search"),
    MaxCount("search", max_count=2),
    ExitLoop("write"),
    ContinueLoop("search"),
    RequiredBeforeExit("write"),
    RequiresApproval("write"),
)


def everything(**changes: Any) -> Agent:
    return Agent(
        **{
            "model": MODEL,
            "tools": TOOLS,
            "system": "Be brief.\n  Yes: really # no comment",
            "memory": Memory({"human": "Name: Ann\n", "yes": "no"}, limit_chars=77),
            "protocol": "memgpt",
            "inner_thoughts": True,
            "heartbeat": (OnRequest() | OnFailure(retries=2) | ContextPressure(0.7)).but(
                Budget(steps=9, tokens=1000, seconds=2.5, cost=0.5), NoProgress(6)
            )
            & (Timer(60) | Always(7) | Never() | UntilTool("write") | Probability(0.25, seed=3) | Coin(heads=False)),
            "rules": RULES,
            "approval": POLICY,
            "max_steps": 12,
            "limits": Limits(tokens=5, seconds=1.5, cost_usd=2, price=Price(input_usd=1, output_usd=2, cached_usd=0.1)),
            "retries": Retries(model_errors=2, wait_s=0.5, broken_replies=0),
            "compaction": Summarize(keep_fraction=0.25, instructions="Sum up."),
            "context_window_tokens": 4096,
            "params": ModelParams(temperature=0.0, top_p=0.5, max_tokens=9, seed=1, stop=("a", "b")),
            "parallel_tool_calls": True,
            "timezone": "Europe/Paris",
            "tool_return_limit_chars": None,
            "name": "no",
            **changes,
        }
    )


def again(agent: Agent, **given: Any) -> Agent:
    given = {"model": MODEL, "tools": TOOLS, "functions": [clerk], "models": [JUDGE], **given}
    return Agent.from_yaml(agent.to_yaml(), **given)


CHANGES: list[dict[str, Any]] = [
    {},
    {"protocol": "native", "inner_thoughts": False},
    {"memory": None},
    {"approval": None, "rules": ()},
    {"approval": ApprovalPolicy()},
    {"limits": None, "retries": None, "params": None, "heartbeat": None, "system": None},
    {"compaction": DropOldest(keep_fraction=0.9)},
    {"compaction": NoCompaction(), "context_window_tokens": None, "parallel_tool_calls": None},
    {"system": ""},
    {"heartbeat": Coin()},
]


@pytest.mark.parametrize("changes", CHANGES, ids=lambda c: " ".join(c) or "everything")
def test_an_agent_comes_back_as_it_was(changes):
    agent = everything(**changes)
    copy = again(agent)

    assert copy.to_yaml() == agent.to_yaml()
    before, after = agent._settings, copy._settings
    for field in ("heartbeat", "rules", "limits", "retries", "compaction", "params", "offered", "system"):
        assert getattr(after, field) == getattr(before, field), field
    assert after.as_data() == before.as_data()
    assert after.system_text() == before.system_text()
    assert copy.name == agent.name


def test_functions_and_models_of_approvers_come_back_by_name():
    approvers = again(everything())._settings.approval.approvers

    assert approvers[3].function is clerk
    assert approvers[4].model is JUDGE
    assert "function" not in everything().to_yaml()


def test_what_is_written_is_plain_yaml_without_aliases_or_tags():
    text = everything().to_yaml()

    assert text.startswith("agentlab_agent: 1\nname: 'no'\nmodel: tiny-1\nprotocol: memgpt\ntools:\n- plan\n")
    assert "!!" not in text
    assert "&id" not in text
    assert yaml.safe_load(text)["heartbeat"]["kind"] == "all_of"


def test_a_run_of_the_copy_is_a_run_of_the_agent():
    agent = Agent(ScriptedModel([call("plan"), "Done."], name="tiny-1"), TOOLS, rules=[RunFirst("plan")])
    copy = Agent.from_yaml(agent.to_yaml(), model=agent.model, tools=TOOLS)
    first, second = agent.run("x").wait(), copy.run("x").wait()

    assert first.trace.started.settings == second.trace.started.settings
    assert [m.text for m in first.messages] == [m.text for m in second.messages]


def test_an_own_tool_in_the_place_of_the_protocols_is_asked_for():
    @tool
    async def send_message(message: str) -> str:
        return "delivered"

    text = Agent(MODEL, [send_message], protocol="memgpt").to_yaml()
    assert yaml.safe_load(text)["tools"] == ["send_message"]
    with pytest.raises(InputError, match="the agent has a tool `send_message`"):
        Agent.from_yaml(text, model=MODEL)
    assert yaml.safe_load(Agent(MODEL, protocol="memgpt").to_yaml())["tools"] == []


def test_a_few_lines_by_hand_are_an_agent_too():
    text = """
        agentlab_agent: 1
        tools: [search]
        heartbeat: {kind: but, policy: {kind: on_request}, limits: [{kind: budget, tokens: 1000}]}
        rules:
          - {kind: max_count_per_step, tool: search, max_count: 2}
          - {kind: conditional, tool: search, outputs: {true: search, 2: plan}}
        approval:
          rules:
            - {tool: search, decide: ask, where: ["query contains cats"]}
    """
    agent = Agent.from_yaml(text, model=MODEL, tools=TOOLS)

    assert agent._settings.heartbeat == OnRequest().but(Budget(tokens=1000))
    assert list(agent._settings.rules)[1] == Conditional("search", outputs={"true": "search", "2": "plan"})
    assert agent._settings.approval.approvers == (Ask(),)
    assert (agent.name, agent._settings.max_steps) == ("agent", 50)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"tools": (plan, write)}, "the agent has a tool `search`: give its function in `tools`"),
        ({"functions": []}, "approver `clerk` calls a function: give it in `functions`"),
        ({"models": []}, "approver `judge-1` asks a model: give it in `models`"),
        ({"models": [MODEL]}, "approver `judge-1` asks a model"),
    ],
    ids=["tool", "function", "model", "other-model"],
)
def test_what_is_missing_is_named(given, problem):
    with pytest.raises(InputError, match=problem):
        again(everything(), **given)


GOOD = "agentlab_agent: 1\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("agentlab_agent: 2\n", "has version 2, this agentlab reads up to 1: upgrade it"),
        ("", "this YAML holds a NoneType; it must be a map"),
        ("- 1\n- 2", "holds a list"),
        ("just words", "holds a str"),
        ("name: x", "it has no `agentlab_agent: 1`"),
        ("agentlab_agent: '1'", "it has no `agentlab_agent: 1`"),
        ("agentlab_agent: true", "it has no `agentlab_agent: 1`"),
        ("agentlab_agent: 0", "it has no `agentlab_agent: 1`"),
        ("{", "this is no YAML that can be read"),
        ("a: b: c", "this is no YAML that can be read"),
        ("\x00", "this is no YAML that can be read"),
        (GOOD + "colour: red", "`colour`: Extra inputs are not permitted"),
        (GOOD + "name: [x]", "`name`: Input should be a valid string"),
        (GOOD + "name: yes", "`name`: Input should be a valid string"),
        (GOOD + "max_steps: many", "`max_steps`: Input should be a valid integer"),
        (GOOD + "max_steps: 0", "`max_steps`"),
        (GOOD + "protocol: chatty", "`protocol`: Input should be 'native' or 'memgpt'"),
        (GOOD + "timezone: Mars/Olympus", "'Mars/Olympus' is no IANA time zone"),
        (GOOD + "tools: 5", "`tools`"),
        (GOOD + "memory: [1]", "`memory`"),
        (GOOD + "memory: {blocks: {human: 3}}", "`memory.blocks.human`"),
        (GOOD + "heartbeat: on_request", "kind None is not known; there are: .*on_request"),
        (GOOD + "heartbeat: {kind: [on_request]}", "is not known"),
        (GOOD + "heartbeat: {kind: clever}", "kind 'clever' is not known"),
        (GOOD + "heartbeat: {kind: budget, tokens: -1}", "tokens"),
        (GOOD + "heartbeat: {kind: never, max: 3}", "Extra inputs"),
        (GOOD + "rules: [{kind: exit_loop}]", "tool"),
        (GOOD + "rules: [{kind: exit_loop, tool: nope}]", "names the tool `nope`"),
        (GOOD + "rules: null", "`rules`"),
        (GOOD + "approval: {rules: [{decide: perhaps}]}", "`approval.rules.0.decide`"),
        (GOOD + "approval: {rules: [{decide: ask, where: [amount above 3]}]}", "is no condition"),
        (GOOD + "approval: {approvers: []}", "`approval.approvers`"),
        (GOOD + "approval: {approvers: [{kind: oracle}]}", "kind 'oracle' is not known"),
        (GOOD + "approval: {unattended: whatever}", "`approval.unattended`"),
        (GOOD + "limits: {cost_usd: 3}", "needs `price`"),
        (GOOD + "compaction: {kind: shred}", "compaction"),
        (GOOD + "params: {heat: 3}", "`params.heat`"),
        (GOOD + "max_steps: 3\nmax_steps: 4", "the key 'max_steps' comes twice in one map"),
        (GOOD + "approval: {unattended: deny, unattended: approve}", "the key 'unattended' comes twice"),
    ],
    ids=lambda text: text.removeprefix(GOOD).replace("\n", " ")[:40],
)
def test_yaml_that_describes_no_agent_is_refused_and_says_why(text, problem):
    with pytest.raises(InputError, match=problem):
        Agent.from_yaml(text, model=MODEL, tools=TOOLS)


def test_a_kind_of_ones_own_that_is_not_there_is_named():
    text = everything(heartbeat=Coin()).to_yaml().replace("kind: coin", "kind: die")

    with pytest.raises(InputError, match="kind 'die' is not known"):
        Agent.from_yaml(text, model=MODEL, tools=TOOLS, functions=[clerk], models=[JUDGE])


BOMB = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 10)}]\n" for n in range(20)
)


@pytest.mark.parametrize(
    "text",
    [
        "system: !!python/object/apply:os.system ['echo broken']",
        "system: !!python/name:os.system",
        "system: !!python/object/new:subprocess.Popen [[touch, broken]]",
        "!!python/object:agentlab.Agent {}",
        "system: !include /etc/passwd",
        "heartbeat: {kind: !!python/name:builtins.eval ''}",
        BOMB,
        "memory: {blocks: &x {human: *x}}",
        "heartbeat: " + "{kind: but, limits: [], policy: " * 3000,
        "heartbeat: " + "{kind: but, limits: [], policy: " * 150 + "{kind: never}" + "}" * 150,
        "[" * 100_000,
        "? [a, b]\n: c",
        "? {a: b}\n: c",
        "<<: {max_steps: 3}\nmax_steps: 4\n<<: {name: x}",
        "system: 2026-01-01",
    ],
    ids=[
        *("apply", "name", "new", "object", "include", "kind", "bomb", "loop", "cut-off", "deep", "brackets"),
        *("list-key", "map-key", "merge", "date"),
    ],
)
def test_hostile_yaml_is_refused_and_runs_nothing(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for read in (lambda: Agent.from_yaml(GOOD + text, model=MODEL), lambda: ApprovalPolicy.from_yaml(text)):
        with pytest.raises(InputError):
            read()
    assert list(tmp_path.iterdir()) == []


def test_a_policy_of_approval_comes_back_as_it_was():
    copy = ApprovalPolicy.from_yaml(POLICY.to_yaml(), functions=[clerk], models=[JUDGE])

    assert copy == POLICY
    assert ApprovalPolicy.from_yaml(ApprovalPolicy().to_yaml()) == ApprovalPolicy()
    assert copy.judge("plan", {}).reason == "no: plans # today"


def test_a_policy_by_hand_is_read():
    text = """
        rules:
          - {tool: pay, where: [amount > 100], decide: deny, reason: too much}
          - {tool_glob: "*", decide: approve}
        unattended: pause
    """
    policy = ApprovalPolicy.from_yaml(text)

    assert policy.judge("pay", {"amount": 500}).verdict == "deny"
    assert policy.judge("pay", {"amount": 5}).verdict == "approve"
    with pytest.raises(InputError, match="does not describe an approval policy: `colour`"):
        ApprovalPolicy.from_yaml("colour: red")
    with pytest.raises(InputError, match="approver `clerk` calls a function"):
        ApprovalPolicy.from_yaml(POLICY.to_yaml())


def test_yaml_is_read_in_a_process_that_has_only_the_functions():
    code = (
        "import sys; from agentlab import Agent, ScriptedModel\n"
        "from tests.agent.test_yaml import TOOLS, clerk, JUDGE\n"
        "agent = Agent.from_yaml(sys.stdin.read(), model=ScriptedModel([], name='tiny-1'), tools=TOOLS,"
        " functions=[clerk], models=[JUDGE])\n"
        "sys.stdout.write(agent.to_yaml())"
    )
    text = everything().to_yaml()
    done = subprocess.run([sys.executable, "-c", code], input=text, capture_output=True, text=True, timeout=60)

    assert done.stdout == text, done.stderr


def test_an_agent_read_from_yaml_resumes_without_a_word(recwarn):
    policy = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), unattended="pause")
    agent = Agent(ScriptedModel([call("plan"), "Done."], name="tiny-1"), TOOLS, approval=policy, rules=RULES[:1])
    paused = agent.run("x").wait()
    copy = Agent.from_yaml(agent.to_yaml(), model=agent.model, tools=TOOLS)
    run = copy.resume(paused)

    assert run.trace.events[-1].differences == ()
    run.cancel()


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=200)
@given(system=texts, name=texts, label=texts, block=texts, reason=texts)
def test_any_text_comes_back_as_it_was(system, name, label, block, reason):
    rules = (ApprovalRule(decide="deny", reason=reason), ApprovalRule(decide="respond", response=block))
    agent = Agent(MODEL, system=system, name=name, memory={label: block}, approval=ApprovalPolicy(rules=rules))
    copy = Agent.from_yaml(agent.to_yaml(), model=MODEL)

    assert copy._settings.as_data() == agent._settings.as_data()
    assert (copy.name, copy.memory.blocks) == (name, {label: block})
