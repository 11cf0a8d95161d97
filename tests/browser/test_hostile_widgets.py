"""Hostile text in every place of the widgets: as text it is shown, and nothing of it runs."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Opening
from tests.browser.jlab import XSS_PAYLOADS, JLab
from tests.browser.showing import ASKED, LIVE, ended, live, press, waiting

pytestmark = pytest.mark.browser

ACTIVE = "script, img, svg, iframe, a, object, embed, link, mjx-container, [onerror], [onload], [ontoggle], [onclick]"
IMPORTS = """\
from tests.browser.agents import *
from tests.browser.jlab import XSS_PAYLOADS
from tests.trace.hostile import hostile
payloads = list(XSS_PAYLOADS.values())"""


def unfold(lab: JLab) -> None:
    """Open all that is folded in the live traces."""
    lab.page.locator(f"{LIVE} .al-chev[aria-expanded=false]").evaluate_all("all => all.forEach(one => one.click())")


def assert_harmless(lab: JLab) -> None:
    """Nothing in the widgets can act, and nothing did."""
    found = lab.page.locator(f".agentlab-widget :is({ACTIVE})").evaluate_all("all => all.map(el => el.outerHTML)")
    assert found == []
    assert lab.xss_fired() == []
    assert lab.console == []


def test_the_probe_fires_where_nothing_is_escaped(opened: Opening) -> None:
    control = "import ipywidgets\nfrom IPython.display import display\ndisplay(*map(ipywidgets.HTML, payloads))"
    lab = opened(IMPORTS, control)
    lab.run_all()
    lab.wait_idle()
    lab.page.locator(".jp-OutputArea-output details").first.wait_for()

    assert {"img", "details", "breakout"} <= set(lab.xss_fired())
    lab.shut_kernels()  # what fired in this page is not for the next test


@pytest.mark.parametrize("name", list(XSS_PAYLOADS))
def test_a_trace_of_hostile_texts_is_shown_and_does_nothing(name: str, opened: Opening) -> None:
    """Model, reasoning, tool names, arguments, returns, errors, reasons, agent and run names are all the payload."""
    lab = opened(IMPORTS, f"payload = XSS_PAYLOADS[{name!r}]\nview = hostile(payload).view()\nview")
    lab.run_all()
    expect(live(lab)).to_be_visible()

    live(lab).evaluate("el => { el.querySelector('.al-scroller').style.maxHeight = 'none'; }")
    unfold(lab)

    assert live(lab).inner_text().count(" ".join(XSS_PAYLOADS[name].split())) > 10
    live(lab).locator("[data-hold=copy]").first.dispatch_event("click")
    live(lab).locator("[data-hold=raw]").first.dispatch_event("click")
    expect(live(lab).get_by_role("dialog")).to_contain_text("messages")
    live(lab).get_by_role("dialog").get_by_role("button", name="Close").click()
    live(lab).get_by_role("searchbox").fill(XSS_PAYLOADS[name])
    expect(live(lab).locator("mark").first).to_be_visible()
    assert_harmless(lab)


def test_hostile_text_does_nothing_while_it_streams_waits_and_is_answered(opened: Opening) -> None:
    texts = list(XSS_PAYLOADS.values())
    everything = "\\n".join(texts)
    lab = opened(
        IMPORTS,
        "everything = '\\n'.join(payloads)\n"
        "@tool\ndef order(item: str, count: int) -> str:\n    raise ToolError(everything)\n"
        "model = Gated([think(everything) + call('order', {everything: everything, 'item': everything, 'count': 1}),\n"
        "    think(everything) + call('order', item=everything, count=1), everything], after=4_000)\n"
        "ask = ApprovalPolicy(rules=(ApprovalRule(decide='ask'),))\n"
        "run = Agent(model, [order], approval=ask, name=everything).run(everything, tags={everything: everything})",
        "run.view()",
    )
    lab.run_all()
    asked = waiting(lab)
    unfold(lab)
    assert texts[0] in asked.get_by_label("item").input_value()
    asked.get_by_label("item").fill("\n".join(reversed(texts)))
    expect(asked).to_contain_text("changes:")
    asked.get_by_role("tab", name="JSON").click()
    assert_harmless(lab)

    press(asked, "Undo edits")
    press(asked, "Deny")
    asked.get_by_role("textbox").last.fill(everything)
    press(asked, "Deny the call")
    ended(lab)
    unfold(lab)
    assert_harmless(lab)

    saved = json.dumps(lab.save()["cells"][1]["outputs"])
    assert "&lt;img src=" in saved
    lab.reopen()
    lab.page.locator(".agentlab-trace").first.wait_for()
    assert lab.page.locator(f".agentlab-trace :is({ACTIVE})").count() == 0
    assert lab.xss_fired() == []
    assert lab.page.locator(f"{LIVE} {ASKED}").count() == 0
