"""A decision typed by a person: at the terminal of a script, or in the input line of a notebook's cell."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from typing import Any

from agentlab.agent.approval import Decision
from agentlab.agent.desk import PendingCall
from agentlab.agent.masking import masked, restored
from agentlab.errors import InputError, ToolArgumentError
from agentlab.trace.safe import visible

_at_terminal = threading.Lock()
"""Held by the question that stands at the terminal: a line that is typed must not answer another one."""


class TerminalQuestion:
    """A call asked about at the terminal, when the questions before it are over."""

    def __init__(self, call: PendingCall) -> None:
        self._call = call
        self._stands, self._is_over = False, False

    def ask(self) -> Decision | None:
        """The decision; None at the end of the input, and when the question is over. To be called in a thread."""
        with _at_terminal:
            if self._is_over:
                return None
            self._stands = True
            try:
                return typed_decision(self._call, _tell, lambda: self._is_over)
            finally:
                self._stands = False

    def end(self) -> None:
        """The call waits no more. Nothing can take back the line that a person is typing: it will not be taken."""
        self._is_over = True
        if self._stands:
            _tell(f"\n{visible(self._call.tool)}: this call does not wait any more; press Enter to go on")


def typed_decision(
    call: PendingCall, show: Callable[[str], None], is_over: Callable[[], bool] = lambda: False
) -> Decision | None:
    """Ask by `input()` until the answer can be used; None at the end of the input.

    Args:
        call: What is asked about.
        show: Tells the question, and why an answer was not taken.
        is_over: Whether the call has ceased to wait; the line that is typed then counts for nothing.
    """
    arguments = json.dumps(masked(call.arguments), ensure_ascii=False, indent=2)  # a notebook keeps what it shows
    show(f"\n{visible(call.tool)} {arguments}\n(step {call.step} of {call.run_id})")
    while True:
        try:
            line = input("[a]pprove, [d]eny REASON, [e]dit JSON, [r]espond TEXT, [s]top? ").strip()
            return None if is_over() else _read_line(call, line)
        except (EOFError, NotImplementedError):  # the latter: a kernel whose front end lets nobody type
            return None
        except (ValueError, ToolArgumentError) as exc:
            show(f"not taken: {exc}")


def _tell(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201  # a question to a person


def _read_line(call: PendingCall, line: str) -> Decision:
    key, _, rest = line.partition(" ")
    match key.lower():
        case "a" | "approve":
            return Decision(action="approve")
        case "d" | "deny":
            return Decision(action="deny", reason=rest or None)
        case "e" | "edit":
            edited = Decision(action="edit", arguments=_edited(rest, call))
            call.check(edited)
            return edited
        case "r" | "respond":
            if not rest:
                raise InputError("write what the model is to read: r TEXT")
            return Decision(action="respond", response=rest)
        case "s" | "stop":
            return Decision(action="stop", reason=rest or None)
    raise ValueError(f"{line!r} is none of the answers")


def _edited(text: str, call: PendingCall) -> dict[str, Any]:
    """What a person wrote, with the original in the place of what was not shown."""
    arguments = json.loads(text)
    if not isinstance(arguments, dict):
        raise InputError("the arguments must be a JSON object: { … }")
    return restored(arguments, call.arguments)
