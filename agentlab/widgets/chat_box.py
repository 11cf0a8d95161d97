"""A small chat with an agent, to try it by hand: every turn is a run that a lab keeps."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from uuid import uuid4

import ipywidgets

from agentlab.agent.agent import Agent
from agentlab.agent.run import Run
from agentlab.errors import AgentLabError, InputError
from agentlab.lab.lab import Lab
from agentlab.messages.message import Message
from agentlab.trace.safe import visible
from agentlab.trace.trace import Trace
from agentlab.widgets.chat_html import chat_html, chat_text
from agentlab.widgets.chat_line import ChatLine
from agentlab.widgets.shown import Shown
from agentlab.widgets.trace_view import TraceView

_LOG = logging.getLogger("agentlab.widgets")
_PAUSED = "The turn waits for decisions. Take them above, then `agent.resume(chat.runs[-1])`, and write on."


def chat(agent: Agent, *, lab: Lab | None = None, history: Run | Trace | Sequence[Message] | None = None) -> ChatBox:
    """A chat with an agent in a notebook: write, watch it work, approve its calls, stop it.

    Args:
        agent: Whom to talk with.
        lab: Where the turns are kept; a lab in memory when not given. It is `.lab` of the chat.
        history: A run or messages whose conversation goes on.

    Raises:
        InputError: What was given is no agent.
    """
    if not isinstance(agent, Agent):
        raise InputError(f"`chat` takes an agent, such as Agent(model, tools), not {agent!r:.80}")
    return ChatBox(agent, lab=Lab() if lab is None else lab, history=history)


class ChatBox(ipywidgets.VBox):
    """The turns so far, one below the other, and a line for the next.

    Attributes:
        agent: Whom one talks with.
        lab: Where the turns are kept.
        runs: One for each turn.
    """

    def __init__(self, agent: Agent, *, lab: Lab, history: Run | Trace | Sequence[Message] | None = None) -> None:
        self.agent, self.lab, self.runs = agent, lab, list[Run]()
        self._history = history
        self._id = f"chat-{uuid4().hex[:8]}"
        self._context = contextvars.copy_context()  # a frozen clock, or a policy in force, where the chat was opened
        self._loop = _running_loop()
        self._line = ChatLine(agent.name, on_send=partial(self._soon, self._try_to_send), on_stop=self.stop)
        self._views: list[TraceView] = []
        self._shown: Shown | None = None
        super().__init__([self._line])

    def send(self, text: str) -> Run:
        """Say something to the agent: the run that answers, started.

        Raises:
            RunError: The last turn is not over.
            InputError: The text is empty.
        """
        self._take_up_resumed()
        history = self.runs[-1] if self.runs else self._history
        run = self.agent.run(text, history=history, lab=self.lab, tags={"chat": self._id}, show=False)
        self.runs.append(run)
        run.when_over(partial(self._turn_is_over, run))
        self._line.show(busy=True, taken=True)
        self._views.append(TraceView(run, compact=True))
        self._draw()
        return run

    def stop(self) -> None:
        """Cancel the turn that goes on; harmless when there is none."""
        self._take_up_resumed()
        if self.runs:
            self.runs[-1].cancel()

    def _take_up_resumed(self) -> None:
        """A paused turn goes on in another run: that is the turn from now on."""
        while self.runs and self.runs[-1].resumed_as is not None:
            self.runs[-1] = self.runs[-1].resumed_as
            self._views[-1] = TraceView(self.runs[-1], compact=True)
            self._draw()

    def _draw(self) -> None:
        self.children = (*self._views, self._line)

    def _try_to_send(self, text: str) -> None:
        """What a person wrote; what is wrong with it is said below the line."""
        try:
            self.send(text)
        except AgentLabError as exc:
            self._line.show(busy=self._is_busy(), note=visible(str(exc)))
        except Exception as exc:  # noqa: BLE001  # it would vanish in the loop
            _LOG.exception("a turn of the chat could not begin, or not be shown")
            self._line.show(busy=self._is_busy(), note=f"{type(exc).__name__}: see the log")

    def _turn_is_over(self, run: Run) -> None:
        self._line.show(busy=False, note=_PAUSED if run.status == "paused" else "")
        if self._shown is not None:
            self._shown.update(self._bundle())

    def _is_busy(self) -> bool:
        return bool(self.runs) and self.runs[-1].status == "running"

    def _soon(self, act: Callable[..., None], *arguments: Any) -> None:
        """Do it in the notebook's loop: what comes from a page comes on any thread."""
        loop = self._loop or _running_loop()
        if loop is not None:
            loop.call_soon_threadsafe(partial(act, *arguments), context=self._context.copy())

    def _bundle(self) -> dict[str, str]:
        return {"text/plain": chat_text(self.agent, self.runs), "text/html": chat_html(self.agent, self.runs)}

    def _ipython_display_(self) -> None:
        self._shown = Shown(self, self._bundle())

    def __repr__(self) -> str:
        turns = "1 turn" if len(self.runs) == 1 else f"{len(self.runs)} turns"
        return f"<ChatBox with {self.agent.name!r}, {turns}>"


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
