"""Runs over HTTP: started, read from wherever a reader was cut, decided, cancelled."""

from __future__ import annotations

import asyncio
import logging

import pytest

from agentlab import Agent, ApprovalPolicy, ApprovalRule, Ask, Lab, ScriptedModel, call, tool
from agentlab.messages.history import lint
from agentlab.serve.limits import ServeLimits
from agentlab.trace.events import EVENT
from agentlab.trace.trace import Trace
from tests.serve.serving import TOKEN, GatedModel, frames_in, in_process, serving, talker, until


@tool
def pay(to: str, amount: int = 1) -> str:
    """Send money."""
    return f"paid {amount} to {to}"


def payer(*, unattended: str = "deny", attended: bool | None = None, script: object = None) -> Agent:
    policy = ApprovalPolicy(
        rules=(ApprovalRule(tool="pay", decide="ask"), ApprovalRule(decide="approve")),
        approvers=(Ask(attended=attended),),
        unattended=unattended,
    )
    replies = script or [call("pay", to="ann", id="c1") + call("pay", to="bob", id="c2"), "Done."]
    return Agent(ScriptedModel(replies), [pay], approval=policy)


async def started(client, text: str = "hi", **more) -> str:
    answer = await client.post("/v1/runs", json={"input": text, **more})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/v1/runs/{answer.json()['id']}"
    return answer.json()["id"]


async def waiting(client, n: int) -> list[dict]:
    found: list[dict] = []
    for _ in range(2000):
        found = (await client.get("/v1/approvals")).json()["data"]
        if len(found) >= n:
            break
    return found


async def test_a_run_is_started_and_told_of_as_it_stands():
    client = in_process(talker())
    run_id = await started(client, tags={"who": "ann"})

    await client.get(f"/v1/runs/{run_id}/events")
    run = (await client.get(f"/v1/runs/{run_id}")).json()

    assert (run["status"], run["stop_reason"], run["text"]) == ("finished", "end_turn", "The cat is in the library.")
    assert run["tags"] == {"who": "ann"}
    assert run["usage"]["total_tokens"] > 0


async def test_a_conversation_goes_on_from_an_earlier_run_or_from_messages():
    agent = talker("one", "two")
    client = in_process(agent)
    first = await started(client, "I am Ann.")
    await client.get(f"/v1/runs/{first}/events")

    second = await started(client, "And now?", continues=first)
    await client.get(f"/v1/runs/{second}/events")
    third = await client.post("/v1/runs", json={"input": [{"role": "user", "content": "alone"}]})
    missing = await client.post("/v1/runs", json={"input": "hi", "continues": "run-none"})

    assert (await client.get(f"/v1/runs/{second}")).json()["text"] == "two"
    assert [m.text for m in agent.model.requests[1].messages] == ["I am Ann.", "one", "And now?"]
    assert third.status_code == 201
    assert missing.status_code == 404


@pytest.mark.parametrize("how", ["header", "query"])
async def test_a_reader_goes_on_behind_the_last_event_it_read(how):
    client = in_process(talker())
    path = f"/v1/runs/{await started(client)}/events"

    all_of_it = frames_in((await client.get(path)).text)
    sent = {"headers": {"Last-Event-ID": "4"}} if how == "header" else {"params": {"last_event_id": 4}}
    rest = frames_in((await client.get(path, **sent)).text)

    numbers = [number for number, _ in all_of_it]
    assert numbers == [*range(len(numbers) - 1), None]
    assert all_of_it[-1][1] == "[DONE]"
    assert rest == all_of_it[5:]
    trace = Trace(EVENT.validate_python(value) for _, value in all_of_it[:-1])
    assert trace.stop_reason == "end_turn"
    assert all(step.ttft_s is not None for step in trace.steps)


async def test_a_reader_that_has_everything_need_not_come_again():
    client = in_process(talker())
    path = f"/v1/runs/{await started(client)}/events"
    last = max(number for number, _ in frames_in((await client.get(path)).text) if number is not None)

    assert (await client.get(path, headers={"Last-Event-ID": str(last)})).status_code == 204
    assert (await client.get(path, headers={"Last-Event-ID": str(last - 1)})).status_code == 200


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 30])
async def test_a_last_event_that_is_no_number_is_refused(last):
    client = in_process(talker())
    path = f"/v1/runs/{await started(client)}/events"

    assert (await client.get(path, headers={"Last-Event-ID": last})).status_code == 400


async def test_pieces_of_replies_come_where_they_are_asked_for_and_have_no_ids():
    model = GatedModel()
    async with serving(Agent(model)) as served:
        run_id = await started(served.client)
        frames = []
        async with served.client.stream("GET", f"/v1/runs/{run_id}/events?deltas=true") as answer:
            model.gate.set()
            frames = frames_in((await answer.aread()).decode())

    numbers = [number for number, value in frames if number is not None]
    assert numbers == list(range(len(numbers)))
    deltas = [value for number, value in frames if number is None and value != "[DONE]"]
    assert {value["type"] for value in deltas} == {"model_delta"}


async def test_keys_are_taken_out_of_events_as_they_are_out_of_the_lab():
    key = "sk-" + "a1b2c3d4" * 4
    model = GatedModel(f"The key is {key} three four five")
    async with serving(Agent(model)) as served:
        path = f"/v1/runs/{await started(served.client, f'my key is {key}')}/events"
        async with served.client.stream("GET", path) as answer:
            assert served.live.all()
            model.gate.set()
            live = (await answer.aread()).decode()
        kept = (await served.client.get(path)).text

    assert live == kept
    assert key not in live
    assert live.count("[redacted]") == 2


async def test_a_cancelled_run_ends_and_cancelling_again_is_harmless():
    async with serving(Agent(GatedModel())) as served:
        run_id = await started(served.client)
        live = served.live.find(run_id)

        first = await served.client.delete(f"/v1/runs/{run_id}")
        again = await served.client.delete(f"/v1/runs/{run_id}")

        assert first.json() == again.json()
        assert first.json()["stop_reason"] == "cancelled"
        assert lint(live.run.messages) == []
        assert (await served.client.delete("/v1/runs/run-none")).status_code == 404


async def test_a_paused_run_is_cancelled_with_a_history_that_providers_accept(tmp_path):
    with Lab(tmp_path / "lab.db") as lab:
        client = in_process(payer(attended=False, unattended="pause"), lab=lab)
        run_id = await started(client)
        frames = frames_in((await client.get(f"/v1/runs/{run_id}/events")).text)
        assert [value if number is None else value["type"] for number, value in frames][-2:] == ["run_paused", "[DONE]"]

        answer = await client.delete(f"/v1/runs/{run_id}")

        assert (answer.json()["status"], answer.json()["stop_reason"]) == ("finished", "cancelled")
        assert lint(lab.trace(run_id).messages) == []


@pytest.mark.parametrize(("setting", "ended"), [("continue", "end_turn"), ("cancel", "cancelled")])
async def test_the_last_reader_that_goes_away_ends_a_run_or_not_as_wished(setting, ended, caplog):
    caplog.set_level(logging.DEBUG)
    model = GatedModel()
    async with serving(Agent(model), runs_on_disconnect=setting) as served:
        run_id = await started(served.client)
        live = served.live.find(run_id)
        path = f"/v1/runs/{run_id}/events"
        async with served.client.stream("GET", path) as first, served.client.stream("GET", path):
            await anext(first.aiter_lines())
            assert live.n_readers == 2
        await until(lambda: live.n_readers == 0)
        model.gate.set()

        assert (await live.run).stop_reason == ended
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_waiting_calls_are_listed_and_decided_in_any_order():
    async with serving(payer()) as served:
        run_id = await started(served.client)
        first, second = await waiting(served.client, 2)
        assert (first["run_id"], first["tool"], first["arguments"]) == (run_id, "pay", {"to": "ann"})

        denied = await served.client.post("/v1/approvals/c2", json={"action": "deny", "reason": "not him"})
        assert denied.json() == {
            "call_id": "c2",
            "run_id": run_id,
            "action": "deny",
            "repeated": False,
            "resumed": False,
        }
        edit = {"action": "edit", "arguments": {"to": "eve", "amount": 7}, "call_hash": first["call_hash"]}
        await served.client.post("/v1/approvals/c1", json=edit)
        await served.client.get(f"/v1/runs/{run_id}/events")

        trace = await served.app.state.service.trace(run_id)
        assert "paid 7 to eve" in trace.tool_calls["c1"].returned.text
        assert trace.tool_calls["c2"].decision.reason == "not him"
        assert second["call_id"] == "c2"


async def test_the_same_decision_again_is_harmless_and_another_one_a_conflict_also_when_the_run_has_ended():
    async with serving(payer(script=[call("pay", to="ann", id="c1"), "Done."])) as served:
        client, run_id = served.client, await started(served.client)
        await waiting(client, 1)
        approve, deny = {"action": "approve"}, {"action": "deny"}

        assert (await client.post("/v1/approvals/c1", json=approve)).json()["repeated"] is False
        for _ in range(2):
            assert (await client.post("/v1/approvals/c1", json=approve)).json()["repeated"] is True
            refused = await client.post("/v1/approvals/c1", json=deny)
            assert refused.status_code == 409
            assert "was decided before: approve, by person" in refused.json()["error"]["message"]
            await client.get(f"/v1/runs/{run_id}/events")  # to its end
        assert (await client.get(f"/v1/runs/{run_id}")).json()["text"] == "Done."


@pytest.mark.parametrize(
    ("decision", "status", "said"),
    [
        ({"action": "edit", "arguments": {"to": 5}}, 400, "bad arguments"),
        ({"action": "edit"}, 400, "`arguments` goes with action 'edit'"),
        ({"action": "approve", "call_hash": "other"}, 409, "another call than the one that was looked at"),
        ({"action": "escalate"}, 400, "action"),
        ({}, 400, "action: Field required"),
        ({"action": "approve", "odd": 1}, 400, "odd: Extra inputs"),
    ],
)
async def test_a_decision_that_cannot_be_carried_out_leaves_the_call_waiting(decision, status, said):
    async with serving(payer()) as served:
        await started(served.client)
        await waiting(served.client, 2)

        answer = await served.client.post("/v1/approvals/c1", json=decision)

        assert answer.status_code == status
        assert said in answer.json()["error"]["message"]
        assert len(await waiting(served.client, 2)) == 2


async def test_calls_of_one_id_in_several_runs_are_told_apart_by_the_run():
    async with serving(payer()) as served:
        runs = [await started(served.client) for _ in range(2)]
        await waiting(served.client, 4)

        ambiguous = await served.client.post("/v1/approvals/c1", json={"action": "approve"})
        named = await served.client.post("/v1/approvals/c1", json={"action": "approve", "run_id": runs[1]})

        assert ambiguous.status_code == 409
        assert "2 runs have a call 'c1'" in ambiguous.json()["error"]["message"]
        assert named.json()["run_id"] == runs[1]
        assert (await served.client.post("/v1/approvals/none", json={"action": "approve"})).status_code == 404


async def test_a_paused_run_goes_on_when_the_last_of_its_calls_is_decided(tmp_path):
    with Lab(tmp_path / "lab.db") as lab:
        run_id = (await payer(attended=False, unattended="pause").run("pay", lab=lab)).id
        async with serving(payer(attended=False, unattended="pause"), lab=lab) as served:
            approve = {"action": "approve"}
            assert len(await waiting(served.client, 2)) == 2
            last = len(lab.trace(run_id)) - 1

            assert (await served.client.post("/v1/approvals/c1", json=approve)).json()["resumed"] is False
            assert (await served.client.post("/v1/approvals/c2", json=approve)).json()["resumed"] is True
            rest = await served.client.get(f"/v1/runs/{run_id}/events", headers={"Last-Event-ID": str(last)})

        frames = frames_in(rest.text)
        assert [number for number, _ in frames] == [*range(last + 1, last + len(frames)), None]
        assert frames[0][1]["type"] == "run_resumed"
        assert lab.trace(run_id).stop_reason == "end_turn"


async def test_a_lab_in_memory_keeps_the_newest_runs_only():
    client = in_process(talker("hi"), limits=ServeLimits(kept_runs=2))
    runs = []
    for _ in range(4):
        runs.append(await started(client))
        await client.get(f"/v1/runs/{runs[-1]}/events")

    assert [(await client.get(f"/v1/runs/{run_id}")).status_code for run_id in runs] == [404, 404, 200, 200]


async def test_a_run_of_another_process_is_followed_too(tmp_path):
    model = GatedModel()
    with Lab(tmp_path / "lab.db") as here, Lab(tmp_path / "lab.db") as there:
        run = Agent(model).run("hi", lab=there)
        client = in_process(talker(), lab=here)
        model.gate.set()

        frames = frames_in((await client.get(f"/v1/runs/{run.id}/events")).text)

        assert [number for number, _ in frames] == [*range(len(run.trace)), None]
        assert TOKEN not in str(frames)


async def test_two_decisions_at_once_resume_a_paused_run_once(tmp_path):
    with Lab(tmp_path / "lab.db") as lab:
        run_id = (await payer(attended=False, unattended="pause").run("pay", lab=lab)).id
        async with serving(payer(attended=False, unattended="pause"), lab=lab) as served:
            approve = {"action": "approve"}
            paths = [f"/v1/approvals/{call_id}" for call_id in ("c1", "c2", "c1", "c2")]

            answers = await asyncio.gather(*(served.client.post(path, json=approve) for path in paths))
            await served.client.get(f"/v1/runs/{run_id}/events")

        assert [answer.status_code for answer in answers] == [200] * 4
        assert sum(answer.json()["resumed"] for answer in answers) == 1
        assert [event.type for event in lab.trace(run_id)].count("run_resumed") == 1
        assert lab.trace(run_id).stop_reason == "end_turn"
