"""A page that is slow to load a widget: anywidget gives it up after two seconds, and it hears Python all the same."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Opening
from tests.browser.jlab import JLab
from tests.browser.showing import ASKED, LIVE, SETUP, drawn_whole, ended, finished, press, ran, value, waiting

pytestmark = pytest.mark.browser

ALWAYS_LATE = """
window.inTime ??= AbortSignal.timeout;
AbortSignal.timeout = () => {
  const late = new AbortController();
  queueMicrotask(() => late.abort());
  return late.signal;
};
return null;"""
"""Every model is given up before it is loaded, as those of a very slow page are."""
IN_TIME = "AbortSignal.timeout = window.inTime; return null;"


def late(opened: Opening, *cells: str) -> JLab:
    """A page in which all models come late."""
    lab = opened(*cells)
    lab.js(ALWAYS_LATE)
    lab.spare = None  # this page is not for the next test
    lab.run_all()
    expect(lab.page.locator(".agentlab-widget").first).to_be_visible()
    assert lab.given_up
    return lab


def test_a_trace_that_came_late_is_followed_and_its_call_is_answered(opened: Opening) -> None:
    lab = late(opened, SETUP, "run = shop().run('buy gloves')")
    press(waiting(lab), "Approve")
    ended(lab)
    assert len(ran(lab)) == 1
    assert lab.console == []


def test_a_card_and_a_chat_that_came_late_hear_what_becomes_of_their_calls(opened: Opening) -> None:
    card = "from agentlab import ApprovalCard, chat\nrun = shop().run('buy gloves', show=False)\nApprovalCard(run)"
    lab = late(opened, SETUP, card, "box = chat(shop())\nbox")
    press(lab.cell(1).locator(ASKED), "Approve")
    expect(lab.cell(1).locator(".al-card-head")).to_contain_text("no call waits")
    finished(lab)

    line = lab.cell(2).locator("textarea.al-chatbox")
    line.fill("buy gloves")
    line.press("Enter")
    press(lab.cell(2).locator(ASKED).first, "Approve")
    expect(lab.cell(2).locator(LIVE)).to_contain_text("Gloves are ordered.")
    expect(line).to_have_value("")
    assert value(lab, "[r.status for r in box.runs]") == ["finished"]


def test_a_comparison_and_a_table_of_runs_that_came_late_fetch_their_pages(opened: Opening) -> None:
    made = (
        "from agentlab import Lab\nkept = Lab()\n"
        "runs = [await Agent(ScriptedModel([text] * 1, name='m'), []).run('hello', lab=kept, show=False)"
        " for text in ('one', 'two')]"
    )
    lab = late(opened, SETUP, made, "kept.browse()", "long_trace(300).diff(long_trace(400))")
    rows = lab.cell(2).locator(".agentlab-lab tbody tr")
    expect(rows).to_have_count(2)
    rows.first.locator(".al-l-status").click()
    expect(lab.cell(2).locator(LIVE)).to_be_visible()
    expect(lab.cell(2).locator(".agentlab-lab")).not_to_contain_text("Opening")

    drawn_whole(lab.cell(3))
