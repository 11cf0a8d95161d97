"""A person answers tool calls in the cell's output: by mouse, by key, with edits, one by one, after a reload."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Opening
from tests.browser.jlab import JLab
from tests.browser.showing import (
    ASKED,
    BUY,
    KERNELS,
    SETUP,
    answers,
    ended,
    finished,
    live,
    press,
    ran,
    read_by_model,
    static,
    take_keys,
    value,
    waiting,
)

pytestmark = pytest.mark.browser

GLOVES = {"item": "gloves", "count": 2, "wrap": "plain", "gift": False}
BUY_THREE = "run = shop(orders('gloves', 'tips', 'tape'), 'All done.').run('buy all')"


def test_a_call_waits_until_a_click_lets_it_run(opened: Opening) -> None:
    lab = opened(SETUP, BUY)
    lab.run_all()
    asked = waiting(lab)
    assert ran(lab) == []

    press(asked, "Approve")

    ended(lab)
    assert ran(lab) == [GLOVES]
    assert answers(lab) == [("approve", "person", "person")]
    expect(static(lab)).to_contain_text("Gloves are ordered.")
    assert lab.console == []


@KERNELS
def test_a_key_denies_a_call_with_a_reason_that_the_model_reads(kernel: str, opened: Opening) -> None:
    lab = opened(SETUP, BUY, kernel=kernel)
    lab.run_all()
    asked = waiting(lab)
    take_keys(lab)

    lab.page.keyboard.press("d")
    lab.page.keyboard.type("a dead end: we have gloves")  # the letters of the keys among them
    assert ran(lab) == []
    lab.page.keyboard.press("Enter")

    expect(asked).to_have_count(0)
    ended(lab)
    assert ran(lab) == []
    assert [action for action, *_ in answers(lab)] == ["deny"]
    assert "a dead end: we have gloves" in read_by_model(lab)


def test_a_key_approves_only_inside_the_trace(opened: Opening) -> None:
    lab = opened(SETUP, BUY)
    lab.run_all()
    waiting(lab)
    lab.js("nb.activeCellIndex = 0; nb.mode = 'command'; nb.node.focus(); return null;")
    lab.page.keyboard.press("d")
    assert lab.js("return nb.widgets.length;") == 2
    assert value(lab, "len(run.pending)") == 1

    take_keys(lab)
    lab.page.keyboard.press("a")

    ended(lab)
    assert ran(lab) == [GLOVES]
    assert lab.js("return nb.widgets.length;") == 2, "JupyterLab would have added a cell"


@KERNELS
def test_an_invalid_edit_is_refused_in_the_form_and_the_tool_gets_the_valid_one(kernel: str, opened: Opening) -> None:
    lab = opened(SETUP, BUY, kernel=kernel)
    lab.run_all()
    asked = waiting(lab)
    take_keys(lab)
    lab.page.keyboard.press("e")
    count = asked.get_by_label("count")

    count.fill("500")
    press(asked, "Approve edited")
    expect(count).to_have_attribute("aria-invalid", "true")
    assert "100" in asked.locator(".al-slot", has_text="count").locator(".al-slot-error").inner_text()
    assert value(lab, "len(run.pending)") == 1, "nothing was sent"

    count.fill("3")
    expect(count).to_have_attribute("aria-invalid", "false")
    expect(asked).to_contain_text("was: 2")
    asked.get_by_label("item").fill("mittens")
    press(asked, "Approve edited")

    ended(lab)
    assert ran(lab) == [{**GLOVES, "item": "mittens", "count": 3}]
    assert [action for action, *_ in answers(lab)] == ["edit"]
    kept = value(lab, "[r.requested.arguments for r in run.trace.tool_calls.values()]")
    assert '"gloves"' in kept[0], "what the model asked for is kept"
    assert "mittens" in read_by_model(lab), "the model is told what ran"


@KERNELS
def test_arguments_are_edited_as_json_too(kernel: str, opened: Opening) -> None:
    lab = opened(SETUP, BUY, kernel=kernel)
    lab.run_all()
    asked = waiting(lab)
    asked.get_by_role("tab", name="JSON").click()
    box = asked.get_by_label("arguments as JSON")

    box.fill('{"item": "tape", "count": }')
    press(asked, "Approve edited")
    expect(box).to_have_attribute("aria-invalid", "true")
    assert value(lab, "len(run.pending)") == 1

    box.fill('{"item": "tape", "count": 7, "gift": true}')
    press(asked, "Approve edited")

    ended(lab)
    assert ran(lab) == [{"item": "tape", "count": 7, "wrap": "plain", "gift": True}]


def test_choices_lists_and_nested_objects_are_edited_in_the_form(opened: Opening) -> None:
    parcel = "call('send', to={'street': 'Elm 1', 'zip_code': '10115'}, notes=['fragile', 'this way up'])"
    lab = opened(SETUP, f"run = shop({parcel}, 'Sent.').run('send it')")
    lab.run_all()
    asked = waiting(lab)

    asked.get_by_role("textbox", name="zip_code").fill("abc")
    press(asked, "Approve edited")
    expect(asked.locator(".al-slot-error:visible")).to_contain_text("pattern")  # Python's word, beside the field
    assert value(lab, "len(run.pending)") == 1
    asked.get_by_role("textbox", name="zip_code").fill("20099")
    asked.get_by_role("button", name="remove").last.click()
    press(asked, "Approve edited")

    ended(lab)
    assert ran(lab) == [{"to": {"street": "Elm 1", "zip_code": "20099"}, "notes": ["fragile"]}]


@KERNELS
def test_a_person_answers_in_the_place_of_the_tool(kernel: str, opened: Opening) -> None:
    lab = opened(SETUP, BUY, kernel=kernel)
    lab.run_all()
    asked = waiting(lab)

    press(asked, "Respond")
    press(asked, "Answer for the tool")
    assert value(lab, "len(run.pending)") == 1, "an answer without words is none"
    asked.get_by_role("textbox").last.fill("Ann lends you hers.")
    press(asked, "Answer for the tool")

    ended(lab)
    assert ran(lab) == []
    assert [action for action, *_ in answers(lab)] == ["respond"]
    assert "Ann lends you hers." in read_by_model(lab)


@KERNELS
def test_a_queue_of_three_is_answered_one_by_one_in_any_order(kernel: str, opened: Opening) -> None:
    lab = opened(SETUP, BUY_THREE, kernel=kernel)
    lab.run_all()
    waiting(lab, n=2)
    expect(live(lab)).to_contain_text("2 of 3")

    press(waiting(lab, n=1), "Approve")
    expect(live(lab).locator(ASKED)).to_have_count(2)
    expect(live(lab)).to_contain_text("2 of 2")
    press(waiting(lab, n=1), "Deny")
    lab.page.keyboard.press("Enter")
    expect(live(lab).locator(ASKED)).to_have_count(1)
    press(waiting(lab), "Approve")

    ended(lab)
    assert {order["item"] for order in ran(lab)} == {"gloves", "tips"}
    assert sorted(action for action, *_ in answers(lab)) == ["approve", "approve", "deny"]


@KERNELS
def test_a_queue_is_approved_as_a_whole(kernel: str, opened: Opening) -> None:
    lab = opened(SETUP, BUY_THREE, kernel=kernel)
    lab.run_all()
    waiting(lab, n=2)

    press(live(lab), "Approve all")
    expect(live(lab).locator(".al-allpanel")).to_contain_text("Approve these 3 calls")
    press(live(lab), "Approve these 3")

    ended(lab)
    assert sorted(order["item"] for order in ran(lab)) == ["gloves", "tape", "tips"]


@KERNELS
def test_a_person_stops_the_run_at_a_question(kernel: str, opened: Opening) -> None:
    lab = opened(SETUP, BUY_THREE, kernel=kernel)
    lab.run_all()
    waiting(lab, n=2)

    press(waiting(lab), "Stop the run")
    lab.page.keyboard.type("wrong shop")
    lab.page.keyboard.press("Enter")

    ended(lab)
    assert ran(lab) == []
    assert value(lab, "run.status") == "finished"
    assert "stop" in [action for action, *_ in answers(lab)]


@KERNELS
@pytest.mark.parametrize(
    ("scope", "uses", "asked_about"),
    [
        ("these exact arguments", 10, [2, 5, 9]),
        ("these exact arguments", 1, [2, 5, 2, 9]),
        ("calls like this one", 10, [2, 9]),
        ("every call of", 10, [2]),
    ],
    ids=["exact", "once", "pattern", "tool"],
)
def test_always_allow_reaches_as_far_as_was_chosen(
    scope: str, uses: int, asked_about: list[int], kernel: str, opened: Opening
) -> None:
    counts = "*(orders('gloves', count=n) for n in (2, 2, 5, 2, 9)), 'Done.'"
    lab = opened(SETUP, f"run = shop({counts}).run('buy often')", kernel=kernel)
    lab.run_all()
    asked = waiting(lab)

    press(asked, "Always allow")
    asked.get_by_label(scope).check()
    if scope == "calls like this one":
        asked.get_by_label("condition", exact=True).first.fill("count <= 5")
        for extra in asked.get_by_role("button", name="remove this condition").all()[1:]:
            extra.click()
    asked.get_by_label("how many further calls").fill(str(uses))
    press(asked, "Approve and always allow")

    for count in asked_about[1:]:
        expect(waiting(lab).get_by_label("count")).to_have_value(str(count))
        press(waiting(lab), "Approve")
    ended(lab)
    assert [order["count"] for order in ran(lab)] == [2, 2, 5, 2, 9]
    assert value(lab, "sum(a == 'person' for a in run.approvals_df().approver_kind)") == len(asked_about)


@KERNELS
def test_a_reloaded_page_finds_the_pending_call_and_answers_it(kernel: str, opened: Opening) -> None:
    lab = opened(SETUP, BUY, kernel=kernel)
    lab.run_all()
    waiting(lab)
    lab.save()

    lab.reopen()
    press(waiting(lab), "Approve")

    expect(live(lab).locator(ASKED)).to_have_count(0)
    finished(lab)
    assert ran(lab) == [GLOVES]
    expect(lab.cell(1)).to_contain_text("Gloves are ordered.")


@KERNELS
def test_a_closed_tab_is_opened_again_and_the_pending_call_answered(kernel: str, opened: Opening) -> None:
    lab = opened(SETUP, BUY, kernel=kernel)
    lab.run_all()
    waiting(lab)
    lab.save()

    lab.new_tab()
    lab.reopen()
    press(waiting(lab), "Approve")

    expect(live(lab).locator(ASKED)).to_have_count(0)
    finished(lab)
    assert ran(lab) == [GLOVES]


@KERNELS
def test_two_views_of_one_run_agree_on_what_was_decided(kernel: str, opened: Opening) -> None:
    lab = opened(SETUP, BUY_THREE, "run.view()", "run.view()", kernel=kernel)
    lab.run_all()
    for cell in (1, 2, 3):
        waiting(lab, cell, n=2)

    press(waiting(lab, 2), "Approve")
    for cell in (1, 2, 3):
        expect(live(lab, cell).locator(ASKED)).to_have_count(2)
    press(waiting(lab, 3), "Deny")
    lab.page.keyboard.press("Enter")
    for cell in (1, 2, 3):
        expect(live(lab, cell).locator(ASKED)).to_have_count(1)
    press(waiting(lab, 1), "Approve")

    ended(lab)
    assert {order["item"] for order in ran(lab)} == {"gloves", "tape"}
    for cell in (2, 3):
        expect(live(lab, cell).locator(ASKED)).to_have_count(0)
        expect(live(lab, cell)).to_contain_text("All done.")


def test_a_call_that_was_decided_in_code_waits_no_more_in_the_page(opened: Opening) -> None:
    lab = opened(SETUP, BUY)
    lab.run_all()
    waiting(lab)

    lab.eval("run.deny(run.pending[0].call_id, 'by code')")

    ended(lab)
    expect(static(lab)).to_contain_text("by code")
    assert ran(lab) == []


@KERNELS
def test_late_double_and_foreign_answers_do_no_harm(kernel: str, opened: Opening) -> None:
    lab = opened(SETUP, BUY_THREE, kernel=kernel)
    lab.run_all()
    waiting(lab, n=2)
    first, second = value(lab, "[(c.call_id, c.call_hash) for c in run.pending[:2]]")

    send(lab, "approve", "call-of-nobody", "h")
    send(lab, "approve", first[0], second[1])  # the hash of another call: not the one that was looked at
    assert value(lab, "(len(run.pending), ordered)") == (3, [])

    send(lab, "approve", *first)
    send(lab, "approve", *first)
    send(lab, "deny", *first)
    expect(live(lab).locator(ASKED)).to_have_count(2)
    waiting(lab).get_by_role("button", name="Approve").first.dblclick()
    expect(live(lab).locator(ASKED)).to_have_count(1)
    press(waiting(lab), "Approve")

    ended(lab)
    assert sorted(order["item"] for order in ran(lab)) == ["gloves", "tape", "tips"]
    send(lab, "deny", *first)
    assert [action for action, *_ in answers(lab)] == ["approve"] * 3


def send(lab: JLab, action: str, call_id: str, call_hash: str) -> None:
    """A decision as a page would send it, from every widget there is; it has been heard when this returns."""
    lab.js(
        """
        const kernel = panel.sessionContext.session.kernel;
        for (const comm of kernel._comms.values()) await comm.send({method: "custom", content: arg}).done;
        return null;""",
        {"type": "decide", "action": action, "call_id": call_id, "call_hash": call_hash},
    )
