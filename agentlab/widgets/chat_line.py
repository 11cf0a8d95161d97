"""The line in which a person writes to an agent, with a button that sends and one that stops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agentlab.trace.safe import in_one_line
from agentlab.widgets.base import LabWidget
from agentlab.widgets.script import script, style

TEXT_CHARS = 1_000_000
"""A longer text is refused: it was hardly meant."""


class ChatLine(LabWidget):
    """What is written goes to `on_send`; while an agent is at work, `on_stop` can end that.

    Args:
        to: Whom one writes to.
        on_send: Takes the text, on any thread.
        on_stop: Ends what goes on, on any thread.
    """

    _esm = script("chat_line")
    _css = style("chat_line")

    def __init__(self, to: str, *, on_send: Callable[[str], None], on_stop: Callable[[], None]) -> None:
        self._to, self._on_send, self._on_stop = in_one_line(to), on_send, on_stop
        self._busy, self._note, self._n_taken = False, "", 0
        super().__init__()

    def state(self) -> dict[str, Any]:
        """Whom it is to, whether it has to wait, what there is to say, and how many texts were taken."""
        return {"to": self._to, "busy": self._busy, "note": self._note, "taken": self._n_taken}

    def show(self, *, busy: bool, note: str = "", taken: bool = False) -> None:
        """Tell pages how things stand.

        Args:
            busy: The agent is at work: nothing can be sent, and a button stops it.
            note: What there is to say.
            taken: The last text was taken, and the line is free for the next.
        """
        self._busy, self._note = busy, note
        self._n_taken += taken
        self.snapshot += 1

    def on_page(self, message: dict[str, Any]) -> None:
        """Hear the person."""
        match message.get("type"):
            case "send":
                self._take(message.get("text"))
            case "stop":
                self._on_stop()

    def _take(self, text: object) -> None:
        if not isinstance(text, str):
            return
        if len(text) > TEXT_CHARS:
            note = f"The text has {len(text):,} characters; at most {TEXT_CHARS:,} are sent. A tool can read a file."
            self.show(busy=self._busy, note=note)
        else:
            self._on_send(text)

    def describe(self) -> str:
        """Whom it is to."""
        return f"to {self._to}"
