"""What all widgets share: their script and style, a `repr` without a memory address, and a state made when asked for.

The state of a widget is one JSON text, `snapshot`, made when a page asks for it: a second view, a reloaded page and a
page that has missed something draw from what is true now. What changes meanwhile goes as messages.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import anywidget
import orjson
import traitlets as t

_LOG = logging.getLogger("agentlab.widgets")


class LabWidget(anywidget.AnyWidget):
    """Base of the widgets. A class sets `_esm` and `_css`, says what is true in `state`, answers pages in `on_page`."""

    snapshot = t.Int(0).tag(sync=True, to_json=lambda _, widget: orjson.dumps(widget.state(), default=str))
    """In Python only a mark; what a page gets is the JSON text of `state()`."""
    own_id = t.Unicode().tag(sync=True)
    """By which a page finds the model of this widget."""

    _stops: tuple[Callable[[], None], ...] = ()
    """What ends the following of a run."""

    def __init__(self, **traits: Any) -> None:
        unknown = traits.keys() - set(self.trait_names())
        if unknown:
            raise TypeError(f"{type(self).__name__} has no {', '.join(sorted(unknown))}")
        own_id = uuid4().hex
        super().__init__(**traits, own_id=own_id, model_id=own_id)
        self.on_msg(self._hear)

    def close(self) -> None:
        """Be no longer shown, and follow nothing."""
        self._follow_no_more()
        super().close()

    def _follow_no_more(self) -> None:
        stops, self._stops = self._stops, ()
        for stop in stops:
            stop()

    def state(self) -> dict[str, Any]:
        """All that a page needs to draw the widget, as JSON would have it."""
        raise NotImplementedError

    def resync(self) -> None:
        """Tell the pages all again: one has missed something."""
        self.send_state("snapshot")

    def on_page(self, message: dict[str, Any]) -> None:
        """Answer a message of a page. It may come on any thread."""

    def tell(self, kind: str, **fields: Any) -> None:
        """Send a message to all views."""
        self.send({"type": kind}, [orjson.dumps(fields, default=str)])

    def describe(self) -> str:
        """What `repr` tells besides the class."""
        return ""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}{self.describe() and ' '}{self.describe()}>"

    def _hear(self, _widget: Any, content: Any, _buffers: Any) -> None:
        if not isinstance(content, dict):
            return
        try:
            if content.get("type") == "resync":
                self.resync()
            self.on_page(content)
        except Exception as exc:  # noqa: BLE001  # raised out of a callback it would vanish
            _LOG.exception("a widget could not answer its page")
            self.tell("problem", text=f"{type(exc).__name__}: see the log")
