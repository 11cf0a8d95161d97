"""A trace is read: searched, filtered, folded, copied and walked through, by mouse and by keys alone."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import Opening
from tests.browser.jlab import JLab
from tests.browser.showing import ASKED, BUY, SETUP, live, press, until, value, waiting

pytestmark = pytest.mark.browser

READ = """
from agentlab import say
@tool
def read(n: int) -> str:
    "Read a file."
    return "\\n".join(f"line {i}" for i in range(1500)) + f"\\nneedle {n}"
script = [call("read", n=1), say("One more.") + call("order", item="hay", count=1), call("read", n=2), "Done."]
run = await Agent(ScriptedModel(script), [read, order]).run("look", show=False)"""
VIEW = "view = run.view(); view"


@pytest.fixture
def reading(opened: Opening) -> JLab:
    """A finished run of four steps, shown in the last cell."""
    lab = opened(SETUP, READ, VIEW)
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    lab.run_all()
    expect(live(lab, 2)).to_contain_text("Step 2")
    return lab


def rows(view: Locator) -> Locator:
    """The rows in the page."""
    return view.locator(".al-row")


def marked(view: Locator) -> Locator:
    """The row where the reader is."""
    return view.locator(".al-row.al-marked")


def seen(place: Locator) -> bool:
    """Whether a place is within every box that scrolls around it."""
    return bool(
        place.evaluate("""el => {
          const at = el.getBoundingClientRect();
          for (let box = el.parentElement; box && !box.matches('.al-body'); box = box.parentElement) {
            const around = box.getBoundingClientRect();
            const scrolls = getComputedStyle(box).overflowY !== 'visible' && box.scrollHeight > box.clientHeight;
            if (scrolls && (at.top < around.top || at.bottom > around.bottom)) return false;
          }
          return true; }""")
    )


def copied(lab: JLab) -> str:
    """What is on the clipboard."""
    return str(lab.page.evaluate("navigator.clipboard.readText()"))


def test_what_is_searched_for_is_brought_into_view_also_in_a_text_that_was_cut(reading: JLab) -> None:
    view = live(reading, 2)
    field, count = view.get_by_role("searchbox"), view.locator(".al-count")

    field.fill("NEEDLE")
    for place in ("1 of 2", "2 of 2"):
        expect(count).to_have_text(place)
        match = marked(view).locator("mark", has_text="needle")
        expect(match).to_have_count(1)
        until(lambda match=match: seen(match), "the match is seen")
        field.press("Enter")
    expect(count).to_have_text("1 of 2")

    field.fill("nowhere")
    expect(count).to_have_text("none")
    expect(view.get_by_role("status")).to_have_text("nothing found")


def test_rows_are_filtered_by_kind_and_tool_and_folded(reading: JLab) -> None:
    view = live(reading, 2)
    kinds, tools = view.get_by_label("Show rows of one kind"), view.get_by_label("Show calls of one tool")

    kinds.select_option(label="agent")
    expect(rows(view).locator(".al-said")).to_contain_text(["One more.", "Done."])
    expect(view.get_by_role("status")).to_have_text("4 rows")  # the heads of their steps stay
    kinds.select_option(label="All rows")
    tools.select_option(label="order")
    expect(rows(view).locator(".al-call")).to_have_count(1)
    expect(rows(view).locator(".al-stephead")).to_have_count(1)
    tools.select_option(label="All tools")

    press(view, "Fold all")
    expect(rows(view).locator(".al-call")).to_have_count(0)
    expect(rows(view).locator(".al-stephead")).to_have_count(4)
    expect(rows(view).locator(".al-stephead").nth(1)).to_contain_text("order")
    press(view, "Unfold all")
    expect(rows(view).locator(".al-call").first).to_be_visible()


def test_a_trace_is_read_by_keys_alone(reading: JLab) -> None:
    view, key = live(reading, 2), reading.page.keyboard.press
    view.focus()

    key("j")
    expect(marked(view)).to_contain_text("look")
    key("j")
    expect(marked(view)).to_contain_text("Step 1")
    key("Enter")
    expect(marked(view).get_by_role("button", expanded=False)).to_be_visible()
    key("k")
    expect(marked(view)).to_contain_text("look")
    key("f")
    expect(view.get_by_role("button", name="Unfold all")).to_be_visible()
    key("f")
    key("c")
    until(lambda: '"look"' in copied(reading), "the row is on the clipboard")
    assert json.loads(copied(reading))["role"] == "user"

    key("j")
    key("r")
    expect(view.get_by_role("dialog", name="Request of step 1")).to_contain_text('"role": "user"')
    key("Escape")
    expect(view.get_by_role("dialog")).to_have_count(0)
    key("/")
    reading.page.keyboard.type("hay")
    expect(marked(view)).to_contain_text("order")
    key("Escape")
    key("G")
    expect(marked(view)).to_contain_text("stops: end_turn")
    assert reading.js("return nb.mode;") == "command"
    assert reading.js("return nb.widgets.length;") == 3, "no key was the notebook's"


def test_the_whole_trace_is_copied_and_read_again(reading: JLab) -> None:
    press(live(reading, 2), "Copy JSON")

    until(lambda: "run_finished" in copied(reading), "the trace is on the clipboard")
    lines = [json.loads(line) for line in copied(reading).splitlines()]
    assert [line["type"] for line in lines] == value(reading, "[event.type for event in run.trace.events]")


def test_the_strip_leads_to_a_step(reading: JLab) -> None:
    view = live(reading, 2)
    bins = view.locator(".al-bin")
    expect(bins).to_have_count(4)

    bins.nth(2).dispatch_event("click")
    expect(marked(view)).to_contain_text("Step 3")
    expect(bins.nth(2)).to_have_attribute("aria-current", "true")
    bins.nth(2).focus()
    reading.page.keyboard.press("ArrowLeft")
    expect(view.locator(".al-tip")).to_contain_text("Step 2: model")
    reading.page.keyboard.press("Enter")
    expect(marked(view)).to_contain_text("Step 2")


def test_a_strip_of_many_steps_is_parted_in_height(opened: Opening) -> None:
    lab = opened(SETUP, "trace = long_trace(3_000)", "trace.view()")
    lab.run_all()
    bins = live(lab, 2).locator(".al-bin")
    expect(bins.nth(300)).to_be_attached()

    widths, heights = bins.nth(300).evaluate(
        "el => ['width', 'height'].map((side) => [el, ...el.children].map((one) => one.getBoundingClientRect()[side]))"
    )
    assert widths == pytest.approx([widths[0]] * 3)
    model_s, tool_s = value(lab, "trace.view().state()['strip']['bins'][300][3:5]")
    assert heights[2] / sum(heights[1:]) == pytest.approx(tool_s / (model_s + tool_s), abs=0.01)


def test_a_view_opens_at_the_row_of_a_frame_and_moves_to_another(opened: Opening) -> None:
    lab = opened(SETUP, READ, "calls = run.tool_calls_df(); view = run.at(calls.iloc[2]); view")
    lab.run_all()
    view = live(lab, 2)

    expect(marked(view)).to_contain_text('{"n": 2}')
    assert seen(marked(view))
    assert value(lab, "view.at(calls.iloc[1]) is view")
    expect(marked(view)).to_contain_text("hay")


def test_a_widget_that_is_shown_twice_is_one_widget(opened: Opening) -> None:
    lab = opened(SETUP, BUY, VIEW, "view")
    lab.run_all()
    waiting(lab, 2)

    press(waiting(lab, 3), "Approve")

    for cell in (2, 3):
        expect(live(lab, cell)).to_contain_text("Gloves are ordered.")
        expect(live(lab, cell).locator(ASKED)).to_have_count(0)
        expect(live(lab, cell).get_by_role("status")).to_have_text("run: end_turn")
    assert lab.console == []


def test_every_control_of_a_trace_has_a_name(reading: JLab) -> None:
    nameless = live(reading, 2).evaluate("""el => [...el.querySelectorAll('button, input, select, [role]')]
      .filter((one) => one.checkVisibility() && one.role !== 'status' && one.role !== 'presentation'
        && one.role !== 'list' && one.role !== 'listitem')
      .filter((one) => !(one.ariaLabel || one.textContent.trim())).map((one) => one.outerHTML)""")

    assert nameless == []
