"""A run is watched while it runs, gives way to a static trace, and is there again in a saved notebook."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import Opening
from tests.browser.jlab import notebook
from tests.browser.showing import (
    ASKED,
    BUY,
    KERNELS,
    LIVE,
    SETUP,
    STATIC,
    ended,
    finished,
    live,
    press,
    ran,
    static,
    until,
    value,
    waiting,
)

pytestmark = pytest.mark.browser

COUNT = "model = Gated(['One two three four five six seven eight nine ten.'])\nrun = Agent(model).run('count')"


@KERNELS
def test_the_first_tokens_are_seen_before_the_end(kernel: str, opened: Opening) -> None:
    lab = opened(SETUP, COUNT, kernel=kernel)
    lab.run_all()

    expect(live(lab)).to_contain_text("One two three")
    expect(live(lab)).not_to_contain_text("ten.")
    assert value(lab, "run.status") == "running"
    lab.eval("model.gate.set()")

    ended(lab)
    expect(static(lab)).to_contain_text("nine ten.")
    assert lab.console == []


def test_reasoning_and_arguments_are_seen_as_they_come(opened: Opening) -> None:
    reply = "think('First I weigh it all up at length.') + call('order', item='a very long name of an item', count=2)"
    model = f"model = Gated([{reply}, 'Done.'], after=14)"
    lab = opened(SETUP, f"{model}\nrun = Agent(model, [order]).run('x')")
    lab.run_all()

    expect(live(lab)).to_contain_text("First I weigh")
    expect(live(lab).locator(".al-call")).to_contain_text("order")
    assert value(lab, "run.status") == "running"
    lab.eval("model.gate.set()")

    ended(lab)
    assert [order["item"] for order in ran(lab)] == ["a very long name of an item"]


def test_two_runs_at_once_in_one_notebook_do_not_mix(opened: Opening) -> None:
    lab = opened(SETUP, "one = shop(orders('gloves'), 'One.').run('a')", "two = shop(orders('tips'), 'Two.').run('b')")
    lab.run_all()
    waiting(lab, 1)
    waiting(lab, 2)

    press(waiting(lab, 2), "Approve")
    ended(lab, 2)
    expect(static(lab, 2)).to_contain_text("Two.")
    expect(live(lab, 1).locator(ASKED)).to_have_count(1)
    press(waiting(lab, 1), "Approve")

    ended(lab, 1)
    expect(static(lab, 1)).to_contain_text("One.")
    expect(static(lab, 1)).not_to_contain_text("tips")
    assert [order["item"] for order in ran(lab)] == ["tips", "gloves"]


def test_a_run_is_stopped_from_its_trace(opened: Opening) -> None:
    lab = opened(SETUP, COUNT)
    lab.run_all()
    expect(live(lab)).to_contain_text("One two three")

    press(live(lab), "Stop")

    ended(lab)
    assert value(lab, "run.stop_reason") == "cancelled"


@KERNELS
def test_a_saved_notebook_tells_the_trace_without_a_kernel(kernel: str, opened: Opening) -> None:
    lab = opened(SETUP, BUY, kernel=kernel)
    lab.run_all()
    press(waiting(lab), "Approve")
    ended(lab)

    saved = lab.save()
    bundle = saved["cells"][1]["outputs"][0]["data"]
    assert "application/vnd.jupyter.widget-view+json" not in bundle
    assert "Gloves are ordered." in "".join(bundle["text/html"])
    assert "<script" not in "".join(bundle["text/html"])

    lab.shut_kernels()
    lab.reopen_without_kernel()
    for words in ("buy gloves", "order", "ordered 2 x gloves", "Gloves are ordered.", "approve"):
        expect(lab.cell(1)).to_contain_text(words)
    assert lab.page.get_by_text("model not found").count() == 0


def test_the_static_trace_of_a_long_run_is_limited_and_says_so(opened: Opening) -> None:
    lab = opened(SETUP, "trace = long_trace(3_000)", "trace.view()", "trace")
    lab.run_all()
    expect(live(lab, 2)).to_be_visible()
    expect(static(lab, 3)).to_be_visible()

    html = "".join(lab.save()["cells"][3]["outputs"][0]["data"]["text/html"])

    assert len(html.encode()) < 150_000
    assert html.count("al-said") + html.count("al-call") <= 2 * 200
    expect(static(lab, 3)).to_contain_text("more")


def test_a_saved_view_is_read_without_a_kernel(opened: Opening) -> None:
    lab = opened(SETUP, BUY, "run.view()")
    lab.run_all()
    waiting(lab, 2)
    expect(static(lab, 2)).not_to_be_visible()
    press(waiting(lab), "Approve")
    ended(lab)
    expect(live(lab, 2)).to_contain_text("Gloves are ordered.")

    lab.save()
    lab.shut_kernels()
    lab.reopen_without_kernel()

    expect(static(lab, 2)).to_be_visible()
    expect(static(lab, 2)).to_contain_text("Gloves are ordered.")
    expect(lab.cell(2)).not_to_contain_text("not found", use_inner_text=True)


def test_a_finished_run_is_opened_again_as_a_list(opened: Opening) -> None:
    lab = opened(SETUP, BUY, "view = run.view(); view")
    lab.run_cell(0)
    lab.run_cell(1)
    press(waiting(lab), "Approve")
    ended(lab)

    lab.run_cell(2)

    expect(live(lab, 2)).to_contain_text("ordered 2 x gloves")
    expect(live(lab, 2)).to_contain_text("Gloves are ordered.")
    expect(live(lab, 2).locator(ASKED)).to_have_count(0)


def test_a_request_is_read_and_stays_closed_when_it_was_closed(opened: Opening) -> None:
    lab = opened(SETUP, "agent = shop('Hello.')", "run = await agent.run('hi', show=False)\nview = run.view(); view")
    lab.run_all()
    request, panel = live(lab, 2).locator("[data-hold=raw]").first, live(lab, 2).get_by_role("dialog")

    request.dispatch_event("click")
    expect(panel).to_contain_text('"role": "user"')
    press(panel, "Close")
    lab.eval(
        "setattr(view, 'on_page', lambda message, now=view.on_page: (__import__('time').sleep(0.5), now(message)))"
    )
    request.dispatch_event("click")
    press(panel, "Close")
    lab.wait_idle()
    lab.page.wait_for_timeout(700)

    expect(panel).not_to_be_visible()


def test_a_run_of_a_lab_is_opened_in_a_later_kernel(opened: Opening) -> None:
    lab = opened(
        SETUP,
        "from agentlab import Lab\nlab = Lab('kept.db')\nrun = lab.run(shop(), 'buy gloves')",
        "from agentlab import Lab\nlab = Lab('kept.db')\nlab.view(lab.runs_df().run_id[0])",
    )
    lab.run_cell(0)
    lab.run_cell(1)
    press(waiting(lab), "Approve")
    ended(lab)
    lab.eval("lab.close()")

    lab.restart_kernel()
    lab.run_cell(2)

    expect(live(lab, 2)).to_contain_text("Gloves are ordered.")


def test_a_restarted_kernel_leaves_a_dead_view_that_does_no_harm(opened: Opening) -> None:
    lab = opened(SETUP, BUY)
    lab.run_all()
    waiting(lab)

    lab.restart_kernel()
    expect(live(lab)).to_contain_text("the kernel is gone; lab.view(")
    expect(live(lab).get_by_role("button", name="Approve").first).to_be_disabled()
    assert lab.console == []
    lab.run_cell(0)
    lab.wait_idle()
    assert ran(lab) == []

    lab.run_cell(1)
    expect(live(lab)).to_have_count(1)
    press(waiting(lab), "Approve")
    ended(lab)
    assert len(ran(lab)) == 1


def test_the_list_follows_its_end_until_the_reader_scrolls_up(opened: Opening) -> None:
    script = (
        "[*(call('order', item='x', count=1) for _ in range(30)), ' '.join(f'word{n}' for n in range(400)), 'End.']"
    )
    lab = opened(
        SETUP,
        f"model = Gated({script}, after=200)\nrun = Agent(model, [order]).run('x')",
        "run.view()",
    )
    lab.run_all()
    rows = live(lab, 2).locator(".al-scroller")
    expect(rows).to_contain_text("word150")
    assert at_end(rows)

    rows.hover()
    lab.page.mouse.wheel(0, -600)
    until(lambda: not at_end(rows), "the list is scrolled up")
    seen = rows.get_by_role("button", name=rows.evaluate(STEP_IN_VIEW), exact=True)
    before = seen.bounding_box()
    lab.eval("model.gate.set()")
    finished(lab)
    lab.page.wait_for_timeout(300)

    assert before is not None
    assert seen.bounding_box() == {side: pytest.approx(px, abs=2) for side, px in before.items()}


STEP_IN_VIEW = """
list => {
  const { top } = list.getBoundingClientRect();
  const seen = [...list.querySelectorAll('.al-row-S')].filter((row) => row.getBoundingClientRect().top >= top);
  return seen.map((row) => row.innerText.match(/Step \\d+/)[0])[0];
}"""


def at_end(rows: Locator) -> bool:
    """Whether a list is scrolled to its end."""
    return bool(rows.evaluate("el => el.scrollHeight - el.scrollTop - el.clientHeight < 4"))


def test_an_untrusted_copy_of_the_notebook_shows_the_trace(opened: Opening) -> None:
    lab = opened(SETUP, BUY)
    lab.run_all()
    press(waiting(lab), "Approve")
    ended(lab)
    saved = lab.save()
    saved["cells"].append({**notebook(["1"])["cells"][0], "id": "stranger"})
    lab.add("stranger.ipynb", saved)

    lab.open_notebook("stranger.ipynb")

    expect(lab.page.locator(STATIC)).to_contain_text("Gloves are ordered.")
    assert lab.page.locator(LIVE).count() == 0
