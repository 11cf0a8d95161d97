"""Observers of every run in this process: told of each event as it is recorded, without the loop knowing of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeAlias

from agentlab.trace.events import Event
from agentlab.trace.trace import Trace

Observer: TypeAlias = Callable[[Trace, Event], None]
"""Gets the trace so far and the event that was just added to it."""

_LOG = logging.getLogger("agentlab.trace")
_observers: tuple[Observer, ...] = ()


def observe(observer: Observer) -> Callable[[], None]:
    """What ends the observation: call it, once or more.

    The observer is called in the run's own task, between two events: it must be quick and must not change the trace.
    What it raises never reaches a run; it is logged once.
    """
    global _observers  # a tuple that is replaced needs no lock where it is read
    told = _Told(observer)
    _observers = (*_observers, told)

    def stop() -> None:
        global _observers
        _observers = tuple(other for other in _observers if other is not told)

    return stop


def tell(trace: Trace, event: Event) -> None:
    """Tell all observers of an event that has joined the trace."""
    for observer in _observers:
        observer(trace, event)


class _Told:
    """An observer whose errors stay with it."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._has_failed = False

    def __call__(self, trace: Trace, event: Event) -> None:
        try:
            self._observer(trace, event)
        except Exception as exc:  # noqa: BLE001  # whoever looks on does no harm
            if not self._has_failed:
                self._has_failed = True  # no text of the error: it may hold what the run is about
                _LOG.warning("an observer of runs failed (%s) and may miss events; the runs go on", type(exc).__name__)
