"""What a person at the page waits for: long traces until they are painted, stalls while scrolling, a long live text."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from tests.benchmarks.figures import Figure
from tests.browser.jlab import JLab, notebook

ROOT = Path(__file__).resolve().parents[2]
LIVE = ".agentlab-trace-view"

PAINT_TARGETS_S = {10_000: 1.0, 100_000: 4.0}
"""Messages of 500 bytes, and how soon they are to be seen."""
PAINT_REPEATS = 3
STALL_TARGET_MS = 100.0
LIVE_CPU_TARGET_S = 0.3
LIVE_BYTES, LIVE_PER_S, LIVE_S, LIVE_REPEATS = 200_000, 50, 10, 2

SHOW = f"""
const before = document.querySelectorAll('{LIVE}').length, start = performance.now();
nb.activeCellIndex = arg;
const run = app.commands.execute('notebook:run-cell');
const frame = () => new Promise(requestAnimationFrame);
const there = () => {{
  const all = document.querySelectorAll('{LIVE}');
  return all.length > before && all[all.length - 1].querySelector('.al-row .al-said, .al-row .al-call');
}};
while (!there()) await frame();
await frame(); await frame();  // what was put there has been painted
const took = performance.now() - start;
await run;
return took;"""
"""Runs a cell; the time from the command to the painted rows [ms]."""

TRACE_LIST = f"const all = document.querySelectorAll('{LIVE} .al-scroller'), list = all[all.length - 1];"
PLAIN_LIST = f"""
const host = document.querySelector('{LIVE}').parentElement, list = document.createElement('div');
list.style.cssText = 'height: 560px; overflow: auto; position: relative; background: white;';
for (let n = 0; n < 2000; n++) {{
  const row = list.appendChild(document.createElement('p'));
  row.textContent = 'The third box holds two cats, one of them asleep. '.repeat(10);
}}
host.append(list);
list.scrollIntoView();"""
"""Text in paragraphs, with no script behind it: how fast this browser scrolls at best on this machine."""

SCROLL = """
const frame = () => new Promise(requestAnimationFrame);
const gaps = [];
let last = await frame();
const go = async (top) => {
  list.scrollTop = top;
  const now = await frame();
  gaps.push(now - last);
  last = now;
};
for (let n = 0; n < 120; n++) await go(list.scrollTop + 900);
for (let n = 0; n < 60; n++) await go(((n * 0.618) % 1) * (list.scrollHeight - list.clientHeight));
gaps.sort((a, b) => a - b);
return {longest: gaps[gaps.length - 1], middle: gaps[gaps.length >> 1],
  rows: list.querySelectorAll('.al-row').length};"""
"""Scrolls steadily, then jumps all over the list; the times from frame to frame [ms]."""

LIVE_TEXT = f"""
import asyncio, time
from tests.browser.agents import *
head = ("The third box holds two cats, one of them asleep. " * {LIVE_BYTES // 51 + 1})[:{LIVE_BYTES}]
async def watched(show):
    model = Torrent(head, tokens={LIVE_PER_S * (LIVE_S + 4)}, per_s={LIVE_PER_S})
    run = Agent(model).run("x", show=show)
    await asyncio.sleep(2)
    before = time.process_time()
    await asyncio.sleep({LIVE_S})
    spent = time.process_time() - before
    await run
    return spent"""


def run() -> Iterator[Figure]:
    """Painting, scrolling and streaming in a real JupyterLab."""
    cells = ["from tests.browser.agents import *", "traces = {n: long_trace(n) for n in (10_000, 100_000)}"]
    shown = [n for n in PAINT_TARGETS_S for _ in range(PAINT_REPEATS)]
    cells += [f"traces[{n}].view()" for n in shown]
    files = {"paint.ipynb": notebook(cells), "live.ipynb": notebook([LIVE_TEXT])}
    with JLab(files, env={"PYTHONPATH": str(ROOT)}, timeout=180) as lab:
        yield from _painting(lab, shown)
        yield _streaming(lab)


def _painting(lab: JLab, shown: list[int]) -> Iterator[Figure]:
    lab.open_notebook("paint.ipynb")
    lab.run_cell(0)
    lab.run_cell(1)
    lab.wait_idle()
    took_s: dict[int, list[float]] = {}
    stalls_ms: list[float] = []
    for index, n in enumerate(shown):
        took_s.setdefault(n, []).append(lab.js(SHOW, index + 2) / 1000)
        scrolled = lab.js(TRACE_LIST + SCROLL)
        stalls_ms.append(scrolled["longest"])
        detail = f"middle {scrolled['middle']:.0f} ms, {scrolled['rows']} rows in the page"
        lab.js("nb.widgets[arg].model.sharedModel.setOutputs([]); return null;", index + 2)
    for n, times in took_s.items():
        told = ", ".join(f"{t:.2f}" for t in times)
        yield Figure(
            f"{n:,} messages, cell run to painted", median(times), "s", PAINT_TARGETS_S[n], False, f"of {told}"
        )
    lab.js(SHOW, 2)
    plain = lab.js(PLAIN_LIST + SCROLL)
    told = ", ".join(f"{t:.0f}" for t in stalls_ms)
    yield Figure("longest stall while scrolling", max(stalls_ms), "ms", STALL_TARGET_MS, False, f"of {told}; {detail}")
    detail = f"middle {plain['middle']:.0f} ms"
    yield Figure("the same of plain paragraphs", plain["longest"], "ms", None, False, detail)


def _streaming(lab: JLab) -> Figure:
    lab.open_notebook("live.ipynb")
    lab.run_all()
    lab.wait_idle()
    spent_s: dict[bool, list[float]] = {False: [], True: []}
    for show in (False, True) * LIVE_REPEATS:
        lab.js("nb.model.sharedModel.addCell({cell_type: 'code', source: arg}); return null;", _live_cell(show))
        lab.run_cell(lab.js("return nb.widgets.length - 1;"))
        lab.wait_idle(timeout=60)
        spent_s[show].append(ast.literal_eval(lab.eval("spent")))
    without_s, with_s = min(spent_s[False]), min(spent_s[True])
    detail = f"{with_s:.2f} s with a view, {without_s:.2f} s without, per {LIVE_S} s"
    name = f"kernel CPU of a view, {LIVE_PER_S} tokens/s onto {LIVE_BYTES // 1000} kB"
    return Figure(name, with_s - without_s, "s", LIVE_CPU_TARGET_S, False, detail)


def _live_cell(show: bool) -> str:
    return f"spent = await watched({show})"
