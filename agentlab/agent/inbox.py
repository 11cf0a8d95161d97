"""Decisions from elsewhere: another process leaves them where the run is kept, and the run looks there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from agentlab.agent.approval import Decision
from agentlab.agent.desk import Answer
from agentlab.trace.journal import Journal

POLL_S = 0.25
"""How often a waiting run looks [s]."""


class RunStore(Protocol):
    """Something that keeps runs and the decisions on their calls; a lab is one."""

    def journal(self, run_id: str) -> Journal:
        """A journal for a run, new or taken up again."""
        ...

    def answers(self, run_id: str) -> Mapping[str, Answer]:
        """The decisions that were left for the run, by call id."""
        ...

    def leave_answer(self, run_id: str, call_id: str, decision: Decision, by: str) -> Answer:
        """Leave a decision; the one that is there now. Of two at once, one is first, and stays."""
        ...
