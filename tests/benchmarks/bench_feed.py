"""What a view of a long run costs the kernel: each batch, a snapshot, and what a page may ask for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

from agentlab.trace.trace import Trace
from agentlab.widgets.copies import events_json
from agentlab.widgets.feed import Feed
from agentlab.widgets.request_view import request_of_step
from tests.benchmarks.figures import Figure, cpu_seconds
from tests.widgets.traces import long_trace

MESSAGES = 100_000
FLUSH_TARGET_MS = 5.0
REQUEST_TARGET_S = 1.0
STALL_TARGET_MS = 100.0


class StillRunning:
    """A run that goes on, of which no call waits."""

    can_stop = True

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def asks(self) -> dict[str, dict[str, Any]]:
        """None."""
        return {}

    def now_ns(self) -> int:
        """The time of the last event."""
        return self._trace.events[-1].t_ns


def run() -> Iterator[Figure]:
    """Batches of one event each; then the slow answers, beside a loop that goes on."""
    whole = long_trace(MESSAGES)
    trace = Trace(whole.events[:-2], live=True)  # its last step goes on
    feed = Feed(trace, StillRunning(trace), lambda kind, **fields: None)
    feed.snapshot()
    last, detail = trace.events[-1], f"one new event, {MESSAGES:,} messages"

    def flush() -> None:
        feed._take(last)
        feed._dirty = last.step
        feed.flush()

    yield Figure("CPU of a batch", cpu_seconds(flush, repeats=50) * 1e3, "ms", FLUSH_TARGET_MS, False, detail)
    yield Figure("CPU of a new feed", cpu_seconds(lambda: Feed(whole, None, print), repeats=3), "s", None, False)
    yield Figure("CPU of a snapshot", cpu_seconds(feed.snapshot) * 1e3, "ms", None, False)
    number = trace.steps[-1].number
    spent_s = cpu_seconds(lambda: request_of_step(trace, number), repeats=3)
    yield Figure("CPU of the last step's request", spent_s, "s", REQUEST_TARGET_S, False)
    answers: dict[str, Callable[[], object]] = {
        "search": lambda: feed.search("zzz"),
        "copy": lambda: events_json(list(trace.events)),
        "request": lambda: request_of_step(trace, number),
    }
    for name, answer in answers.items():
        stalled_ms = asyncio.run(_longest_stall_ms(answer))
        yield Figure(f"longest stall of the loop during {name}", stalled_ms, "ms", STALL_TARGET_MS, False)


async def _longest_stall_ms(answer: Callable[[], object]) -> float:
    """The longest time between two turns of a loop that sleeps for 1 ms, while a thread answers."""
    loop, longest_s = asyncio.get_running_loop(), 0.0
    thread = threading.Thread(target=answer)
    thread.start()
    before_s = loop.time()
    while thread.is_alive():
        await asyncio.sleep(0.001)
        longest_s, before_s = max(longest_s, loop.time() - before_s), loop.time()
    thread.join()
    return longest_s * 1e3
