"""A chat as static HTML and as text: what a notebook keeps of it, and shows where no kernel runs."""

from __future__ import annotations

from collections.abc import Sequence

from agentlab.agent.agent import Agent
from agentlab.agent.run import Run
from agentlab.trace.html import traces_html
from agentlab.trace.safe import as_html, in_one_line
from agentlab.trace.words import counted

TURNS = 50
"""The most turns that are kept; of a longer chat the last ones."""


def chat_html(agent: Agent, runs: Sequence[Run]) -> str:
    """The last turns, as much of them as a notebook should hold."""
    kept = runs[-TURNS:]
    left = f"<p>… {counted(len(runs) - len(kept), 'earlier turn')}.</p>" if len(runs) > len(kept) else ""
    name = as_html(in_one_line(agent.name))
    head = f"<p><strong>Chat with {name}</strong> · {counted(len(runs), 'turn')}</p>{left}"
    return head + traces_html([run.trace for run in kept])


def chat_text(agent: Agent, runs: Sequence[Run]) -> str:
    """What was said, turn by turn."""
    lines = [f"Chat with {in_one_line(agent.name)}, {counted(len(runs), 'turn')}"]
    return "\n\n".join([*lines, *(str(run) for run in runs[-TURNS:])])
