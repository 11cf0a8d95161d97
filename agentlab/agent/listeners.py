"""Who wants to know that something has changed. They are told no more than that, and look for themselves."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

_LOG = logging.getLogger("agentlab.agent")


class Listeners:
    """Functions that are called on every change, on whatever thread it happens."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._acts: dict[object, Callable[[], None]] = {}

    def add(self, act: Callable[[], None]) -> Callable[[], None]:
        """Call this from now on; what ends that, and is harmless twice."""
        key = object()
        with self._lock:
            self._acts[key] = act

        def stop() -> None:
            with self._lock:
                self._acts.pop(key, None)

        return stop

    def tell(self) -> None:
        """Something has changed. Whoever calls this holds no lock. A listener that fails is logged, and no more."""
        with self._lock:
            acts = list(self._acts.values())
        for act in acts:
            try:
                act()
            except Exception:  # noqa: BLE001  # whoever looks on does no harm
                _LOG.exception("a listener failed; the run goes on")
