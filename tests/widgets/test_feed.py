"""What a page is fed with: batches that add up to the snapshot, for every run, however it is cut into batches."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from agentlab import Agent, ApprovalPolicy, ApprovalRule, Ask, ScriptedModel, call, say, think, tool
from agentlab.trace.trace import Trace
from agentlab.widgets import feed as feeds
from agentlab.widgets.feed import PAGE_ROWS, Feed
from agentlab.widgets.live_run import LiveRun
from tests.widgets.traces import long_trace


@tool
def search(q: str) -> str:
    """Find."""
    return f"found {q}"


class Page:
    """A page as the script keeps it: rows by number, the head, and the number of the last batch."""

    def __init__(self, feed: Feed | None = None) -> None:
        self.seq, self.rows, self.head, self.kinds = 0, list[dict[str, Any]](), {}, ""
        if feed is not None:
            self.draw(feed.snapshot())

    def draw(self, snapshot: dict[str, Any]) -> None:
        assert len(snapshot["kinds"]) <= PAGE_ROWS, "these pages are small"
        self.seq, self.head, self.kinds = snapshot["seq"], snapshot["head"], snapshot["kinds"]
        self.rows = [dict(row) for row in snapshot["pages"].get("0", [])]

    def hear(self, kind: str, **batch: Any) -> None:
        assert kind == "batch"
        assert batch["seq"] == self.seq + 1
        self.seq = batch["seq"]
        if "from" in batch:
            self.rows = self.rows[: batch["from"]] + [dict(row) for row in batch["rows"]]
            self.kinds = self.kinds[: batch["from"]] + batch["kinds"]
            assert [row["k"] for row in self.rows] == list(self.kinds)
        for number, field, offset, text in batch.get("live", ()):
            row = self.rows[number]
            assert row["live"]
            assert offset <= len(row.get(field, ""))
            row[field] = row.get(field, "")[:offset] + text
        self.head = batch.get("head", self.head)


def without_asks_of_time(rows):
    return [{**row, "ask": {**row["ask"], "asked_s": 0}} if "ask" in row else row for row in rows]


POLICY = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), approvers=(Ask(attended=True),))
SCRIPT = (
    think("I should look for cats. ") + say("Let me see what there is. ") + call("search", q="cats"),
    say("A rather long answer of many words. " * 20),
)


async def run_until_over(run, feed, page):
    """Decide what waits, and flush at odd moments."""
    chance = random.Random(7)
    async for event in LiveRun(run).follow():
        with feed._lock:
            feed._take(event)
        if event.type == "approval_requested":
            feed.flush()
            assert [row["ask"]["call_id"] for row in page.rows if "ask" in row] == [event.call_id]
            assert page.head["pending"] == 1
            run.approve(event.call_id)
        if chance.random() < 0.4:
            feed.flush()


@pytest.mark.parametrize("protocol", ["native", "memgpt"])
async def test_batches_add_up_to_what_a_new_page_would_see(protocol):
    agent = Agent(ScriptedModel(SCRIPT, gap_s=0.0005), [search], approval=POLICY, protocol=protocol, max_steps=3)
    run = agent.run("cats?")
    page = Page()
    feed = Feed(run.trace, LiveRun(run), page.hear)
    page.draw(feed.snapshot())

    await run_until_over(run, feed, page)
    feed.end()

    fresh = Page(Feed(run.trace, None, page.hear))
    assert without_asks_of_time(page.rows) == fresh.rows
    assert page.head == fresh.head
    assert not any("live" in row or "ask" in row for row in page.rows)


async def test_the_words_of_a_reply_are_there_before_it_ends():
    model = ScriptedModel([say("one two three four five six seven eight")], gap_s=0.05)
    run = Agent(model, []).run("count")
    page = Page()
    feed = Feed(run.trace, LiveRun(run), page.hear)
    page.draw(feed.snapshot())
    seen = []

    def hear(kind, **batch):
        page.hear(kind, **batch)
        seen.extend(row["text"] for row in page.rows if row.get("live") and row.get("text"))

    feed._tell = hear
    await feed.watch(LiveRun(run).follow())

    assert seen, "nothing was seen before the reply was whole"
    assert seen[0] != seen[-1]
    assert run.text.startswith(seen[-1].rstrip())


async def test_a_page_that_opens_in_the_middle_sees_what_the_others_see():
    agent = Agent(ScriptedModel(SCRIPT, gap_s=0.0005), [search], approval=POLICY)
    run = agent.run("cats?")
    first = Page()
    feed = Feed(run.trace, LiveRun(run), first.hear)
    first.draw(feed.snapshot())
    async for event in LiveRun(run).follow():
        with feed._lock:
            feed._take(event)
        feed.flush()
        second = Page(feed)
        assert (second.kinds, second.seq) == (first.kinds, first.seq), event
        live = [[row for row in page.rows if "live" in row] for page in (first, second)]
        assert live[0] == live[1], event
        if event.type == "approval_requested":
            run.approve(event.call_id)


async def test_the_strip_knows_of_every_event_that_the_rows_know_of():
    run = await Agent(ScriptedModel(SCRIPT), [search], approval=None).run("cats?")
    growing, told = Trace(), list[dict[str, Any]]()
    feed = Feed(growing, None, lambda kind, **batch: told.append(batch))
    for event in run.trace.events:
        growing.append(event)
        feed._take(event)
        feed.flush()
        assert told[-1]["strip"] == feed.snapshot()["strip"], event.type


async def test_batches_are_rare_when_no_page_has_spoken_for_long_and_no_cell_runs(monkeypatch):
    monkeypatch.setattr(feeds, "SILENT_S", 0.3)
    monkeypatch.setattr(feeds, "RARE_S", 0.6)
    cell = [False]
    monkeypatch.setattr(feeds, "cell_is_running", lambda: cell[0])
    run = Agent(ScriptedModel(["words " * 5_000], gap_s=0.002), [search], approval=None).run("go")
    batches: list[int] = []
    feed = Feed(run.trace, LiveRun(run), lambda kind, **batch: batches.append(batch["seq"]))
    watching = asyncio.ensure_future(feed.watch(LiveRun(run).follow()))

    async def batches_in(time_s: float) -> int:
        before = len(batches)
        await asyncio.sleep(time_s)
        return len(batches) - before

    assert run.status == "running"
    at_first, later = await batches_in(0.35), await batches_in(0.5)
    assert at_first >= 2
    assert later <= 1
    feed.heard()
    await asyncio.sleep(0.3)
    feed.heard()
    assert await batches_in(0.25) >= 2
    cell[0] = True  # whatever a page says now may come when the cell is over
    await asyncio.sleep(0.7)
    assert await batches_in(0.5) >= 2
    assert run.status == "running"
    run.cancel()
    await run
    await asyncio.wait_for(watching, 5)


async def test_an_observer_that_fails_does_no_harm_to_the_run(caplog):
    run = Agent(ScriptedModel(["Hello there, you."], gap_s=0.01), []).run("hi")

    def broken(kind, **batch):
        raise OSError("the page is gone")

    feed = Feed(run.trace, LiveRun(run), broken)
    watching = asyncio.ensure_future(feed.watch(LiveRun(run).follow()))
    await run
    await watching
    assert run.stop_reason == "end_turn"
    assert "the run goes on" in caplog.text


def test_only_the_pages_around_are_in_the_snapshot_and_the_others_can_be_had():
    feed = Feed(long_trace(5_000), None, lambda *_, **__: None)
    snapshot = feed.snapshot()
    n_rows = len(snapshot["kinds"])
    last = (n_rows - 1) // PAGE_ROWS
    assert set(map(int, snapshot["pages"])) == {0, 1, last - 1, last}
    pages = feed.pages([7, 8])
    assert next(row["text"] for row in pages["7"] if row["k"] == "u").split(":")[0].isdigit()
    assert sum(len(rows) for rows in pages.values()) == 2 * PAGE_ROWS
    assert feed.pages([10**6]) == {str(10**6): []}
    feed.goto = n_rows // 2
    assert n_rows // 2 // PAGE_ROWS in set(map(int, feed.snapshot()["pages"]))


def test_an_empty_trace_can_be_shown():
    snapshot = Feed(Trace(), None, lambda *_, **__: None).snapshot()
    assert (snapshot["kinds"], snapshot["run_id"], snapshot["strip"]["bins"]) == ("", "", [])
