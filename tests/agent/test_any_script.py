"""Whatever a model writes, whoever decides, and whenever a run is stopped: what must hold of every run, holds."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from dataclasses import dataclass
from typing import Any

import orjson
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from agentlab import (
    Agent,
    Always,
    ApprovalPolicy,
    ApprovalRule,
    Ask,
    Callback,
    ChildTools,
    Conditional,
    ContextPressure,
    ContinueLoop,
    Decision,
    DropOldest,
    ExitLoop,
    Judge,
    Limits,
    MaxCount,
    Never,
    NoCompaction,
    NoProgress,
    OnFailure,
    OnRequest,
    Probability,
    RequiredBeforeExit,
    RequiresApproval,
    Retries,
    RunFirst,
    Scope,
    Script,
    ScriptedModel,
    Summarize,
    Timer,
    ToolError,
    Trace,
    UntilTool,
    approval,
    call,
    clock,
    say,
    tool,
)
from agentlab.agent.approval import call_hash
from agentlab.errors import (
    ApprovalError,
    AuthenticationError,
    ContextWindowError,
    InvalidReplyError,
    RateLimitError,
    ToolArgumentError,
)
from agentlab.messages.history import lint
from agentlab.models.scripted import ScriptedCall, ScriptedReply
from agentlab.trace.events import EVENT
from agentlab.trace.usage import sum_usage

RAN: list[str] = []
"""What the tools were really given, as the trace writes it."""


def told(name: str, arguments: dict[str, Any]) -> str:
    return f"{name} {orjson.dumps(arguments, option=orjson.OPT_SORT_KEYS).decode()}"


def note(name: str, **arguments: Any) -> None:
    RAN.append(told(name, arguments))


@tool(parallel=True)
async def add(a: int, b: int = 1) -> int:
    """Add."""
    note("add", a=a, b=b)
    await clock.sleep(a % 3)
    return a + b


@tool
async def look(at: str) -> str:
    """Look."""
    note("look", at=at)
    await clock.sleep(len(at))
    return at


@tool
async def slip(n: int = 0) -> str:
    """Fail."""
    note("slip", n=n)
    await clock.sleep(n)
    raise ToolError("slipped")


TOOLS = (add, look, slip)
DEFAULTS = {"add": {"b": 1}, "look": {}, "slip": {"n": 0}}


@dataclass(frozen=True)
class Case:
    """A run to be, as data: what the model will write, what the agent is made of, what people do to it."""

    script: list[Any]
    agent: dict[str, Any]
    policy: ApprovalPolicy | None
    people: list[Decision | None]
    cancel_at: int | None
    crash_at: int | None
    resumes: int


def pick(*options: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(options)


GOOD = (
    ("add", '{"a": 1}'),
    ("add", '{"a": 2, "b": 3, "request_heartbeat": true}'),
    ("look", '{"at": "x"}'),
    ("look", '{"thinking": "hm", "at": "xx", "request_heartbeat": "true"}'),
    ("slip", '{"n": 2}'),
    ("slip", ""),
    ("send_message", '{"message": "hi"}'),
    ("add", '"{\\"a\\": 1}"'),
)
ODD = (
    ("add", '{"a": "one"}'),
    ("look", "{}"),
    ("add", '{"a": '),
    ("slip", "[1]"),
    ("slip", "null"),
    ("add", '{"a": 1}{"a": 2}'),
    ("nope", "{}"),
    ("", '{"a": 1}'),
)
calls = st.builds(
    lambda named, call_id: ScriptedCall(*named, call_id),
    pick(*GOOD, *GOOD, *GOOD, *ODD),
    pick(None, None, None, None, "a", "b", ""),
)
errors = pick(
    RateLimitError("slow down"),
    RateLimitError("slow down", retry_after_s=5.0),
    ContextWindowError("full"),
    ContextWindowError("full"),
    AuthenticationError("no key"),
    InvalidReplyError("nonsense"),
)
replies = st.builds(
    ScriptedReply,
    text=pick("", "", "", "Two cats."),
    reasoning=pick("", "", "Hm."),
    calls=st.lists(calls, min_size=1, max_size=3).map(tuple),
    usage=pick(True, True, True, True, False),
)
words = st.builds(ScriptedReply, text=pick("", "Two cats."), reasoning=pick("", "Hm."))
cuts = st.builds(lambda reply, after: dataclasses.replace(reply, cut_after=after), replies | words, st.integers(0, 6))
failures = st.builds(ScriptedReply, error=errors)
pairs = st.tuples(failures, replies) | st.tuples(failures, failures)
turns = pick(*[replies] * 18, words, cuts, failures, pairs).flatmap(lambda kind: kind)
scripts = st.lists(turns, min_size=2, max_size=6)
"""What the model writes in each turn; a tuple has one for each try. After its end it says that it is done."""

DECISIONS = (
    Decision(action="approve"),
    Decision(action="approve", always=Scope(kind="tool", uses=1)),
    Decision(action="approve", always=Scope()),
    Decision(action="deny", reason="no"),
    Decision(action="deny"),
    Decision(action="edit", arguments={"a": 7, "b": 8}),
    Decision(action="edit", arguments={"at": "elsewhere"}),
    Decision(action="respond", response="by hand"),
    Decision(action="escalate"),
    Decision(action="stop", reason="enough"),
)
decisions = pick(*DECISIONS[:8], *DECISIONS)
verdicts = st.builds(
    lambda about, decide: ApprovalRule(
        tool=about[0], where=about[1], decide=decide, response="by rule" if decide == "respond" else None
    ),
    pick(
        *[(None, ())] * 2,
        *[(None, where) for where in (("a > 1",), ("at == x",))],
        *[(name, ()) for name in ("add", "look", "slip", "send_message")],
        ("add", ("a > 1",)),
        ("look", ("at == x",)),
    ),
    pick(*["ask"] * 8, "approve", "approve", "deny", "respond", "stop", "escalate"),
)


def oracle(call: Any) -> Any:
    """Of two minds."""
    if call.number % 3 == 2:
        raise ZeroDivisionError("oops")
    return (True, "no", None)[call.number % 3]


def judge(request: Any) -> str:
    return "APPROVE" if '"a": 1' in request.messages[-1].text else "DENY: odd"


approvers = st.one_of(
    st.just(Ask(attended=True, timeout_s=20)),
    st.just(Ask(attended=False)),
    st.lists(decisions | st.booleans(), min_size=1, max_size=4).map(lambda given: Script(*given)),
    st.just(Callback(oracle)),
    st.just(Judge(ScriptedModel(judge, name="judge"))),
)
some_policy = st.builds(
    ApprovalPolicy,
    rules=st.lists(verdicts, min_size=1, max_size=3).map(tuple),
    approvers=st.lists(approvers, min_size=1, max_size=2).map(tuple),
    unattended=pick("deny", "approve", "pause", "pause", "pause"),
)
policies = pick(st.none(), *[some_policy] * 3).flatmap(lambda kind: kind)
rules = pick(
    (),
    (),
    (RunFirst("add", arguments={"b": 9}),),
    (ChildTools("add", children=("look", "slip"), arguments={"look": {"at": "there"}}), RequiredBeforeExit("look")),
    (Conditional("look", outputs={"x": "add", "xx": "slip"}, strict=True), MaxCount("add", max_count=2)),
    (ExitLoop("look"), RequiredBeforeExit("add"), ContinueLoop("slip")),
    (RequiresApproval("add"), MaxCount("look", max_count=1)),
)
heartbeats = pick(
    OnRequest(),
    OnRequest(),
    Always(4),
    Never(),
    OnRequest() | OnFailure(retries=1),
    OnRequest().but(NoProgress(2)),
    UntilTool("slip"),
    Timer(30).but(Always(3)),
    Probability(0.7) | ContextPressure(0.5),
)
agents = st.fixed_dictionaries(
    {
        "protocol": pick("native", "memgpt"),
        "heartbeat": heartbeats,
        "rules": rules,
        "compaction": pick(NoCompaction(), DropOldest(keep_fraction=0.4), Summarize(keep_fraction=0.4)),
        "retries": pick(Retries(), Retries(model_errors=1, wait_s=3, broken_replies=2)),
        "limits": pick(Limits(), Limits(), Limits(), Limits(seconds=40), Limits(tokens=90)),
        "max_steps": pick(2, 5, 8),
        "parallel_tool_calls": pick(None, True),
        "system": pick(None, "Be brief."),
        "tool_return_limit_chars": pick(None, 3),
    }
)
cases = st.builds(
    Case,
    script=scripts,
    agent=agents,
    policy=policies,
    people=st.lists(st.none() | decisions, max_size=4),
    cancel_at=pick(*[None] * 24, 3, 8, 13, 18, 23, 28, 33, 38),
    crash_at=pick(None, None, None, None) | st.integers(0, 50),
    resumes=st.integers(0, 2),
)
good_calls = st.builds(lambda named: ScriptedCall(*named), pick(*GOOD))
asked_cases = st.builds(
    Case,
    script=st.lists(
        st.lists(good_calls, min_size=1, max_size=3).map(lambda given: ScriptedReply(calls=tuple(given))),
        min_size=1,
        max_size=3,
    ),
    agent=agents,
    policy=st.builds(
        ApprovalPolicy,
        rules=st.just((ApprovalRule(decide="ask"),)),
        approvers=st.lists(approvers, min_size=1, max_size=2).map(tuple),
        unattended=pick("pause", "pause", "deny", "approve"),
    ),
    people=st.lists(st.none() | decisions, max_size=6),
    cancel_at=pick(None, None, 6, 8, 10, 12, 14, 16, 18),
    crash_at=st.none() | st.integers(0, 30),
    resumes=st.integers(0, 2),
)
"""Every call of these is asked about."""


def build(case: Case) -> tuple[Agent, ScriptedModel]:
    """An agent of the case, as each process makes one for itself."""
    last = say("Done.") if case.agent["protocol"] == "native" else call("send_message", message="Done.")

    def choose(request: Any) -> Any:
        if not request.tools and request.tool_choice == "auto":
            return "They talked."  # it was asked for a summary
        turn = case.script[request.turn] if request.turn < len(case.script) else last
        return turn[min(request.attempt, len(turn) - 1)] if isinstance(turn, tuple) else turn

    model = ScriptedModel(choose, ttft_s=1.0)
    return Agent(
        model, TOOLS, approval=case.policy, inner_thoughts=case.agent["protocol"] == "memgpt", **case.agent
    ), model


async def people(run: Any, said: list[Decision | None]) -> None:
    """Decide what waits, each second something else; never twice differently, never what does not wait."""
    for second in range(400):
        await clock.sleep(1)
        if run.status != "running":
            return
        for n, waiting in enumerate(run.pending):
            decision = said[(second + n) % len(said)] if said else None
            if decision is not None:
                decide(run, waiting, decision)
    run.cancel()


def decide(run: Any, waiting: Any, decision: Decision) -> None:
    try:
        assert run.decide(waiting.call_id, decision, call_hash=waiting.call_hash) is True
    except ToolArgumentError:
        assert decision.action == "edit"
        assert waiting in run.pending, "it still waits"
        return
    if decision.action == "escalate":
        return
    assert run.decide(waiting.call_id, decision) is False, "the same again is harmless"
    other = Decision(action="deny", reason="another")
    try:
        run.decide(waiting.call_id, other)
    except ApprovalError:
        return
    raise AssertionError("a second decision was taken")


async def cancel(run: Any, at: int) -> None:
    seen = 0
    async for _ in run:
        seen += 1
        if seen > at:
            run.cancel()
            return


async def see_through(run: Any, case: Case) -> Any:
    watchers = [asyncio.ensure_future(people(run, case.people))]
    if case.cancel_at is not None:
        watchers.append(asyncio.ensure_future(cancel(run, case.cancel_at)))
    await run
    for watcher in watchers:
        watcher.cancel()
    for result in await asyncio.gather(*watchers, return_exceptions=True):
        if isinstance(result, Exception):
            raise result
    return run


async def play(case: Case) -> Any:
    """Run the case to its end, through crashes, pauses and resumes; every request on the way must be acceptable."""
    agent, model = build(case)
    run = await see_through(agent.run("How many cats?"), case)
    check(run.trace, case)
    if case.crash_at is not None:
        run, model_2 = await crash(run, case)
        model.requests += model_2.requests
    for n in range(3):
        if run.status != "paused":
            break
        again, more = build(case)
        last = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), unattended=("deny", "approve")[case.resumes % 2])
        with approval(case.policy or last) if n < case.resumes else approval(last):
            run = again.resume(run)
        run = await see_through(run, case)
        check(run.trace, case)
        model.requests += more.requests
    for request in model.requests:
        assert lint(request.messages) == [], "no provider would take this"
    return run


async def crash(run: Any, case: Case) -> tuple[Any, ScriptedModel]:
    """Go on from some prefix of the events, as another process would after the first one had died there."""
    events = run.trace.events
    begun = 1 + max(
        e.seq for e in events if e.type == "message_added" and e.source in ("input", "system") and e.step == 0
    )
    kept = min(begun + case.crash_at, len(events))
    trace = Trace(events[:kept])
    if trace.status == "finished":
        return run, ScriptedModel([])
    again, model = build(dataclasses.replace(case, cancel_at=None))
    started = [e for e in events[:kept] if e.type == "tool_started"]
    RAN[:] = RAN[: len(started)]
    run = await see_through(again.resume(trace), dataclasses.replace(case, cancel_at=None))
    check(run.trace, case)
    return run, model


def check(trace: Trace, case: Case) -> None:
    """What must hold of every run, at every end and at every pause."""
    finished = trace.status == "finished"
    assert trace.status in ("finished", "paused")
    assert trace.events[-1].type == ("run_finished" if finished else "run_paused")
    assert [e.seq for e in trace] == list(range(len(trace)))
    assert [e.t_ns for e in trace] == sorted(e.t_ns for e in trace)
    assert trace.stop_reason != "error", trace.errors
    assert len(trace.steps) <= case.agent["max_steps"]
    if finished:
        assert lint(trace.messages) == []
        assert trace.waiting == []
    check_calls(trace, case, finished=finished)
    check_books(trace)
    lines = [EVENT.dump_json(e, exclude_none=True) for e in trace]
    assert Trace(map(EVENT.validate_json, lines)).events == trace.events


def check_calls(trace: Trace, case: Case, *, finished: bool) -> None:
    started = Counter(e.call_id for e in trace if e.type == "tool_started")
    returned = Counter(e.call_id for e in trace if e.type == "tool_returned")
    made = Counter(c.id for entry in trace.entries if entry.source == "model" for c in entry.message.tool_calls or ())
    answered = Counter(entry.message.tool_call_id for entry in trace.entries if entry.source == "tool")
    assert max([0, *started.values(), *returned.values(), *made.values(), *answered.values()]) <= 1
    if finished:
        assert set(made) == set(returned) == set(answered)
    for record in trace.tool_calls.values():
        check_call(record, case)


def check_call(record: Any, case: Case) -> None:
    decision, begun = record.decision, record.started
    if decision is not None and decision.action in ("deny", "respond", "stop"):
        assert begun is None, "a call that was not allowed has run"
    if record.requested is not None and decision is None:
        assert begun is None, "a call that waits has run"
    if begun is None:
        return
    arguments = orjson.loads(begun.arguments)
    ruled = any(isinstance(rule, RequiresApproval) and rule.tool == record.tool for rule in case.agent["rules"])
    if ruled or (case.policy is not None and record.tool != "send_message"):
        assert decision is not None, "nobody was asked"
    if decision is not None:
        assert decision.action in ("approve", "edit")
        assert call_hash(record.tool, arguments) == decision.call_hash, "another call was decided on"
    if record.requested is not None and decision.action == "approve":
        assert call_hash(record.tool, arguments) == record.requested.call_hash


def check_books(trace: Trace) -> None:
    replied = {e.called_seq: e.usage for e in trace if e.type == "model_replied"}
    called = [e for e in trace if e.type == "model_called"]
    for purposes, total in ((("step",), trace.usage), (("approval", "compaction"), trace.side_usage)):
        parts = [replied.get(e.seq) for e in called if e.purpose in purposes]
        known = [usage for usage in parts if usage is not None and usage.input_tokens is not None]
        assert len(trace.model_calls if purposes == ("step",) else trace.side_calls) == len(parts)
        if len(known) == len(parts):
            assert total == sum_usage(known)
        else:
            assert total.total_tokens is None, "what is not known is not zero"
    decided = [step.decision.inputs["known_tokens"] for step in trace.steps if step.decision is not None]
    assert decided == sorted(decided)


def check_world(run: Any) -> None:
    """What really ran is what the trace says, in its order and with its arguments."""
    started = [e for e in run.trace if e.type == "tool_started" and e.tool in DEFAULTS]
    assert [told(e.tool, {**DEFAULTS[e.tool], **orjson.loads(e.arguments)}) for e in started] == RAN


def hold(case: Case) -> None:
    """Play the case in an event loop and a world of its own, and the conversation's next turn after it."""
    RAN.clear()
    print(case)  # shown when it fails

    async def main() -> Any:
        with clock.frozen():
            run = await play(case)
            if run.status == "finished":
                follow_up = await Agent(ScriptedModel(lambda request: "Well."), TOOLS).run("And now?", history=run)
                assert follow_up.text == "Well."
            return run

    run = asyncio.run(main())
    for seen in {e.type for e in run.trace} | {f"ended: {run.stop_reason}", f"{len(run.steps)} steps"}:
        event(seen)
    if case.crash_at is None:
        check_world(run)


@settings(max_examples=2000, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(cases)
def test_whatever_happens_in_a_run_what_must_hold_holds(case):
    hold(case)


@settings(max_examples=1000, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(asked_cases)
def test_whoever_decides_and_whenever_what_must_hold_holds(case):
    hold(case)
