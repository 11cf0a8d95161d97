"""The runs of a lab in a table: what a page is told and may ask, and what is opened under it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agentlab import Decision
from agentlab.errors import InputError
from agentlab.lab.finding import FoundRun, RunQuery
from agentlab.lab.journal import LabJournal
from agentlab.lab.lab import Lab
from agentlab.trace.trace import Trace
from agentlab.widgets import shown
from agentlab.widgets.compare_view import CompareView
from agentlab.widgets.lab_browser import PAGE_SIZE, LabBrowser
from agentlab.widgets.trace_view import TraceView
from tests.browser.jlab import XSS_PAYLOADS
from tests.factories import Story, reply, tool
from tests.trace.hostile import hostile


def keep(lab: Lab, trace: Trace, *, close: bool = True) -> LabJournal:
    journal = lab.journal(trace.run_id)
    for event in trace.events:
        journal.append(event)
    journal.flush()
    if close:
        journal.close()
    return journal


def story(n: int, **fields: Any) -> Story:
    return Story(f"run-{n}", minutes=n, **fields)


def lab_of(n_runs: int) -> Lab:
    lab = Lab()
    for n in range(n_runs):
        told = story(n, agent_name=f"agent {n % 3}", tags={"arm": "ab"[n % 2]}, question=f"Question {n}?")
        for _ in range(n % 4):
            told.step(reply(calls=["search"]), tool("search"))
        keep(lab, told.step(reply("Done.")).end("end_turn" if n % 5 else "error"))
    return lab


def asked(told: Story, call_id: str = "call-x") -> Story:
    told.step(reply(calls=["delete"]))
    told.ask(call_id, "delete")
    return told


def listening(lab: Lab) -> tuple[LabBrowser, list[tuple[str, dict[str, Any]]]]:
    made, said = LabBrowser(lab), list[tuple[str, dict[str, Any]]]()
    made.table.tell = lambda kind, **fields: said.append((kind, json.loads(json.dumps(fields))))  # type: ignore[method-assign]
    made.table.state()
    return made, said


def ids(runs: list[FoundRun]) -> list[int]:
    return [int(run.run_id.removeprefix("run-")) for run in runs]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (RunQuery(), [7, 6, 5, 4, 3, 2, 1, 0]),
        (RunQuery(status="error"), [5, 0]),
        (RunQuery(agent="agent 1"), [7, 4, 1]),
        (RunQuery(model="tiny-1", tag="arm=a"), [6, 4, 2, 0]),
        (RunQuery(tag="arm"), [7, 6, 5, 4, 3, 2, 1, 0]),
        (RunQuery(tag="B"), [7, 5, 3, 1]),
        (RunQuery(tag="arm=c"), []),
        (RunQuery(text="question 3"), [3]),
        (RunQuery(text="run-4"), [4]),
        (RunQuery(text="%"), []),
        (RunQuery(text="_"), []),
        (RunQuery(sort="started"), [0, 1, 2, 3, 4, 5, 6, 7]),
        (RunQuery(sort="steps", descending=True), [7, 3, 6, 2, 5, 1, 4, 0]),
        (RunQuery(sort="agent", agent=None), [6, 3, 0, 7, 4, 1, 5, 2]),
        (RunQuery(sort="tags", descending=True), [7, 5, 3, 1, 6, 4, 2, 0]),
        (RunQuery(sort="status"), [7, 6, 4, 3, 2, 1, 5, 0]),
        (RunQuery(status="' OR 1=1 --"), []),
        (RunQuery(tag="arm=' OR 1=1 --"), []),
    ],
    ids=str,
)
def test_runs_are_found_sorted_and_filtered(query: RunQuery, expected: list[int]) -> None:
    found = lab_of(8).finder().find(query, limit=50)

    assert ids(found.runs) == expected
    assert found.n_found == len(expected)


def test_a_page_of_many_runs_is_found() -> None:
    found = lab_of(8).finder().find(RunQuery(), limit=3, offset=6)

    assert (ids(found.runs), found.n_found) == ([1, 0], 8)


def test_runs_are_not_sorted_by_what_is_no_column() -> None:
    with pytest.raises(InputError, match="columns are status, started"):
        RunQuery(sort="1; DROP TABLE runs")  # type: ignore[arg-type]


def test_runs_that_wait_come_first_and_say_how_many_calls_do() -> None:
    lab = lab_of(2)
    paused = asked(story(2))
    paused.pause("call-y", "delete")
    keep(lab, paused.trace())
    running = keep(lab, asked(story(3)).trace(), close=False)
    idle = keep(lab, story(4).trace(), close=False)
    keep(lab, story(5).trace())

    runs = lab.finder().find(RunQuery(), limit=50).runs

    assert [(run.run_id[4:], run.status, run.n_pending) for run in runs] == [
        ("3", "waits", 1),
        ("2", "waits", 2),
        ("5", "interrupted", 0),
        ("4", "running", 0),
        ("1", "end_turn", 0),
        ("0", "error", 0),
    ]
    assert [run.status for run in lab.finder().find(RunQuery(sort="status"), limit=4).runs] == [
        *("waits", "waits", "running", "interrupted"),
    ]
    assert lab.finder().choices().statuses == [
        *(("waits", 2), ("running", 1), ("interrupted", 1), ("end_turn", 1), ("error", 1)),
    ]
    running.close()
    idle.close()


def test_a_call_that_was_decided_by_an_event_or_by_an_answer_left_waits_no_more() -> None:
    lab, told = Lab(), asked(asked(story(1), "call-1"), "call-2")
    journal, finder = keep(lab, told.trace(), close=False), lab.finder()
    assert finder.find(RunQuery(), limit=1).runs[0].n_pending == 2

    for action, n_pending in (("escalate", 2), ("deny", 1)):
        told.decide("call-1", "delete", action)
        journal.append(told.events[-1])
        journal.flush()
        assert finder.find(RunQuery(), limit=1).runs[0].n_pending == n_pending

    lab.leave_answer("run-1", "call-2", Decision(action="deny"), "person")
    assert finder.find(RunQuery(), limit=1).runs[0].status == "running"
    journal.close()


def test_tags_of_a_lab_that_an_older_agentlab_wrote_are_found(tmp_path: Path) -> None:
    import sqlite3

    with Lab(tmp_path / "lab.db") as lab:
        keep(lab, story(1, tags={"arm": "a"}).end())
        keep(lab, story(2).end())
    db = sqlite3.connect(tmp_path / "lab.db")
    db.execute("ALTER TABLE runs DROP COLUMN tags")
    db.close()

    with Lab(tmp_path / "lab.db") as lab:
        assert [run.tags for run in lab.finder().find(RunQuery(), limit=5).runs] == [{}, {"arm": "a"}]
        assert ids(lab.finder().find(RunQuery(tag="arm=a"), limit=5).runs) == [1]


def test_a_page_is_told_fifty_runs_and_asks_for_the_next() -> None:
    made, said = listening(lab_of(PAGE_SIZE + 3))

    made.table.on_page({"type": "ask", "query": {"agent": ""}, "page": 1})

    first = made.table.state()
    assert len(said[-1][1]["rows"]) == 3
    assert (first["n_found"], first["n_pages"], first["first"]) == (PAGE_SIZE + 3, 2, PAGE_SIZE)
    assert [row["id"] for row in first["rows"]] == ["run-2", "run-1", "run-0"]


@pytest.mark.parametrize(
    "message",
    [
        {"type": "ask"},
        {"type": "ask", "query": {"sort": "nothing", "agent": 3, "descending": "x"}, "page": "x"},
        {"type": "ask", "query": [], "page": -1},
        {"type": "ask", "query": {"status": "x" * 10_000}, "page": 10**30},
        {"type": "tick"},
        {"type": "open", "id": {"a": 1}},
        {"type": "compare"},
        {"type": "?"},
    ],
)
def test_whatever_a_page_sends_the_table_goes_on(message: dict[str, Any]) -> None:
    made, said = listening(lab_of(3))

    made.table._hear(made.table, message, [])

    assert "problem" not in [kind for kind, _ in said]
    made.table.on_page({"type": "ask", "query": {"status": "", "sort": None}, "page": 0})
    assert len(said[-1][1]["rows"]) == 3


def test_a_page_beyond_the_last_gives_the_last() -> None:
    made, said = listening(lab_of(3))

    made.table.on_page({"type": "ask", "query": {}, "page": 7})

    assert (said[-1][1]["page"], len(said[-1][1]["rows"])) == (0, 3)


def test_a_run_opens_under_the_table_and_gives_way_to_the_next() -> None:
    made, said = listening(lab_of(3))

    made.table.on_page({"type": "open", "id": "run-1"})
    first = made.children[1]
    made.table.on_page({"type": "open", "id": "run-2"})

    assert isinstance(made.children[1], TraceView)
    assert "run-2" in repr(made.children[1])
    assert first.comm is None, "what was shown before is closed"
    assert said[-1][1]["opened"] == ["run-2"]
    made.table.on_page({"type": "close"})
    assert made.children == (made.table,)


def test_two_ticked_runs_are_compared_and_a_third_takes_the_place_of_the_first() -> None:
    made, said = listening(lab_of(4))

    for run_id in ("run-0", "run-1", "run-2"):
        made.table.on_page({"type": "tick", "id": run_id, "on": True})
    made.table.on_page({"type": "compare"})

    assert said[-1][1]["ticked"] == said[-1][1]["opened"] == ["run-1", "run-2"]
    assert isinstance(made.children[1], CompareView)
    made.table.on_page({"type": "tick", "id": "run-1", "on": False})
    assert said[-1][1]["ticked"] == ["run-2"]


def test_a_run_that_is_gone_is_told_and_not_opened() -> None:
    lab = lab_of(2)
    made, said = listening(lab)
    lab.delete("run-1")

    made.table.on_page({"type": "open", "id": "run-1"})

    assert "there is no run 'run-1'" in said[-1][1]["note"]
    assert (said[-1][1]["opened"], made.children) == ([], (made.table,))


def test_a_refresh_tells_only_what_has_changed() -> None:
    lab = lab_of(2)
    told = story(9)
    journal = keep(lab, told.trace(), close=False)
    made, said = listening(lab)
    made.table.on_page({"type": "refresh"})

    journal.append(told.end().events[-1])
    journal.close()
    made.table.on_page({"type": "refresh"})

    assert [kind for kind, _ in said] == ["same", "snapshot"]
    assert said[-1][1]["rows"][0]["status"] == "end_turn"
    assert not said[-1][1]["goes_on"]


def test_a_closed_lab_is_told_in_the_table() -> None:
    lab = lab_of(1)
    made, said = listening(lab)
    lab.close()

    made.table.on_page({"type": "refresh"})

    assert "is closed" in said[-1][1]["note"]
    assert said[-1][1]["rows"] == []


@pytest.mark.parametrize("payload", XSS_PAYLOADS.values(), ids=XSS_PAYLOADS)
def test_hostile_texts_reach_the_page_as_texts(payload: str) -> None:
    lab = Lab()
    keep(lab, hostile(payload))
    made, _ = listening(lab)

    row = json.loads(json.dumps(made.table.state()))["rows"][0]

    assert row["id"] == payload
    assert row["agent"] == payload[:80] or row["agent"].endswith("…")
    made.table.on_page({"type": "open", "id": payload})
    assert isinstance(made.children[1], TraceView)


def test_the_browser_shows_itself_once_and_static_where_nobody_is(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = lab_of(2)
    displayed: list[dict[str, str]] = []
    monkeypatch.setattr(shown, "display", lambda data, **_: displayed.append(data))

    lab.browse()._ipython_display_()

    assert displayed == [{"text/plain": "<LabBrowser of Lab in memory, 2 runs>", "text/html": lab._repr_html_()}]


def test_only_a_lab_is_browsed() -> None:
    with pytest.raises(InputError, match="a browser shows a lab"):
        LabBrowser("lab.db")  # type: ignore[arg-type]


def test_pages_of_ten_thousand_runs() -> None:
    lab = lab_of(4)
    with lab._store.writing() as db:
        for n in range(4, 10_000, 4):
            for table in ("runs", "journal"):
                names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
                taken = {"run_key": f"run_key + {n}", "run_id": f"run_id || '-{n}'"}
                values = ", ".join(taken.get(name, name) for name in names)
                db.execute(f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table} WHERE run_key <= 4")  # noqa: S608
    made, said = listening(lab)

    assert made.table.state()["n_found"] == 10_000
    made.table.on_page({"type": "ask", "query": {"tag": "arm=a", "sort": "steps"}, "page": 20})

    assert said[-1][1]["n_found"] == 5_000
