"""A trace full of hostile text in a real JupyterLab: live, reopened, and in a notebook that nobody trusts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.jlab import XSS_PAYLOADS, JLab, find_chromium, notebook

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]

HOSTILE = """\
from IPython.display import display
from tests.browser.jlab import XSS_PAYLOADS
from tests.trace.hostile import hostile
display(*map(hostile, XSS_PAYLOADS.values()))"""
MATHS = """\
from tests.trace.hostile import hostile
hostile("It costs $5 or $x^2$.")"""
CONTROL = """\
from IPython.display import HTML, display
from tests.browser.jlab import XSS_PAYLOADS
display(HTML("<p>$x^2$</p>"), *map(HTML, XSS_PAYLOADS.values()))"""

UNFOLD = """
const details = document.querySelectorAll('.agentlab-trace details');
details.forEach(d => { d.open = true; });
return details.length;"""
ACTIVE = "script, img, svg, iframe, a, object, embed, form, input, textarea, link, mjx-container"


@pytest.fixture(scope="module")
def lab() -> Iterator[JLab]:
    if find_chromium() is None:
        told = "no Chromium: install one (`apt-get install chromium`), or set JLAB_CHROMIUM to its path"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(told)
    notebooks = {"hostile.ipynb": notebook([HOSTILE, MATHS]), "control.ipynb": notebook([CONTROL])}
    with JLab(notebooks, env={"PYTHONPATH": str(ROOT)}) as lab:
        yield lab


def show(lab: JLab, name: str) -> None:
    lab.open_notebook(name)
    lab.run_all()
    lab.wait_idle()
    lab.page.locator(".jp-OutputArea-output").last.wait_for()


def assert_harmless(lab: JLab) -> None:
    """All traces are there with all their text, unfolded, and nothing in them can act or did."""
    lab.page.locator(".agentlab-trace").nth(len(XSS_PAYLOADS)).wait_for()
    assert lab.js(UNFOLD) > 5 * len(XSS_PAYLOADS)
    for n, payload in enumerate(XSS_PAYLOADS.values()):
        assert lab.page.locator(".agentlab-trace").nth(n).inner_text().count(payload) > 10
    assert lab.page.locator(f".agentlab-trace :is({ACTIVE})").count() == 0
    assert lab.xss_fired() == []


def test_the_probe_fires_and_formulas_are_drawn_where_nothing_is_escaped(lab: JLab) -> None:
    show(lab, "control.ipynb")
    lab.page.locator(".jp-OutputArea-output mjx-container").wait_for()

    assert {"script", "img", "details", "breakout"} <= set(lab.xss_fired())


def test_hostile_text_does_nothing_live_nor_reopened(lab: JLab) -> None:
    show(lab, "hostile.ipynb")
    assert_harmless(lab)
    assert looks(lab) == {"align": "left", "display": "flex"}

    lab.save()
    lab.open_notebook("hostile.ipynb")
    assert_harmless(lab)
    assert looks(lab) == {"align": "left", "display": "flex"}


def test_hostile_text_does_nothing_in_a_notebook_that_is_not_trusted(lab: JLab) -> None:
    show(lab, "hostile.ipynb")
    saved = lab.save()
    saved["cells"].append({**notebook(["1"])["cells"][0], "id": "stranger"})  # another notebook than the one signed
    lab.add("stranger.ipynb", saved)

    lab.open_notebook("stranger.ipynb")

    assert_harmless(lab)
    assert lab.page.locator(".agentlab-trace style").count() == 0
    assert lab.page.locator(".agentlab-trace summary strong").first.inner_text() == "Step 1"


def looks(lab: JLab) -> dict[str, str]:
    """What the style sheet has made of two elements that the notebook has its own rules for."""
    return lab.js("""
        const look = (selector) => getComputedStyle(document.querySelector('.agentlab-trace ' + selector));
        return {align: look('.al-io td').textAlign, display: look('.al-step > summary').display};""")
