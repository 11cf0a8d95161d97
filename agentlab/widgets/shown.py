"""How a widget shows itself in a notebook, so that the notebook still shows it when no kernel runs any more.

A page that is reopened says "model not found" in the place of a widget, also where the output holds HTML besides. So
there are two outputs: static HTML, and the widget. The style sheet of the first hides it while the widget behind it
lives, and hides what is in the widget's place when it does not. Without a person at the page there is only the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from IPython.display import display

from agentlab.agent.front_end import person_at_front_end

STATIC = "agentlab-static"
"""Class of the element around the static HTML."""

_OUTPUT = ".jp-OutputArea-child"
_SWITCH = (
    f"{_OUTPUT}:has(.{STATIC}):has(+ {_OUTPUT} .agentlab-widget),"
    f"{_OUTPUT}:has(.{STATIC}) + {_OUTPUT}:has(.jupyter-widgets):not(:has(.agentlab-widget))"
    "{display:none}"
)


def show(widget: Any, bundle: Mapping[str, str]) -> None:
    """Show a widget, and what stands for it where nothing can draw it.

    Args:
        widget: Whose own output comes second.
        bundle: Static HTML and plain text, by MIME type.
    """
    Shown(widget, bundle)


class Shown:
    """A widget that is shown. What stands for it can be brought up to date.

    Args:
        widget: Whose own output comes second.
        bundle: Static HTML and plain text, by MIME type.
    """

    def __init__(self, widget: Any, bundle: Mapping[str, str]) -> None:
        self._attended = person_at_front_end()
        self._handle = display(self._static(bundle), raw=True, display_id=True)
        self._live: Any = None
        if self._attended:
            live = widget._repr_mimebundle_()  # what a notebook asks a widget for
            data, metadata = live if isinstance(live, tuple) else (live, {})
            # its name would stand below the static HTML wherever no widgets are drawn: in nbconvert's pages, on GitHub
            self._live = display({**data, "text/plain": ""}, metadata=metadata, raw=True, display_id=True)

    def update(self, bundle: Mapping[str, str]) -> None:
        """Let this stand for the widget from now on."""
        if self._handle is not None:
            self._handle.update(self._static(bundle), raw=True)

    def settle(self, bundle: Mapping[str, str]) -> None:
        """Let this take the place of the widget for good, also while a kernel runs."""
        if self._handle is not None:
            self._handle.update(dict(bundle), raw=True)
        if self._live is not None:
            self._live.update({}, raw=True)  # an output without data is not to be seen

    def _static(self, bundle: Mapping[str, str]) -> dict[str, str]:
        if not self._attended:
            return dict(bundle)
        html = f'<div class="{STATIC}"><style>{_SWITCH}</style>{bundle["text/html"]}</div>'
        return {**bundle, "text/html": html}
