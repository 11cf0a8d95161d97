from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings

from agentlab import Agent, ScriptedModel, call, frozen, say, tool
from agentlab.errors import InputError, StoreError
from agentlab.lab import pack, reader
from agentlab.lab.lab import Lab
from agentlab.lab.project import Projection
from agentlab.trace.events import RunStarted
from agentlab.trace.trace import Trace
from tests.factories import Story, trace_of, traces


def keep(lab: Lab, trace: Trace) -> None:
    journal = lab.journal(trace.events[0].run_id)
    for event in trace:
        journal.append(event)
    journal.close()


def lab_with(*run_ids: str) -> Lab:
    lab = Lab()
    for minutes, run_id in enumerate(run_ids):
        keep(lab, trace_of(2, run_id, minutes=minutes))
    return lab


@tool
def count_cats(box: int) -> int:
    """Count the cats in a box.

    Args:
        box: Which box.
    """
    return box * 2


def agent() -> Agent:
    return Agent(ScriptedModel([call("count_cats", {"box": 1}), say("Two cats.")]), [count_cats], name="counter")


async def test_an_agent_runs_into_a_lab(tmp_path: Path) -> None:
    with Lab(tmp_path / "lab.db") as lab:
        run = await lab.run(agent(), "How many cats?", tags={"arm": "a"})

        assert run.stop_reason == "end_turn"
        assert lab.trace(run.id).events == run.trace.events

    (info,) = Lab(tmp_path / "lab.db").runs()
    assert (info.status, info.stop_reason, info.n_steps, info.title) == ("finished", "end_turn", 2, "How many cats?")
    assert (info.agent_name, info.model, info.provider, info.protocol) == ("counter", "scripted", "scripted", "native")
    assert info.n_events == len(run.trace)


def test_runs_are_listed_newest_first() -> None:
    lab = Lab()
    for minutes in (2, 9, 5):
        keep(lab, trace_of(2, f"run-{minutes}", minutes=minutes))

    assert [run.run_id for run in lab.runs()] == [run.run_id for run in lab] == ["run-9", "run-5", "run-2"]
    assert lab.runs()[0].started_at == datetime(2026, 1, 2, 3, 13, 5, tzinfo=UTC)
    assert len(lab) == 3


@pytest.mark.parametrize("given_id", ["run-abc1", "run-abc", "abc1", "abc"])
def test_a_run_is_found_by_the_beginning_of_its_id(given_id: str) -> None:
    assert lab_with("run-abc1", "run-xyz2").trace(given_id).run_id == "run-abc1"


def test_a_whole_id_wins_over_longer_ones() -> None:
    assert lab_with("run-1", "run-12").trace("run-1").run_id == "run-1"


def test_an_entry_of_the_list_gives_its_trace() -> None:
    lab = lab_with("run-1", "run-2")

    assert [lab.trace(run).run_id for run in lab] == ["run-2", "run-1"]


def test_an_id_that_several_runs_share_names_them() -> None:
    with pytest.raises(InputError, match=r"several runs begin with 'run-a': run-ab, run-ac; give more of the id"):
        lab_with("run-ab", "run-ac", "run-x").trace("run-a")


@pytest.mark.parametrize("given_id", ["run-b", "%", "run_a", "", "run-ab2"])
def test_an_unknown_id_is_told(given_id: str) -> None:
    with pytest.raises(InputError, match=r"there is no run '.*' in the lab in memory; `lab\.runs\(\)` lists|is empty"):
        lab_with("run-ab").trace(given_id)


def test_a_deleted_run_is_gone_and_its_neighbour_stays() -> None:
    lab = lab_with("run-1", "run-2")

    lab.delete("run-1")

    assert [run.run_id for run in lab] == ["run-2"]
    assert lab.messages_df()["run_id"].unique().tolist() == ["run-2"]
    assert set(lab.chunks_df()["run_id"]) == {"run-2"}
    with lab._store.writing() as db:
        assert db.execute("SELECT COUNT(DISTINCT run_key) FROM journal").fetchone() == (1,)
        assert db.execute("SELECT COUNT(DISTINCT run_key) FROM packs").fetchone() == (1,)


def test_to_delete_takes_a_whole_id() -> None:
    lab = lab_with("run-abc")

    with pytest.raises(InputError, match=r"there is no run 'run-a' in .*; to delete one, give its whole id"):
        lab.delete("run-a")


def test_a_run_of_this_process_is_running_until_its_journal_is_closed() -> None:
    lab, events = Lab(), trace_of(2).events
    journal = lab.journal("run-1")
    for event in events[:5]:
        journal.append(event)
    journal.flush()

    assert lab.runs()[0].status == lab.trace("run-1").status == "running"
    with pytest.raises(StoreError, match="run-1 is still being written"):
        lab.delete("run-1")
    journal.close()
    assert lab.runs()[0].status == lab.trace("run-1").status == "interrupted"


def test_an_empty_lab_is_still_a_lab() -> None:
    assert Lab()
    assert len(Lab()) == 0


def test_a_lab_says_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lab = lab_with("run-1")

    assert repr(lab) == "<Lab in memory, 1 run>"
    assert repr(Lab("cats.db")) == "<Lab 'cats.db', 0 runs>"
    lab.close()
    assert repr(lab) == "<Lab in memory, closed>"
    assert lab._repr_html_() == "<p>Lab in memory, closed</p>"


def columns(lab: Lab) -> dict[str, list[dict[str, object]]]:
    return {name: lab.columns(name).to_pylist() for name in pack.SCHEMAS}


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(traces())
def test_what_frames_read_can_be_made_again_from_the_journal(trace: Trace) -> None:
    with Lab() as lab:
        keep(lab, trace)
        before = columns(lab)

        assert lab.rebuild() == 1

        assert columns(lab) == before


def test_packs_of_another_layout_are_made_again() -> None:
    lab = lab_with("run-1")
    before = columns(lab)
    with lab._store.writing() as db:
        db.execute("UPDATE packs SET layout = layout - 1, data = x'00'")

    assert columns(lab) == before
    with lab._store.writing() as db:
        assert db.execute("SELECT DISTINCT layout FROM packs").fetchall() == [(pack.LAYOUT,)]


def test_columns_of_a_running_run_grow_with_it() -> None:
    lab, events = Lab(), trace_of(3).events
    journal = lab.journal("run-1")
    seen = []
    for event in events:
        journal.append(event)
        journal.flush()
        seen.append(lab.columns("messages").num_rows)

    assert seen == [len(Trace(events[: n + 1]).entries) for n in range(len(events))]
    with lab._store.writing() as db:  # what changes with every event is not worth keeping
        assert db.execute("SELECT COUNT(*) FROM packs").fetchone() == (0,)


def test_columns_of_some_runs_only() -> None:
    lab = lab_with("run-1", "run-2", "run-3")

    table = lab.columns("runs", ["run-3", "run-1", "run-none"])

    assert table["run_id"].to_pylist() == ["run-1", "run-3"]
    assert {row.run_id for row in lab.chunk_logs(["run-2"])} == {"run-2"}


def test_more_ids_than_a_query_takes() -> None:
    lab = lab_with("run-1", "run-2")

    table = lab.columns("runs", [f"run-{n}" for n in range(2000)])

    assert table["run_id"].to_pylist() == ["run-1", "run-2"]


def test_a_frozen_world_makes_a_listing_repeat() -> None:
    listings = []
    for _ in range(2):
        with frozen(seed=7), Lab() as lab:
            lab.run(agent(), "How many cats?").wait()
            listings.append((repr(lab.runs()), lab._repr_html_()))

    assert listings[0] == listings[1]


def test_a_title_is_what_the_person_wrote_and_not_its_envelope() -> None:
    memgpt = Agent(ScriptedModel([call("send_message", {"message": "Two."})]), protocol="memgpt")
    lab = Lab()

    lab.run(memgpt, "  How many cats?\nIn all boxes?").wait()

    assert lab.runs()[0].title == "How many cats?\nIn all boxes?"


def test_a_beginning_that_was_cut_off_is_listed_too() -> None:
    lab = Lab()
    story = Story()
    assert isinstance(story.events[0], RunStarted)
    journal = lab.journal("run-1")
    journal.append(story.events[1].model_copy(update={"seq": 0}))
    journal.close()

    (info,) = lab.runs()
    assert (info.started_at, info.agent_name, info.status) == (None, None, "interrupted")


def test_runs_are_read_in_groups_that_fit_into_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    run_ids = [f"run-{n}" for n in range(6)]
    lab = lab_with(*run_ids)
    parts = pack.part_names("messages")
    monkeypatch.setattr(reader, "_GROUP_BYTES", 2 * size_of(lab, parts))

    assert list(lab.groups(run_ids, parts)) == [run_ids[:2], run_ids[2:4], run_ids[4:]]
    monkeypatch.setattr(reader, "_GROUP_BYTES", 2 * size_of(lab, ["messages"]))
    assert list(lab.groups(run_ids, ["messages"])) == [run_ids[:2], run_ids[2:4], run_ids[4:]]
    assert len(list(lab.groups(run_ids, parts))) == 6
    monkeypatch.undo()
    assert list(lab.groups(run_ids, [], logs=True)) == [run_ids]
    assert list(lab.groups([], parts)) == []
    monkeypatch.setattr(reader, "_GROUP_BYTES", 1)
    assert list(lab.groups(run_ids[:2], [], logs=True)) == [["run-0"], ["run-1"]]
    assert list(lab.groups(run_ids[:2], [])) == [["run-0", "run-1"]]


def size_of(lab: Lab, parts: list[str]) -> int:
    batches = pack.to_parts(pack.to_batches(Projection.of(lab.trace("run-0"))))
    return sum(len(batches[name]) for name in parts)


def test_the_journal_can_be_read_as_it_is_written() -> None:
    lab = lab_with("run-1", "run-2")

    texts = list(lab.event_texts(["run-2"]))

    assert {run_id for run_id, _ in texts} == {"run-2"}
    assert [event["seq"] for _, text in texts for event in orjson.loads(text)] == list(range(len(lab.trace("run-2"))))


def test_how_each_run_stands_and_what_it_took_up() -> None:
    lab = lab_with("run-1", "run-2")

    assert lab.statuses() == {"run-1": "finished", "run-2": "finished"}
    assert lab.statuses(["run-2", "run-none"]) == {"run-2": "finished"}
    assert lab.families() == [("run-1", None), ("run-2", None)]


async def test_the_events_after_any_other_are_those_that_a_trace_has() -> None:
    lab = Lab()
    run = await lab.run(agent(), "How many cats?")
    events = lab.trace(run.id).events

    for seq in range(-1, len(events)):
        assert lab.events_after(run.id, seq) == events[seq + 1 :]
