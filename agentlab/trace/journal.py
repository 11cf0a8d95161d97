"""Where a run writes its events."""

from __future__ import annotations

from typing import Protocol

from agentlab.trace.events import Event


class Journal(Protocol):
    """Keeps the events of one run, in order. A `Trace` is one, in memory; a lab gives one per run, on disk."""

    def append(self, event: Event) -> None:
        """Take one event. It may stay in a buffer until `flush`."""
        ...

    def flush(self) -> None:
        """Return when everything taken so far survives the end of the process.

        The loop calls it before a tool runs, after each tool and model reply, and at the end of a step.
        """
        ...

    def close(self) -> None:
        """Flush and let go; the run is over or given up."""
        ...
