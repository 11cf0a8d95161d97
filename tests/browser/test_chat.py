"""A person chats with an agent: writes, watches, approves inside, stops, and finds it all in the saved notebook."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import Opening
from tests.browser.jlab import XSS_PAYLOADS, JLab
from tests.browser.showing import ASKED, LIVE, SETUP, press, ran, until, value

pytestmark = pytest.mark.browser

CHAT = "from agentlab import Lab, chat\nlab = Lab()\nbox = chat(agent, lab=lab)\nbox"
SHOP = "agent = shop()"
GLOVES = {"item": "gloves", "count": 2, "wrap": "plain", "gift": False}


def line(lab: JLab) -> Locator:
    """Where one writes."""
    return lab.cell(2).locator("textarea.al-chatbox")


def turns(lab: JLab, n: int) -> None:
    """Until so many turns are over."""
    until(lambda: value(lab, "[r.status for r in box.runs]") == ["finished"] * n, f"{n} turns are over")


def test_a_turn_is_written_approved_and_kept(opened: Opening) -> None:
    lab = opened(SETUP, SHOP, CHAT)
    lab.run_all()
    expect(line(lab)).to_be_visible()
    line(lab).fill("buy gloves")
    line(lab).press("Enter")

    asked = lab.cell(2).locator(ASKED).first
    expect(asked).to_be_visible()
    assert ran(lab) == []
    press(asked, "Approve")

    turns(lab, 1)
    expect(lab.cell(2).locator(LIVE)).to_contain_text("Gloves are ordered.")
    expect(line(lab)).to_have_value("")
    assert ran(lab) == [GLOVES]
    assert value(lab, "[info.run_id for info in lab.runs()] == [r.id for r in box.runs]") is True
    assert lab.console == []


def test_shift_enter_begins_a_line_and_an_empty_text_is_not_sent(opened: Opening) -> None:
    lab = opened(SETUP, "agent = Agent(ScriptedModel(['Hello.'] * 3), [])", CHAT)
    lab.run_all()
    expect(line(lab)).to_be_visible()
    line(lab).press("Enter")
    line(lab).type("one")
    line(lab).press("Shift+Enter")
    line(lab).type("two")
    assert line(lab).input_value() == "one\ntwo"
    assert value(lab, "len(box.runs)") == 0
    line(lab).press("Enter")
    turns(lab, 1)
    assert value(lab, "box.runs[0].messages[0].text") == "one\ntwo"


def test_a_turn_is_stopped_and_the_next_goes_on(opened: Opening) -> None:
    lab = opened(SETUP, "agent = Agent(ScriptedModel(['a long answer ' * 200, 'Short.'], gap_s=0.05), [])", CHAT)
    lab.run_all()
    expect(line(lab)).to_be_visible()
    line(lab).fill("tell me")
    line(lab).press("Enter")
    stop = lab.cell(2).get_by_role("button", name="Stop", exact=True).last
    expect(stop).to_be_visible()
    expect(lab.cell(2).locator(LIVE)).to_contain_text("a long answer")
    stop.click()
    turns(lab, 1)
    assert value(lab, "box.runs[0].stop_reason") == "cancelled"

    line(lab).fill("and now?")
    line(lab).press("Enter")
    turns(lab, 2)
    assert value(lab, "box.runs[1].text") == "Short."
    assert value(lab, "box.runs[1].trace.started.parent_run_id == box.runs[0].id") is True


def test_a_restarted_kernel_leaves_a_chat_a_table_of_runs_and_a_comparison_that_say_so(opened: Opening) -> None:
    lab = opened(SETUP, SHOP, CHAT, "lab.browse()", "long_trace(2_000).diff(long_trace(3_000))")
    lab.run_all()
    expect(line(lab)).to_be_visible()
    expect(lab.cell(3).locator(".agentlab-lab")).to_be_visible()
    compared = lab.cell(4).locator(".agentlab-compare .al-c-rows")
    expect(compared).to_be_visible()

    lab.restart_kernel()
    line(lab).fill("buy gloves")
    line(lab).press("Enter")
    press(lab.cell(3), "Refresh")
    compared.evaluate("list => { list.scrollTop = list.scrollHeight / 2; }")

    for cell in (2, 3, 4):
        expect(lab.cell(cell).get_by_role("status").last).to_have_text("the kernel is gone: run the cell again")
    expect(line(lab)).to_have_value("buy gloves")
    assert lab.console == []


def test_the_saved_notebook_keeps_what_was_said_and_nothing_hostile_runs(opened: Opening) -> None:
    payloads = " ".join(XSS_PAYLOADS.values())
    lab = opened(SETUP, f"agent = Agent(ScriptedModel([{payloads!r}] * 2), [], name={XSS_PAYLOADS['img']!r})", CHAT)
    lab.run_all()
    expect(line(lab)).to_be_visible()
    line(lab).fill(payloads)
    line(lab).press("Enter")
    turns(lab, 1)
    until(lambda: "1 turn" in str(lab.save()["cells"][2]["outputs"]), "the notebook holds the turn")
    saved = next(o["data"]["text/html"] for o in lab.save()["cells"][2]["outputs"] if "text/html" in o.get("data", {}))
    saved = saved if isinstance(saved, str) else "".join(saved)
    assert "md-js" in saved
    assert "<img" not in saved
    assert lab.xss_fired() == []
