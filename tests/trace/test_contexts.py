"""The conversation as it stood at any event: that of a trace which was cut there."""

from __future__ import annotations

from agentlab.messages import builders
from agentlab.trace.contexts import messages_before
from agentlab.trace.events import ContextCompacted, MessageAdded
from agentlab.trace.trace import Trace
from tests.factories import Story, reply, tool


def test_the_messages_before_each_event_are_those_of_the_trace_up_to_it():
    story = Story().step(reply(calls=["search"]), tool("search"))
    first, second, *_ = Trace(story.events).messages
    story.step(reply("Two."), finished=False)
    newer = builders.system_message("You count dogs.")
    story.emit(MessageAdded, message=newer, source="system", replaces=first.id)
    summary = builders.user_message("Cats were counted.")
    story.emit(ContextCompacted, removed=(second.id,), summary=summary, how="summary")
    story.step(reply("Three."))
    trace = story.end()

    contexts = [messages_before(trace.events, event.seq) for event in trace.events]

    assert contexts == [Trace(trace.events[: event.seq]).messages for event in trace.events]
    assert newer in contexts[-1]
    assert summary in contexts[-1]
    assert second not in contexts[-1]
