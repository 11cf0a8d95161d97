"""Runs in a real kernel, as a notebook makes them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def execute(sources: list[str], timeout_s: int = 60) -> list[Any]:
    """The code cells after they ran, in a fresh kernel of this environment."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    NotebookClient(notebook, timeout=timeout_s, kernel_name="python3").execute()
    return notebook.cells


def shown(cell: Any, mime: str = "text/plain") -> str:
    """What the cell shows last."""
    return "".join(output.data.get(mime, "") for output in cell.outputs[-1:] if "data" in output)


SETUP = """
from agentlab import Agent, ScriptedModel, call, tool

@tool
def search(query: str) -> str:
    "Search the notes."
    return query

agent = Agent(ScriptedModel([call("search", query="cats"), "Two."], ttft_s=0.05), [search])
"""


def test_run_await_and_frame_work_in_three_cells():
    _, started, awaited, frame, whole = execute(
        [SETUP, "run = agent.run('x'); run.status", "await run; run.text", "run.steps_df()[['step', 'ttft_s']]", "run"]
    )
    assert shown(started) == "'running'", "the cell ends while the run goes on"
    assert shown(awaited) == "'Two.'"
    assert ["<details" in output.data.get("text/html", "") for output in awaited.outputs] == [True, False]
    assert "ttft_s" in shown(frame)
    assert "<details" in shown(whole, "text/html")
    assert "search" in shown(whole)


def test_wait_in_a_cell_says_what_to_do_instead():
    *_, cell = execute([SETUP, "try:\n    agent.run('x').wait()\nexcept RuntimeError as exc:\n    print(exc)"])
    assert "use `await run`" in cell.outputs[0].text


def test_a_cell_may_await_a_run_directly_and_watch_one():
    *_, direct, watched = execute([SETUP, "(await agent.run('x')).text", "[e.type async for e in agent.run('x')][-1]"])
    assert shown(direct) == "'Two.'"
    assert shown(watched) == "'run_finished'"


MANY = "import asyncio\nruns = await asyncio.gather(*(agent.run('x', show={show}) for _ in range(100))); len(runs)"


def test_without_a_person_the_cell_that_waits_for_a_run_shows_it_once():
    _, awaited, again, quiet, many, none = execute(
        [
            SETUP,
            "await agent.run('x')",
            "run = await agent.run('x')\nawait run\nrun",
            "run = await agent.run('x', show=False)",
            MANY.format(show=True),
            MANY.format(show=False),
        ]
    )
    for cell in (awaited, again):
        assert ["text/html" in output.data for output in cell.outputs] == [True]
    assert quiet.outputs == []
    assert [output.output_type for output in many.outputs] == [*["display_data"] * 5, "execute_result"]
    assert "`run.view()` shows one" in many.outputs[4].data["text/plain"]
    assert [output.output_type for output in none.outputs] == ["execute_result"]


def test_the_runs_that_a_tool_starts_are_not_shown():
    *_, cell = execute(
        [
            SETUP,
            "@tool\nasync def helper() -> str:\n    'Ask another agent.'\n    return (await agent.run('x')).text\n"
            "outer = Agent(ScriptedModel([call('helper'), 'Done.']), [helper], name='outer')\n"
            "run = await outer.run('go')",
        ]
    )
    (output,) = cell.outputs
    assert "outer" in output.data["text/plain"].splitlines()[0]


def test_a_view_without_a_person_is_the_static_trace():
    *_, cell = execute([SETUP, "run = await agent.run('x', show=False)\nrun.view()"])
    (output,) = cell.outputs
    assert "<details" in output.data["text/html"]
    assert not any("widget" in mime for mime in output.data)


@pytest.mark.local_model
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_cells_for_the_local_model_run(path):
    """nbval skips them, as a real model's words differ from machine to machine; here they must run."""
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    if not any("local-model" in cell.metadata.get("tags", []) for cell in cells):
        pytest.skip("no cell here uses the local model")
    ran = execute([cell.source for cell in cells], timeout_s=240)
    marked = [new for old, new in zip(cells, ran, strict=True) if "local-model" in old.metadata.get("tags", [])]
    assert all(shown(cell) for cell in marked)
    assert "provider" in shown(marked[-1]), "tokens are told by the model's server"


def test_the_code_of_the_readme_runs_and_says_what_it_says(tmp_path):
    """The first block, and those on approvals; the one on a local model is not run here."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    chosen = [block for block in blocks if "ScriptedModel" in block or "lab.resume" in block]
    script = "import matplotlib; matplotlib.use('Agg')\n" + "\n".join(chosen)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(chosen) >= 3
    assert "Two cats live there." in done.stdout
    assert "ttft_s" in done.stdout
    assert "edit" in done.stdout
