"""Two runs compared, and a lab browsed, in a real JupyterLab: by keys alone, with hostile texts, saved and reopened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.jlab import JLab, find_chromium, notebook

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]

COMPARE = """\
from tests.widgets.test_compare_view import told
told("run-1", "two", *"x" * 200, "four").diff(told("run-2", "two", *"x" * 200, "five"))"""
BROWSE = """\
from agentlab.lab.lab import Lab
from tests.browser.jlab import XSS_PAYLOADS
from tests.trace.hostile import hostile
from tests.widgets.test_lab_browser import asked, keep, story
lab = Lab()
for payload in XSS_PAYLOADS.values():
    keep(lab, hostile(payload))
for n in range(60):
    keep(lab, story(n, tags={"arm": "ab"[n % 2]}).end())
waits = asked(story(70))
journal = keep(lab, waits.trace(), close=False)
lab.browse()"""
HOSTILE = """\
from IPython.display import display
for payload in XSS_PAYLOADS.values():
    display(hostile(payload).diff(hostile("harmless")))"""
DECIDE = """\
waits.decide("call-x", "delete", "deny")
journal.append(waits.events[-1])
journal.append(waits.end().events[-1])
journal.close()"""
CONTROL = """\
from IPython.display import HTML, display
display(*map(HTML, XSS_PAYLOADS.values()))"""


@pytest.fixture(scope="module")
def lab() -> Iterator[JLab]:
    if find_chromium() is None:
        told = "no Chromium: install one (`apt-get install chromium`), or set JLAB_CHROMIUM to its path"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(told)
    cells = [COMPARE, BROWSE, HOSTILE, DECIDE, CONTROL]
    with JLab({"t.ipynb": notebook(cells)}, env={"PYTHONPATH": str(ROOT)}) as lab:
        lab.open_notebook("t.ipynb")
        for cell in range(3):
            lab.run_cell(cell)
            lab.wait_idle()
        yield lab


def test_keys_lead_to_the_first_difference_and_through_the_list(lab: JLab) -> None:
    view = lab.cell(0).locator(".agentlab-compare").last
    view.wait_for()
    assert not lab.cell(0).locator(".agentlab-static").is_visible()

    view.focus()
    lab.page.keyboard.press("f")
    current = view.locator(".al-c-current")
    current.wait_for()

    assert current.get_attribute("aria-label") == "tool call search, differs"
    assert current.locator("del").all_inner_texts() == ["four"]
    assert view.locator(".al-c-status").inner_text() == "Place 1 of 1 that differ"
    lab.page.keyboard.press("e")
    assert view.locator("button.al-c-gap").count() == 0
    lab.page.keyboard.press("e")
    assert "same rows" in view.locator("button.al-c-gap").first.inner_text()
    lab.page.keyboard.press("k")
    assert current.get_attribute("aria-label") == "step 202, same in both"


def test_a_lab_is_browsed_by_keys_two_runs_are_compared_and_one_is_opened(lab: JLab) -> None:
    cell, keys = lab.cell(1), lab.page.keyboard
    browser = cell.locator(".agentlab-lab")
    browser.wait_for()
    said = browser.locator(".al-l-said")
    assert browser.locator("tbody tr").first.locator(".al-badge").inner_text() == "! waits (1)"

    browser.focus()
    for key in ("ArrowDown", "ArrowDown", "Space"):
        keys.press(key)
    said.get_by_text("1 of 2 ticked").wait_for()
    for key in ("ArrowDown", "Space"):
        keys.press(key)
    said.get_by_text("2 of 2 ticked").wait_for()
    keys.press("c")
    cell.locator(".agentlab-widget.agentlab-compare").wait_for()
    keys.press("Enter")
    cell.locator(".agentlab-trace-view").wait_for()

    assert cell.locator(".agentlab-widget.agentlab-compare").count() == 0
    keys.press("Escape")
    cell.locator(".agentlab-trace-view").wait_for(state="detached")


def test_heads_sort_and_words_filter(lab: JLab) -> None:
    browser = lab.cell(1).locator(".agentlab-lab")
    browser.get_by_role("button", name="Started").click()
    browser.locator("th[aria-sort=descending]").wait_for()
    browser.get_by_role("button", name="Started").click()
    browser.locator("th[aria-sort=ascending]").wait_for()
    browser.get_by_label("Tag").fill("arm=a")
    browser.get_by_text("30 runs").wait_for()

    assert browser.locator("tbody tr").count() == 30
    browser.get_by_role("button", name="Clear").click()
    browser.get_by_text("1 to 50 of 69 runs").wait_for()


def test_a_run_that_goes_on_tells_its_new_status_by_itself(lab: JLab) -> None:
    first = lab.cell(1).locator(".agentlab-lab tbody tr .al-badge").first
    assert first.inner_text() == "! waits (1)"

    lab.run_cell(3)
    lab.wait_idle()

    first.get_by_text("end_turn").wait_for()


def test_nothing_hostile_runs_live_nor_reopened_without_a_kernel_and_the_control_does(lab: JLab) -> None:
    lab.cell(2).locator(".agentlab-widget").nth(7).wait_for()
    assert lab.xss_fired() == []

    lab.save()
    lab.js("await panel.sessionContext.shutdown(); return null;")
    lab.open_notebook("t.ipynb")
    lab.page.wait_for_function("() => document.querySelectorAll('.agentlab-static').length >= 10")
    lab.cell(0).locator(".agentlab-static").wait_for()
    assert lab.cell(0).locator(".agentlab-static ins").all_inner_texts() == ["five"]
    assert not lab.page.get_by_text("model not found").locator("visible=true").count()
    assert lab.xss_fired() == []

    lab.run_cell(1)
    lab.wait_idle()
    lab.run_cell(4)
    lab.wait_idle()
    assert {"img", "details"} <= set(lab.xss_fired())
