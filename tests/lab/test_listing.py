from __future__ import annotations

from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from agentlab.lab.lab import Lab
from agentlab.lab.listing import SHOWN, RunInfo, listing_html
from tests.factories import trace_of
from tests.lab.test_lab import keep


def info(**changed: object) -> RunInfo:
    fields = {
        "run_id": "run-3f2a9c1e-8b7d",
        "started_at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "status": "finished",
        "stop_reason": "end_turn",
        "agent_name": "counter",
        "model": "tiny-1",
        "provider": "scripted",
        "protocol": "native",
        "parent_run_id": None,
        "title": "How many cats?",
        "n_steps": 3,
        "n_events": 30,
    }
    return RunInfo(**{**fields, **changed})  # type: ignore[arg-type]


class Cells(HTMLParser):
    """The texts of table cells, and the tags around."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag in ("td", "th"):
            self.texts.append("")

    def handle_data(self, data: str) -> None:
        if self.texts:
            self.texts[-1] += data


def test_a_run_is_a_row() -> None:
    cells = Cells(listing_html("Lab", [info()], 1))

    assert cells.texts[:7] == ["run", "started (UTC)", "agent", "model", "asked", "steps", "ended"]
    assert cells.texts[7:10] == ["3f2a9c1e-8b7", "2026-01-02 03:04:05", "counter"]
    assert cells.texts[10:] == ["tiny-1", "How many cats?", "3", "end_turn"]


def test_a_run_without_an_end_shows_its_status() -> None:
    assert Cells(listing_html("Lab", [info(stop_reason=None, status="running")], 1)).texts[-1] == "running"


@pytest.mark.parametrize("field", ["run_id", "agent_name", "model", "title"])
def test_hostile_texts_are_shown_as_texts(field: str) -> None:
    hostile = '"><img src=x onerror=alert(1)><script>alert(2)</script>'

    html = listing_html(hostile, [info(**{field: hostile})], 1)

    assert {"img", "script"}.isdisjoint(Cells(html).tags)
    assert "<script" not in html


def test_texts_that_turn_the_line_around_are_made_visible() -> None:
    assert "\u202e" not in repr(info(title="\u202ecats")) + listing_html("Lab", [info(title="\u202ecats")], 1)


def test_a_long_list_shows_the_newest_and_tells_of_the_rest() -> None:
    lab = Lab()
    for n in range(SHOWN + 3):
        keep(lab, trace_of(1, f"run-{n:02}", minutes=n))

    html = lab._repr_html_()

    assert Cells(html).tags.count("tr") == SHOWN + 1
    assert "run-22" in html
    assert "run-02" not in html
    assert "3 older runs" in html


def test_an_empty_lab_says_how_runs_get_into_it() -> None:
    assert "is empty" in Lab()._repr_html_()
    assert "lab=…" in Lab()._repr_html_()


def test_a_run_says_what_it_was_about() -> None:
    assert repr(info()) == "<run run-3f2a9c1e-8b7d: 'How many cats?', 3 steps, end_turn>"
