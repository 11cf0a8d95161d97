"""Hostile text in every place of the widgets: as text it is shown, and nothing of it runs."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Opening
from tests.browser.jlab import XSS_PAYLOADS, JLab
from tests.browser.showing import ASKED, LIVE, drawn_whole, ended, live, press, until, value, waiting

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


SHOP = """
from agentlab import ApprovalCard, Lab, chat
from tests.widgets.test_lab_browser import keep

def shop(text):
    @tool(name=text, description=text)
    def order(item: str) -> str:
        raise ValueError(text)
    ask = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), approvers=(Ask(),))
    model = ScriptedModel([think(text) + call(text, item=text), text], name=text)
    return Agent(model, [order], approval=ask, name=text)

def decide(runs):
    for n, run in enumerate(runs):
        (waits,) = run.pending
        run.deny(waits.call_id, payloads[n]) if n % 2 else run.approve(waits.call_id)
"""
CARDS = """\
runs = [shop(text).run(text, tags={text: text}, show=False) for text in payloads]
display(*map(ApprovalCard, runs))"""
CHATS = """\
chats = [chat(shop(text)) for text in payloads]
display(*chats)
turns = [box.send(text) for box, text in zip(chats, payloads)]"""
COMPARED = "display(*(hostile(text).diff(hostile(f'{text} again')) for text in payloads))"
BROWSED = "kept = Lab()\nfor text in payloads:\n    keep(kept, hostile(text))\nkept.browse()"


def test_hostile_text_does_nothing_in_cards_chats_comparisons_and_the_table_of_runs(opened: Opening) -> None:
    """All eight in every place of each, while calls wait and when they are decided, and in the saved notebook."""
    display = f"{IMPORTS}\nfrom IPython.display import display"
    lab = opened(display + SHOP, CARDS, CHATS, COMPARED, BROWSED)
    texts = list(XSS_PAYLOADS.values())
    lab.run_all()
    for cell in (1, 2):
        expect(lab.cell(cell).locator(ASKED)).to_have_count(len(texts))
    assert_all_are_read(lab, 1, ".agentlab-approval_card")
    assert_harmless(lab)

    lab.eval("decide(runs), decide(turns)")
    until(lambda: value(lab, "{r.status for r in runs + turns}") == {"finished"}, "all runs are over")
    expect(lab.cell(2).locator(f"{LIVE} .al-agentsaid")).to_have_count(len(texts))
    unfold(lab)
    assert_all_are_read(lab, 2, LIVE)
    assert_harmless(lab)

    lists = lab.cell(3).locator(".agentlab-widget .al-c-rows")
    expect(lists).to_have_count(len(texts))
    drawn_whole(lab.cell(3))
    assert_all_are_read(lab, 3, ".agentlab-widget")
    rows = lab.cell(4).locator(".agentlab-lab tbody tr")
    expect(rows).to_have_count(len(texts))
    for n in range(len(texts)):
        rows.nth(n).locator(".al-l-status").click()
        expect(lab.cell(4).locator(LIVE)).to_contain_text(texts[-1 - n])  # the newest stands first
    for n in (0, 1):
        rows.nth(n).get_by_role("checkbox").check()
    press(lab.cell(4), "Compare")
    expect(lab.cell(4).locator(".agentlab-widget.agentlab-compare")).to_be_visible()
    assert_harmless(lab)

    lab.save()
    lab.shut_kernels()
    lab.reopen_without_kernel()
    expect(lab.page.locator(".agentlab-static")).not_to_have_count(0)
    for cell in range(1, 5):
        lab.cell(cell).scroll_into_view_if_needed()
        assert lab.cell(cell).locator(f".jp-OutputArea-output :is({ACTIVE})").count() == 0
    assert lab.xss_fired() == []


def assert_all_are_read(lab: JLab, cell: int, widget: str) -> None:
    """The n-th widget of a cell holds the n-th text, letter by letter."""
    for n, text in enumerate(XSS_PAYLOADS.values()):
        shown = lab.cell(cell).locator(widget).nth(n).inner_text()
        assert " ".join(text.split()) in " ".join(shown.split())
