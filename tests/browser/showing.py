"""Where the tests of the widgets look, and what they do there, as a person would."""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.jlab import JLab

expect.set_options(timeout=20_000)  # a busy machine is no failure

SETUP = "from tests.browser.agents import *\nordered.clear()"
BUY = "run = shop().run('buy gloves')"
LIVE = ".agentlab-trace-view"
STATIC = ".agentlab-trace:not(.agentlab-widget)"
ASKED = ".al-approval"
KERNELS = pytest.mark.parametrize(
    "kernel", ["python3", "ipykernel6"], ids=["ipykernel7", "ipykernel6"], scope="module"
)  # of the module, so that a kernel is started once for all its tests


def live(lab: JLab, cell: int = 1) -> Locator:
    """The live trace in a cell's output."""
    return lab.cell(cell).locator(LIVE)


def static(lab: JLab, cell: int = 1) -> Locator:
    """What stands in its place after the run."""
    return lab.cell(cell).locator(STATIC)


def press(place: Locator, name: str) -> None:
    """Click the button of this name."""
    place.get_by_role("button", name=re.compile(rf"^\s*{re.escape(name)}\s*(…|$)", re.IGNORECASE)).first.click()


def waiting(lab: JLab, cell: int = 1, n: int = 0) -> Locator:
    """The n-th call that waits in a cell's live trace, once it is there and takes an answer."""
    asked = live(lab, cell).locator(ASKED).nth(n)
    expect(asked).to_be_visible()
    expect(asked.locator(".al-approval-bar")).not_to_have_attribute("aria-disabled", "true")
    return asked


def take_keys(lab: JLab, cell: int = 1) -> None:
    """Let keys go to a cell's trace, once its call takes one: where the page scrolls, it is deaf for a moment."""
    live(lab, cell).evaluate("el => el.focus({ preventScroll: true })")
    waiting(lab, cell)


def drawn_whole(cell: Locator) -> None:
    """Let every comparison in a cell be as high as its rows, and wait until it has fetched and drawn them all."""
    cell.locator(".al-c-rows").evaluate_all("all => all.forEach(one => { one.style.maxHeight = 'none'; })")
    expect(cell.locator(".al-c-block:has([data-row])").first).to_be_visible()
    expect(cell.locator(".al-c-block:not(:has([data-row]))")).to_have_count(0)


def value(lab: JLab, expression: str) -> Any:
    """A value of the kernel, as far as its repr tells."""
    return ast.literal_eval(lab.eval(expression))


def ended(lab: JLab, cell: int = 1) -> None:
    """Until the run is over and its static trace stands in the cell."""
    expect(live(lab, cell)).to_have_count(0)
    expect(static(lab, cell)).to_be_visible()


def finished(lab: JLab, run: str = "run") -> None:
    """Until the run is over in the kernel."""
    until(lambda: value(lab, f"{run}.status") == "finished", f"`{run}` is over")


def until(holds: Callable[[], bool], what: str, timeout_s: float = 20) -> None:
    """Wait for what only the kernel knows."""
    end = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end, f"after {timeout_s} s this does not hold: {what}"
        time.sleep(0.05)


def ran(lab: JLab) -> Any:
    """Every order that ran."""
    return value(lab, "ordered")


def answers(lab: JLab, run: str = "run") -> list[tuple[str, str, str]]:
    """Action, approver and kind of approver of each decision of a run."""
    frame = f"{run}.approvals_df()[['action', 'approver', 'approver_kind']]"
    return [tuple(row) for row in value(lab, f"[list(map(str, r)) for r in {frame}.values]")]


def read_by_model(lab: JLab, run: str = "run") -> str:
    """What the model reads of its calls."""
    return str(value(lab, f"'\\n'.join(m.text for m in {run}.messages if m.role == 'tool')"))
