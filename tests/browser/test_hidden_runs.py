"""Runs that have no view of their own ask all the same: those of tools, of threads, and the fifth of a cell."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Opening
from tests.browser.showing import ASKED, BUY, SETUP, STATIC, ended, live, press, ran, until, value, waiting

pytestmark = pytest.mark.browser

GLOVES = {"item": "gloves", "count": 2, "wrap": "plain", "gift": False}
OUTER = """
@tool
async def delegate() -> str:
    "Let another agent do it."
    sub = await shop().run("buy gloves")
    return sub.text

outer = Agent(ScriptedModel([call("delegate"), "It is done."]), [delegate], name="outer")
"""


def test_what_a_run_asks_that_a_tool_has_started_is_asked_in_the_row_of_the_tool(opened: Opening) -> None:
    lab = opened(SETUP + OUTER, "run = outer.run('buy')")
    lab.run_all()
    asked = waiting(lab)
    expect(asked).to_contain_text("order")
    assert ran(lab) == []

    press(asked, "Approve")

    ended(lab)
    assert ran(lab) == [GLOVES]
    assert value(lab, "run.text") == "It is done."


def test_a_run_of_a_thread_is_shown_as_it_goes_and_asks(opened: Opening) -> None:
    start = "import threading\nruns = []\n"
    start += "def work():\n    runs.append(shop().run('buy gloves'))\n    runs[0].wait()\n"
    lab = opened(SETUP, start + "threading.Thread(target=work).start()")
    lab.run_all()
    press(waiting(lab), "Approve")
    until(lambda: value(lab, "runs[0].status") == "finished", "the run of the thread is over")
    assert ran(lab) == [GLOVES]


def test_the_runs_of_a_cell_that_are_not_shown_ask_in_cards(opened: Opening) -> None:
    lab = opened(SETUP, "runs = [shop().run('buy gloves') for _ in range(6)]")
    lab.run_all()
    cards = lab.cell(1).locator(".agentlab-approval_card")
    expect(live(lab)).to_have_count(4)
    expect(cards).to_have_count(2)
    for n in (1, 0):
        press(cards.nth(n).locator(ASKED).first, "Approve")
        expect(cards).to_have_count(n)
    until(lambda: value(lab, "[r.status for r in runs[4:]]") == ["finished"] * 2, "the hidden runs are over")
    expect(lab.cell(1)).to_contain_text("`run.view()` shows one")
    assert ran(lab) == [GLOVES] * 2
    value(lab, "[r.cancel() for r in runs] and 1")


def test_a_notebook_that_is_saved_while_a_call_waits_can_be_read_without_a_kernel(opened: Opening) -> None:
    lab = opened(SETUP, BUY)
    lab.run_all()
    waiting(lab)
    expect(lab.cell(1).locator(STATIC)).to_be_hidden()

    saved = lab.save()["cells"][1]["outputs"]

    static = "".join(saved[0]["data"]["text/html"])
    assert "waits for a decision" in static
    lab.reopen_without_kernel()
    expect(lab.cell(1).locator(STATIC)).to_be_visible()
    expect(lab.cell(1)).not_to_contain_text("Loading widget")


def test_when_the_run_is_over_only_the_static_trace_is_left(opened: Opening) -> None:
    lab = opened(SETUP, BUY)
    lab.run_all()
    press(waiting(lab), "Approve")
    ended(lab)
    outputs = lab.save()["cells"][1]["outputs"]
    assert [sorted(output["data"]) for output in outputs] == [["text/html", "text/plain"], []]
