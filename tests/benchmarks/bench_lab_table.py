"""How long a page of the runs of a large lab takes."""

from __future__ import annotations

from collections.abc import Iterator

from agentlab.lab.lab import Lab
from agentlab.widgets.lab_browser import LabBrowser
from tests.benchmarks.figures import Figure, cpu_seconds
from tests.factories import Story, reply, tool

RUNS = 10_000
TARGET_S = 0.25


def run() -> Iterator[Figure]:
    """The first page, and one far down of those with a tag, sorted by their steps."""
    table = LabBrowser(_lab()).table
    table.tell = lambda kind, **fields: None
    far = {"type": "ask", "query": {"tag": "arm=a", "sort": "steps"}, "page": 20}
    pages = {"the first page": table.state, "a sorted page of those with a tag": lambda: table.on_page(far)}
    for name, read in pages.items():
        yield Figure(f"CPU of {name}", cpu_seconds(read, repeats=3), "s", TARGET_S, False, f"{RUNS:,} runs")


def _lab() -> Lab:
    lab = Lab()
    for n in range(RUNS):
        story = Story(f"run-{n}", minutes=n, tags={"arm": "ab"[n % 2]})
        for _ in range(n % 4):
            story.step(reply(calls=["search"]), tool("search"))
        journal = lab.journal(f"run-{n}")
        for event in story.step(reply("Done.")).end().events:
            journal.append(event)
        journal.close()
    return lab
