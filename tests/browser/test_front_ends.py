"""JupyterLab and Notebook 7, ipykernel 7 and 6: a person answers by click where one can arrive, else in the cell."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Opening
from tests.browser.jlab import JLab
from tests.browser.showing import SETUP, answers, ended, live, press, ran, static, value, waiting

pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("lab", ["jupyterlab", "notebook"], indirect=True, scope="module"),
]

BUY = "run = shop().run('buy gloves')"
AWAIT = "run = await shop().run('buy gloves')"
GLOVES = [{"item": "gloves", "count": 2, "wrap": "plain", "gift": False}]
KERNELS = pytest.mark.parametrize(
    ("kernel", "version"), [("python3", 7), ("ipykernel6", 6)], ids=["ipykernel7", "ipykernel6"]
)


@KERNELS
def test_a_click_answers_where_the_cell_has_ended(kernel: str, version: int, opened: Opening) -> None:
    lab = opened(SETUP, BUY, kernel=kernel)
    lab.run_all()

    press(waiting(lab), "Approve")

    ended(lab)
    assert ran(lab) == GLOVES
    assert answers(lab) == [("approve", "person", "person")]
    assert value(lab, "__import__('ipykernel').version_info[0]") == version


def test_a_click_answers_while_the_cell_waits_on_ipykernel_7(opened: Opening) -> None:
    lab = opened(SETUP, AWAIT, "'the next cell has run'")
    lab.run_all()

    asked = waiting(lab)
    lab.page.wait_for_timeout(5_000)  # longer than the time after which a cell would ask by itself
    assert lab.cell(1).locator("input.jp-Stdin-input").count() == 0, "the page is heard, so the cell does not ask"
    assert "the next cell" not in lab.cell_output_text(2)
    press(asked, "Approve")

    ended(lab)
    lab.wait_idle()
    assert "the next cell has run" in lab.cell_output_text(2)
    assert ran(lab) == GLOVES
    assert answers(lab) == [("approve", "person", "person")]


def test_a_page_that_is_loaded_anew_answers_while_the_cell_waits_on_ipykernel_7(opened: Opening) -> None:
    lab = opened(SETUP, AWAIT, "'the next cell has run'")
    lab.run_all()
    waiting(lab)
    lab.save()

    lab.reopen_while_busy()
    press(waiting(lab), "Approve")

    lab.wait_idle()
    assert ran(lab) == GLOVES
    assert answers(lab) == [("approve", "person", "person")]


def test_the_cell_asks_where_no_click_arrives_on_ipykernel_6(opened: Opening) -> None:
    lab = opened(SETUP, AWAIT, "'the next cell has run'", kernel="ipykernel6")
    lab.run_all()
    waiting(lab)

    lab.answer_input(1, "d no money left")

    lab.wait_idle()
    ended(lab)
    assert "the next cell has run" in lab.cell_output_text(2)
    assert ran(lab) == []
    assert answers(lab) == [("deny", "stdin", "person")]
    expect(static(lab)).to_contain_text("no money left")


def test_a_click_that_comes_too_late_changes_nothing_on_ipykernel_6(opened: Opening) -> None:
    lab = opened(SETUP, AWAIT, kernel="ipykernel6")
    lab.run_all()
    press(waiting(lab), "Deny")  # it waits at the kernel until the cell has ended
    lab.page.keyboard.press("Enter")

    lab.answer_input(1, "a")

    lab.wait_idle()
    ended(lab)
    assert ran(lab) == GLOVES
    assert answers(lab) == [("approve", "stdin", "person")]


def test_a_run_is_awaited_in_a_later_cell_on_ipykernel_6(opened: Opening) -> None:
    lab = opened(SETUP, BUY, "(await run).text", kernel="ipykernel6")
    lab.run_all()
    waiting(lab)

    lab.answer_input(2, 'e {"item": "tape", "count": 200}')
    expect(lab.page.locator(".jp-Notebook")).to_contain_text("not taken")
    lab.page.wait_for_function("() => [...document.querySelectorAll('input.jp-Stdin-input')].at(-1)?.value === ''")
    lab.answer_input(2, 'e {"item": "tape", "count": 20}')

    lab.wait_idle()
    assert [order["item"] for order in ran(lab)] == ["tape"]
    assert answers(lab) == [("edit", "stdin", "person")]
    assert "Gloves are ordered." in lab.cell_output_text(2)


def test_an_interrupt_ends_the_question_of_a_cell_on_ipykernel_6(opened: Opening) -> None:
    lab = opened(SETUP, "run = shop().run('buy gloves')\nawait run", "'the next cell has run'", kernel="ipykernel6")
    lab.run_all()
    expect(lab.cell(1).locator("input.jp-Stdin-input")).to_be_visible()

    interrupt(lab)

    lab.wait_idle()
    ended(lab)
    assert "the next cell has run" not in lab.cell_output_text(2), "the cell ended as an interrupted one does"
    assert (value(lab, "run.stop_reason"), ran(lab)) == ("cancelled", [])
    expect(static(lab)).to_contain_text("cancelled")


def test_the_first_tokens_are_seen_while_the_cell_waits(opened: Opening) -> None:
    late = "asyncio.get_running_loop().call_later(60, model.gate.set)"
    model = "model = Gated(['One two three four five six seven eight nine ten.'])"
    lab = opened(SETUP, f"import asyncio\n{model}\n{late}\nrun = await Agent(model).run('count')", kernel="ipykernel6")
    lab.run_all()

    expect(live(lab)).to_contain_text("One two three")
    expect(live(lab)).not_to_contain_text("ten.")
    assert re.search(r"\[\*\]", lab.cell(1).inner_text()), "the cell still runs"
    interrupt(lab)

    ended(lab)
    expect(static(lab)).to_contain_text("cancelled")


def interrupt(lab: JLab) -> None:
    """As by the stop button of the notebook."""
    lab.js("await panel.sessionContext.session.kernel.interrupt(); return null;")
