"""Slips of a hand at calls that wait: letters and clicks that were meant for another call, or for none."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import Opening
from tests.browser.jlab import JLab
from tests.browser.showing import ASKED, SETUP, answers, ended, live, press, ran, value, waiting
from tests.browser.test_approval_form import Card, ask, state

pytestmark = pytest.mark.browser

SLOW = {"type": "object", "properties": {"path": {"type": "string", "pattern": "^([a-z]+/?)+$"}}}
TWO = "run = shop(orders('gloves', 'hats'), 'Done.').run('x')"


@pytest.fixture
def card(lab: JLab) -> Iterator[Card]:
    """A card on a page of its own."""
    page = lab.page.context.new_page()
    shown = Card(page)
    yield shown
    assert shown.errors == []
    page.close()


def test_a_pattern_of_a_schema_does_not_run_in_the_page(card: Card) -> None:
    began_s = time.monotonic()
    card.show(ask({"path": "a" * 40 + "!"}, SLOW))
    assert "matches ^([a-z]+/?)+$" in card.page.locator(".al-slot-hint").inner_text()
    card.field("path").fill("a" * 41 + "!")
    card.press("Approve edited")

    assert card.edited == {"path": "a" * 41 + "!"}
    assert time.monotonic() - began_s < 8


def test_what_python_refuses_stands_beside_its_field_until_it_is_changed(card: Card) -> None:
    card.show(ask()).field("city").fill("Rme")
    card.press("Approve edited")
    card.page.evaluate(
        "message('decided', {call_id: 'c1', error: '`weather` was called with bad arguments: `city`: is no city'})"
    )

    assert card.problems == ["is no city"]
    assert card.field("city").get_attribute("aria-invalid") == "true"
    card.field("city").fill("Rome")
    assert (card.problems, card.page.locator(".al-error:visible").count()) == ([], 0)
    card.press("Approve edited")
    assert len(card.sent) == 2


def test_a_refusal_takes_the_focus_only_from_who_sent_it(card: Card) -> None:
    card.show(ask()).field("city").fill("Rome")
    card.page.evaluate("message('decided', {call_id: 'c1', error: 'it was decided before'})")  # of another page

    assert card.page.get_by_role("alert").filter(has_text="decided before").is_visible()
    card.type("'ad e'")
    assert card.field("city").input_value().endswith("ad e")
    assert card.sent == []


def decides(card: Card) -> list[tuple[str, str]]:
    """What was decided, and about which call."""
    sent = card.page.evaluate("sent")
    return [(one["call_id"], one["action"]) for one in sent if one["type"] == "decide"]


def test_letters_that_were_typed_for_a_call_that_went_decide_no_other(card: Card) -> None:
    card.show(ask(), ask(call_id="c2", tool="delete")).type("d", "'this is '")
    card.page.evaluate("(s) => snapshot(s)", state(ask(call_id="c2", tool="delete")))
    for letter in "a bad idea":  # slower than what is new is deaf
        card.page.keyboard.press(letter)
        card.page.wait_for_timeout(90)

    assert decides(card) == []
    assert card.focused == "tool calls that wait for a decision"
    assert "your words were not sent" in card.page.locator(".al-sr").inner_text()
    assert card.page.locator(".al-panel").count() == 0, "no letter opened the reason of the other call"

    card.page.wait_for_timeout(1600)  # nobody types any more
    card.type("a")
    assert decides(card) == [("c2", "approve")]


@pytest.mark.parametrize("end", ["Tab", "click"])
def test_a_click_or_tab_ends_what_was_typed(end: str, card: Card) -> None:
    card.show(ask(), ask(call_id="c2", tool="delete")).type("d", "'why'")
    card.page.evaluate("(s) => snapshot(s)", state(ask(call_id="c2", tool="delete")))
    card.settled().page.keyboard.press("x")
    if end == "Tab":
        card.type("Tab")
    else:
        card.page.locator(".al-approval-about").click()
    card.page.locator(".agentlab-approval_card").focus()
    card.type("a")

    assert decides(card) == [("c2", "approve")]


HOLD_TIME = "() => { window.later = []; window.setTimeout = (f) => (later.push(f), 0); }"
LET_TIME_GO = "() => { for (const f of later.splice(0)) f(); }"


def test_the_second_click_at_one_spot_approves_no_other_call(card: Card) -> None:
    card.show(ask(), ask(call_id="c2", tool="delete")).page.evaluate(HOLD_TIME)
    click_at(card.page.get_by_role("button", name="Approve").nth(1))
    assert decides(card) == [("c1", "approve")]
    card.page.evaluate("(s) => snapshot(s)", state(ask(call_id="c2", tool="delete")))
    click_at(card.page.get_by_role("button", name="Approve").first)
    card.type("a", "Enter")

    assert decides(card) == [("c1", "approve")]
    card.page.evaluate(LET_TIME_GO)
    card.type("a")
    assert decides(card) == [("c1", "approve"), ("c2", "approve")]


def test_a_call_that_moved_is_deaf_for_a_moment(card: Card) -> None:
    third = ask(call_id="c3", tool="third")
    card.show(ask(), ask(call_id="c2"), third).press("third")
    card.settled().page.evaluate(HOLD_TIME)
    card.page.evaluate("(s) => snapshot(s)", state(ask(call_id="c2"), third))
    assert card.page.locator(".al-approval-bar").get_attribute("aria-disabled") == "true"
    box = card.page.get_by_role("button", name="Approve").nth(1).bounding_box()
    card.page.mouse.click(box["x"] + 20, box["y"] + 8)

    assert decides(card) == []


def test_approve_all_runs_only_the_calls_that_were_named(card: Card) -> None:
    first, second, late = (ask(call_id=name, tool=name) for name in ("first", "second", "late"))
    card.show(first, second).press("Approve all")
    named = card.page.locator(".al-allpanel")
    assert "first" in named.inner_text()
    box = named.get_by_role("button", name="Approve these 2").bounding_box()
    card.page.mouse.click(box["x"] + 20, box["y"] + 8)  # the second half of a double click
    assert decides(card) == []

    card.page.evaluate("(s) => snapshot(s)", state(second, late))
    card.press("Approve these 2")

    assert decides(card) == [("second", "approve")]


def test_a_card_without_a_kernel_says_so_once_and_is_locked(card: Card) -> None:
    card.show(ask())
    gone = """Array.prototype.push.call(sent, {type: 'gone'});
      sent.push = () => { window.tries = (window.tries ?? 0) + 1; throw new Error('Cannot send'); }"""
    card.page.evaluate(f"() => {{ {gone} }}")
    card.page.wait_for_function("window.tries")

    expect(card.page.locator(".al-card-head")).to_contain_text('the kernel is gone; lab.view("run-1")')
    assert card.page.get_by_role("button", name="Approve").is_disabled()
    card.type("a")
    card.page.wait_for_timeout(1200)
    assert card.page.evaluate("tries") == 1


def test_words_typed_in_a_trace_decide_no_other_call(opened: Opening) -> None:
    lab = opened(SETUP, TWO)
    lab.run_all()
    waiting(lab, n=1)
    press(waiting(lab), "Deny")
    call_id = waiting(lab).get_attribute("data-call-id")
    lab.eval(f"__import__('asyncio').get_event_loop().call_later(1, run.deny, {call_id!r})")
    lab.page.keyboard.type("this is a bad idea, and a dead end, " * 2, delay=40)
    expect(live(lab).locator(ASKED)).to_have_count(1)

    assert value(lab, "len(run.pending)") == 1
    expect(live(lab).locator(f"{ASKED} .al-panel")).to_have_count(0)
    expect(live(lab)).to_be_focused()
    press(waiting(lab), "Deny")
    lab.page.keyboard.press("Enter")
    ended(lab)
    assert ran(lab) == []


def test_two_clicks_at_one_spot_of_a_trace_approve_one_call(opened: Opening) -> None:
    lab = opened(SETUP, TWO)
    lab.run_all()
    waiting(lab, n=1)
    waiting(lab).get_by_role("button", name="Approve").first.click()
    expect(live(lab).locator(ASKED)).to_have_count(1)
    click_at(live(lab).locator(ASKED).get_by_role("button", name="Approve").first)
    lab.page.keyboard.press("a")
    lab.page.wait_for_timeout(300)

    assert value(lab, "len(run.pending)") == 1
    press(waiting(lab), "Approve")
    ended(lab)
    assert [action for action, *_ in answers(lab)] == ["approve"] * 2


def click_at(place: Locator) -> None:
    """Click where it is now, whether it takes a click or not."""
    box = place.bounding_box()
    assert box is not None
    place.page.mouse.click(box["x"] + 20, box["y"] + 8)


def test_approve_all_names_the_calls_and_what_is_not_at_hand(opened: Opening) -> None:
    lab = opened(SETUP, TWO)
    lab.run_all()
    waiting(lab, n=1)
    press(live(lab), "Approve all")
    panel = live(lab).locator(".al-allpanel")
    expect(panel).to_contain_text(re.compile("gloves.*hats", re.DOTALL))
    assert value(lab, "len(run.pending)") == 2

    press(panel, "Cancel")
    assert value(lab, "len(run.pending)") == 2
    press(live(lab), "Approve all")
    press(panel, "Approve these 2")

    ended(lab)
    assert len(ran(lab)) == 2
