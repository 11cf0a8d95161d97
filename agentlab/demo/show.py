"""The demonstration itself: a run, live in the terminal, and what it leaves in a folder."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rich.console import Console

from agentlab.agent.run import Run
from agentlab.analysis.export import to_parquet
from agentlab.analysis.plots import save_picture, waterfall
from agentlab.demo.task import TASK, demo_agent
from agentlab.lab.lab import Lab
from agentlab.models.base import ChatModel
from agentlab.terminal import show_live, steps_table
from agentlab.trace.html import trace_page


def run_demo(model: ChatModel, folder: Path, console: Console, *, task: str = TASK) -> Run:
    """Run the agent, show it, and leave a lab, the trace as a page, the frames as Parquet and a picture."""
    folder.mkdir(parents=True, exist_ok=True)
    with Lab(folder / "lab.db") as lab:
        run = asyncio.run(_run_live(model, task, lab, console))
    console.print(steps_table(run.trace))
    for path in _write(run, folder):
        console.print(f"wrote {path}", style="dim")
    console.print(f'read on in Python: agentlab.messages_df("{folder / "lab.db"}")', style="dim")
    return run


async def _run_live(model: ChatModel, task: str, lab: Lab, console: Console) -> Run:
    run = demo_agent(model).run(task, lab=lab)
    await show_live(run, console)
    return await run


def _write(run: Run, folder: Path) -> list[Path]:
    page = folder / "trace.html"
    page.write_text(trace_page(run.trace), encoding="utf-8")
    picture = folder / "waterfall.png"
    save_picture(waterfall(run), picture)
    frames = folder / "frames"
    to_parquet(run, frames)
    return [folder / "lab.db", page, picture, frames]
