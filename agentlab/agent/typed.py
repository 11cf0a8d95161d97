"""A decision typed by a person: at the terminal of a script, or in the input line of a notebook's cell."""

from __future__ import annotations

import json
from collections.abc import Callable

from agentlab.agent.approval import Decision
from agentlab.agent.desk import PendingCall
from agentlab.errors import ToolArgumentError
from agentlab.trace.safe import visible


def typed_decision(call: PendingCall, show: Callable[[str], None]) -> Decision | None:
    """Ask by `input()` until the answer can be used; None at the end of the input.

    Args:
        call: What is asked about.
        show: Tells the question, and why an answer was not taken.
    """
    arguments = visible(json.dumps(call.arguments, ensure_ascii=False, indent=2))
    show(f"\n{visible(call.tool)} {arguments}\n(step {call.step} of {call.run_id})")
    while True:
        try:
            line = input("[a]pprove, [d]eny REASON, [e]dit JSON, [r]espond TEXT, [s]top? ").strip()
            return _read_line(call, line)
        except (EOFError, NotImplementedError):  # the latter: a kernel whose front end lets nobody type
            return None
        except (ValueError, ToolArgumentError) as exc:
            show(f"not taken: {exc}")


def _read_line(call: PendingCall, line: str) -> Decision:
    key, _, rest = line.partition(" ")
    match key.lower():
        case "a" | "approve":
            return Decision(action="approve")
        case "d" | "deny":
            return Decision(action="deny", reason=rest or None)
        case "e" | "edit":
            edited = Decision(action="edit", arguments=json.loads(rest))
            call.check(edited)
            return edited
        case "r" | "respond":
            return Decision(action="respond", response=rest)
        case "s" | "stop":
            return Decision(action="stop", reason=rest or None)
    raise ValueError(f"{line!r} is none of the answers")
