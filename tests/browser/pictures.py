"""Takes the pictures of the widgets that the README and the notebooks show: `make pictures`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import expect

from tests.browser.jlab import JLab, notebook

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "notebooks" / "pictures"
WIDTH_PX, HEIGHT_PX, SCALE = 1100, 1500, 2
COLOURS = 256
"""Flat areas and text need no more, and the files stay small."""

LAB = """\
from typing import Annotated
from pydantic import Field
from agentlab import Agent, ApprovalPolicy, ApprovalRule, Ask, ScriptedModel, call, say, think, tool

@tool
def search(query: str) -> list[str]:
    "Search the freezer list."
    return ["anti-GFP, rabbit: 1 vial, box 7", "anti-GFP, mouse: none left"]

@tool
def price(item: str) -> int:
    "Look up the price of an item [EUR]."
    return 420 if "mouse" in item else 310

@tool
def order(item: str, count: Annotated[int, Field(ge=1, le=50)], express: bool = False) -> str:
    "Order items. They are paid at once."
    return f"ordered {count} x {item}"

rules = (ApprovalRule(tool="order", decide="ask"), ApprovalRule(decide="approve"))

def buyer(count, last):
    script = [
        think("Look into the freezer before spending money.") + call("search", query="anti-GFP"),
        call("price", item="anti-GFP, mouse"),
        say("The mouse antibody is used up; one vial costs 420 EUR.")
        + call("order", item="anti-GFP, mouse", count=count, express=True),
        last,
    ]
    model = ScriptedModel(script, ttft_s=0.35, gap_s=0.02, name="tiny-1")
    return Agent(model, [search, price, order], approval=ApprovalPolicy(rules=rules), name="lab-buyer")
"""
WAITING = "run = buyer(20, 'Ordered.').run('Get us anti-GFP for Monday.')"
TWO = """\
from agentlab import approval
with approval(ApprovalPolicy(rules=(ApprovalRule(decide="approve"),))):
    one = buyer(20, "Ordered: 20 vials of the mouse antibody, express.").run("Get us anti-GFP for Monday.", show=False)
    two = buyer(2, "Ordered: two vials of the mouse antibody; the rabbit one is in box 7.").run(
        "Get us anti-GFP for Monday.", show=False)
await one
await two"""
COMPARED = "one.diff(two)"

THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}


def main() -> None:
    """Take all pictures anew."""
    for name, theme in THEMES.items():
        settings = {"@jupyterlab/apputils-extension:themes": {"theme": theme}}
        files = {"t.ipynb": notebook([LAB, WAITING, TWO, COMPARED])}
        with JLab(files, settings=settings, scale=SCALE) as lab:
            lab.page.set_viewport_size({"width": WIDTH_PX, "height": HEIGHT_PX})
            lab.open_notebook("t.ipynb")
            lab.js("app.commands.execute('application:toggle-left-area'); return null;")
            lab.run_cell(0)
            lab.run_cell(1)
            expect(lab.cell(1).locator(".al-approval")).to_be_visible(timeout=30_000)
            lab.page.wait_for_timeout(2_500)  # the animations have come to rest, and the strip shows who is waited for
            keep(lab.cell(1).locator(".agentlab-widget"), f"live_trace_{name}.png")
            if name == "light":
                lab.run_cell(2)
                lab.run_cell(3)
                lab.wait_idle()
                compared = lab.cell(3).locator(".agentlab-widget")
                expect(compared).to_be_visible(timeout=30_000)
                compared.get_by_role("button", name="First difference").click()
                lab.page.mouse.move(0, 0)
                lab.page.wait_for_timeout(1_000)
                keep(compared, "comparison.png")


def keep(place: Any, name: str) -> None:
    """Write a picture of this element, in few colours."""
    picture = Image.open(io.BytesIO(place.screenshot())).convert("RGB")
    picture = picture.quantize(COLOURS, dither=Image.Dither.NONE)
    path = FOLDER / name
    picture.save(path, optimize=True)
    print(f"{path.relative_to(ROOT)}: {picture.width} x {picture.height} px, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
