"""Calls that wait, decided from anywhere: another object, another thread's lab, another process, after a crash."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from agentlab import Agent, ApprovalPolicy, ApprovalRule, Ask, Callback, Decision, Lab, ScriptedModel, call, tool
from agentlab.agent.approval import call_hash
from agentlab.agent.front_end import people_behind_a_server
from agentlab.errors import ApprovalError, RunError, StoreError, ToolArgumentError
from agentlab.messages.history import lint

PAID: list[dict[str, object]] = []


@pytest.fixture(autouse=True)
def _nothing_paid():
    PAID.clear()


@tool
def pay(to: str, amount: int) -> str:
    """Send money."""
    PAID.append({"to": to, "amount": amount})
    return f"paid {amount}"


SCRIPT = [call("pay", to="ann", amount=5) + call("pay", to="bob", amount=6), "Done."]


def agent(*, attended: bool = False, unattended: str = "pause") -> Agent:
    policy = ApprovalPolicy(
        rules=(ApprovalRule(decide="ask"),), approvers=(Ask(attended=attended),), unattended=unattended
    )
    return Agent(ScriptedModel(SCRIPT), [pay], approval=policy)


async def waiting_calls(run, n: int):
    for _ in range(2000):
        if len(run.pending) >= n:
            return run.pending
        await asyncio.sleep(0.01)
    raise AssertionError(f"{n} calls never waited")


def in_process(code: str, *args: str) -> subprocess.CompletedProcess[str]:
    """The code in a fresh process that has the same agent."""
    root = Path(__file__).resolve().parents[2]
    program = f"import sys\nfrom tests.lab.test_deciding import *\n{textwrap.dedent(code)}"
    return subprocess.run([sys.executable, "-c", program, *args], capture_output=True, text=True, timeout=60, cwd=root)


async def test_what_waits_is_listed_and_a_paused_run_is_shown_as_such(tmp_path):
    with Lab(tmp_path / "a.db") as lab:
        run = await agent().run("pay", lab=lab)
        assert run.status == "paused"
        assert [info.status for info in lab.runs()] == ["paused"]
        first, second = lab.pending()
        assert (first.tool, first.arguments, first.run_id) == ("pay", {"to": "ann", "amount": 5}, run.id)
        assert first.description == "Send money."
        assert first.call_hash == call_hash("pay", {"to": "ann", "amount": 5})

        assert lab.decide(first.call_id, Decision(action="approve"), by="ann") is True
        assert lab.pending() == [second]


async def test_a_fresh_process_sees_decides_and_resumes(tmp_path):
    path = str(tmp_path / "a.db")
    with Lab(path) as lab:
        run_id = (await agent().run("pay", lab=lab)).id

    done = in_process(
        """
        with Lab(sys.argv[1]) as lab:
            first, second = lab.pending()
            lab.decide(second.call_id, Decision(action="deny", reason="not bob"), by="ann")
            lab.decide(first.call_id, Decision(action="edit", arguments={"to": "ann", "amount": 1}), by="ann")
            run = lab.resume(first.run_id, agent()).wait()
            print(run.stop_reason, PAID)
        """,
        path,
    )

    assert done.stdout.split(" ", 1) == ["end_turn", "[{'to': 'ann', 'amount': 1}]\n"], done.stderr
    with Lab(path) as lab:
        trace = lab.trace(run_id)
        assert lab.pending() == []
        assert [info.status for info in lab.runs()] == ["finished"]
    assert [event.seq for event in trace] == list(range(len(trace)))
    assert {record.decision.approver for record in trace.tool_calls.values()} == {"ann"}
    assert "denied by ann: not bob" in str(trace), "how long ann took is not known"
    assert lint(trace.messages) == []


async def test_a_process_killed_while_a_call_waits_loses_nothing(tmp_path):
    path = str(tmp_path / "a.db")
    done = in_process(
        """
        import os, signal

        async def main():
            with Lab(sys.argv[1]) as lab:
                run = agent(attended=True).run("pay", lab=lab)
                await waiting_calls(run, 2)
                os.kill(os.getpid(), signal.SIGKILL)

        asyncio.run(main())
        """,
        path,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr

    with Lab(path) as lab:
        assert [info.status for info in lab.runs()] == ["interrupted"]
        first, second = lab.pending()
        for waiting in (first, second):
            lab.decide(waiting.call_id, Decision(action="approve"))
        run = await lab.resume(first.run_id, agent(attended=True))
    assert (run.stop_reason, run.text) == ("end_turn", "Done.")
    assert [p["to"] for p in PAID] == ["ann", "bob"]
    assert lint(run.messages) == []


async def test_a_run_that_lives_takes_up_what_another_process_decides(tmp_path):
    path = tmp_path / "a.db"
    with Lab(path) as lab:
        run = agent(attended=True).run("pay", lab=lab)
        await waiting_calls(run, 2)
        decider = await asyncio.to_thread(
            in_process,
            """
            with Lab(sys.argv[1]) as lab:
                for waiting in lab.pending():
                    lab.decide(waiting.call_id, Decision(action="approve"), by="the other process")
            """,
            str(path),
        )
        assert decider.returncode == 0, decider.stderr
        await asyncio.wait_for(run, 20)
    assert len(PAID) == 2
    assert {record.decision.approver for record in run.trace.tool_calls.values()} == {"the other process"}


async def test_two_people_in_two_places_decide_one_call_once(tmp_path):
    path = tmp_path / "a.db"
    with Lab(path) as here, Lab(path) as there:
        run = agent(attended=True).run("pay", lab=here)
        await waiting_calls(run, 2)
        first, second = run.pending

        there.decide(first.call_id, Decision(action="deny"), by="bob")
        with pytest.raises(ApprovalError, match="was decided before: deny, by bob"):
            run.approve(first.call_id, by="ann")
        run.approve(second.call_id, by="ann")
        with pytest.raises(ApprovalError, match="was decided before: approve, by ann"):
            there.decide(second.call_id, Decision(action="deny"), by="bob")
        assert there.decide(second.call_id, Decision(action="approve"), by="bob") is False, "the same is harmless"
        await asyncio.wait_for(run, 20)
    assert PAID == [{"to": "bob", "amount": 6}]


async def test_a_decision_that_cannot_be_carried_out_is_refused_and_the_call_still_waits(tmp_path):
    with Lab(tmp_path / "a.db") as lab:
        await agent().run("pay", lab=lab)
        first, second = lab.pending()
        with pytest.raises(ToolArgumentError, match=r"amount.*'lots' is not of type 'integer'"):
            lab.decide(first.call_id, Decision(action="edit", arguments={"to": "ann", "amount": "lots"}))
        with pytest.raises(ApprovalError, match="another call than the one that was looked at"):
            lab.decide(first.call_id, Decision(action="approve"), call_hash=second.call_hash)
        with pytest.raises(ApprovalError, match="nobody to hand on to"):
            lab.decide(first.call_id, Decision(action="escalate"))
        with pytest.raises(ApprovalError, match=f"no call `call_9` waits .*{first.call_id}, {second.call_id}"):
            lab.decide("call_9", Decision(action="approve"))
        assert lab.pending() == [first, second]


async def test_memgpt_arguments_are_checked_without_those_of_the_protocol(tmp_path):
    asks = Agent(
        ScriptedModel([call("pay", to="ann", amount=5, heartbeat=True), call("send_message", message="Done.")]),
        [pay],
        protocol="memgpt",
        approval=ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), unattended="pause"),
    )
    with Lab(tmp_path / "a.db") as lab:
        run = await asks.run("pay", lab=lab)
        (waiting,) = lab.pending()
        lab.decide(waiting.call_id, Decision(action="edit", arguments={"to": "ann", "amount": 1}))
        run = await lab.resume(run.id, asks)
    assert PAID == [{"to": "ann", "amount": 1}]
    assert run.text == "Done."


async def test_decided_in_part_a_resumed_run_pauses_again(tmp_path):
    with Lab(tmp_path / "a.db") as lab:
        run = await agent().run("pay", lab=lab)
        first, second = lab.pending()
        lab.decide(second.call_id, Decision(action="approve"))
        run = await lab.resume(run.id, agent())
        assert run.status == "paused"
        assert PAID == [{"to": "bob", "amount": 6}]
        lab.decide(first.call_id, Decision(action="approve"))
        run = await lab.resume(run.id, agent())
    assert run.text == "Done."
    assert [m.tool_call_id for m in run.messages if m.role == "tool"] == [first.call_id, second.call_id]


async def test_a_run_that_is_over_or_alive_is_not_resumed(tmp_path):
    with Lab(tmp_path / "a.db") as lab:
        over = await agent(unattended="deny").run("pay", lab=lab)
        with pytest.raises(RunError, match="is finished"):
            lab.resume(over.id, agent())
        alive = agent(attended=True).run("pay", lab=lab)
        await waiting_calls(alive, 1)
        with pytest.raises((RunError, StoreError), match=r"running|being written"):
            lab.resume(alive.id, agent())
        alive.cancel()
        await alive
        assert lab.pending() == []


async def test_one_of_two_runs_with_the_same_call_id_is_decided(tmp_path):
    policy = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), approvers=(Ask(attended=False),), unattended="pause")
    twin = Agent(ScriptedModel([call("pay", to="ann", amount=5, id="c1")]), [pay], approval=policy)
    with Lab(tmp_path / "a.db") as lab:
        first, second = await twin.run("pay", lab=lab), await twin.run("pay", lab=lab)

        assert lab.decide("c1", Decision(action="deny"), run_id=second.id) is True

        assert [waiting.run_id for waiting in lab.pending()] == [first.id]
        assert {run_id: answer.decision.action for run_id, answer in lab.answers_to("c1").items()} == {
            second.id: "deny"
        }


async def test_a_run_started_for_people_behind_a_server_waits_for_them():
    policy = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),))
    with people_behind_a_server():
        run = Agent(ScriptedModel([call("pay", to="ann", amount=5), "Done."]), [pay], approval=policy).run("pay")

    (waiting,) = await waiting_calls(run, 1)
    run.approve(waiting.call_id)

    assert (await run).text == "Done."
    assert PAID == [{"to": "ann", "amount": 5}]


@pytest.mark.parametrize("late", [True, None], ids=["contradicts", "hands-on"])
async def test_a_decision_from_elsewhere_stands_though_an_approver_says_something_after_it(late, tmp_path):
    with Lab(tmp_path / "a.db") as lab, Lab(tmp_path / "a.db") as elsewhere:

        def slow(call):
            elsewhere.decide(call.call_id, Decision(action="deny", reason="not so fast"), by="ann")
            return late

        policy = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), approvers=(Callback(slow),))
        run = await Agent(ScriptedModel(SCRIPT), [pay], approval=policy).run("pay", lab=lab)

    assert PAID == []
    made = [(d.action, d.approver, d.approver_kind) for r in run.trace.tool_calls.values() for d in r.decisions]
    assert made == [("deny", "ann", "person")] * 2


KEY = "sk-abcdefghijklmnopqrstuvwxyz123456"


@tool
def send(to: str, api_key: str) -> str:
    """Send it, with a key."""
    PAID.append({"to": to, "api_key": api_key})
    return "sent"


def sender(*, attended: bool = False) -> Agent:
    policy = ApprovalPolicy(
        rules=(ApprovalRule(decide="ask"),), approvers=(Ask(attended=attended),), unattended="pause"
    )
    return Agent(ScriptedModel([call("send", to="ann", api_key=KEY), "Done."]), [send], approval=policy)


async def test_a_key_in_edited_arguments_reaches_the_tool_and_no_file(tmp_path):
    path = tmp_path / "a.db"
    with Lab(path) as lab:
        run = sender(attended=True).run("x", lab=lab)
        (waiting,) = await waiting_calls(run, 1)
        run.edit(waiting.call_id, {"to": "bob", "api_key": KEY})
        await run

    assert PAID == [{"to": "bob", "api_key": KEY}]
    assert not [each.name for each in tmp_path.iterdir() if KEY.encode() in each.read_bytes()]


async def test_a_paused_call_that_needs_a_key_is_not_approved_from_a_lab_but_denied(tmp_path):
    with Lab(tmp_path / "a.db") as lab:
        run_id = (await sender().run("x", lab=lab)).id
        (waiting,) = lab.pending()

        with pytest.raises(ApprovalError, match=r"keeps no keys, and .* had one among its arguments"):
            lab.decide(waiting.call_id, Decision(action="approve"))
        with pytest.raises(ApprovalError, match="keeps no keys, and one is among these arguments"):
            lab.decide(waiting.call_id, Decision(action="edit", arguments={"to": "bob", "api_key": KEY}))
        assert lab.pending() == [waiting]
        assert lab.decide(waiting.call_id, Decision(action="deny", reason=f"not with {KEY}")) is True
        assert lab.decide(waiting.call_id, Decision(action="deny", reason=f"not with {KEY}")) is False
        run = await lab.resume(run_id, sender())

    assert PAID == []
    assert run.trace.tool_calls[waiting.call_id].decision.reason == "not with [redacted]"
    assert not [each.name for each in tmp_path.iterdir() if KEY.encode() in each.read_bytes()]


@pytest.mark.parametrize(
    "decision",
    [Decision(action="approve"), Decision(action="edit", arguments={"to": "bob", "api_key": KEY})],
    ids=["approve", "edit"],
)
async def test_a_call_whose_key_was_lost_with_its_process_does_not_run_without_it(tmp_path, decision):
    with Lab(tmp_path / "a.db") as lab:
        run_id = (await sender().run("x", lab=lab)).id
        (waiting,) = lab.pending()
        lab.leave_answer(run_id, waiting.call_id, decision, "ann")  # as its process left it, and ended
        run = await lab.resume(run_id, sender())

    assert PAID == []
    decided = run.trace.tool_calls[waiting.call_id].decision
    assert (decided.action, decided.reason) == (
        "deny",
        "a key among its arguments was not kept, so it cannot run any more",
    )
