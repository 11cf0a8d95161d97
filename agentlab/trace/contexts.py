"""The conversation as it stood at an event, without what else a trace adds up to."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile

from agentlab.messages.message import Message
from agentlab.trace.events import ContextCompacted, Event, MessageAdded
from agentlab.trace.trace import Trace


def messages_before(events: Iterable[Event], seq: int) -> list[Message]:
    """What a model read that was called by the event of this number.

    Args:
        events: Those of a run, in order.
        seq: Number of the event.
    """
    before = takewhile(lambda event: event.seq < seq, events)
    return Trace(event for event in before if isinstance(event, MessageAdded | ContextCompacted)).messages
