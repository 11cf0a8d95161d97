"""Time and ids: the system's, or frozen ones that repeat to the byte.

    with agentlab.frozen(at="2026-01-02T03:04:05Z", seed=7):
        ...    # same times, same ids, every time

Everything in agentlab that needs the time or an id asks here, so one place decides. Virtual time stands still
while code works and jumps ahead when everybody sleeps: a thousand scripted runs of a minute each take seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import os
import random
import time
from collections.abc import Awaitable, Iterator
from contextlib import AbstractContextManager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol, TypeVar
from weakref import WeakKeyDictionary, WeakSet

_T = TypeVar("_T")


class Clock(Protocol):
    """Where times come from."""

    kind: Literal["system", "virtual"]

    def now(self) -> datetime:
        """Wall time, UTC; for display only."""
        ...

    def monotonic_ns(self) -> int:
        """Monotonic time [ns]; every duration is a difference of two of these."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait [s]."""
        ...

    def held(self) -> AbstractContextManager[None]:
        """Keep virtual time where it is, for work in a thread that the event loop cannot see."""
        ...


class SystemClock:
    """The machine's clock."""

    kind: Literal["system", "virtual"] = "system"

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_ns(self) -> int:
        return time.perf_counter_ns()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def held(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()


_looks: WeakKeyDictionary[asyncio.AbstractEventLoop, int] = WeakKeyDictionary()
"""How many virtual clocks wait in a loop's queue to see whether it is idle."""


class VirtualClock:
    """A clock that moves only when somebody sleeps on it, and then at once.

    Sleepers of one event loop wake in the order of their times; the time advances when the loop has nothing else to
    do. A clock on which nobody sleeps stands still: that is frozen time. `held()` keeps the time where it is while
    work goes on that the loop cannot see (a thread).
    """

    kind: Literal["system", "virtual"] = "virtual"

    def __init__(self, at: datetime | str) -> None:
        start = datetime.fromisoformat(at) if isinstance(at, str) else at
        self._start = start.replace(tzinfo=UTC) if start.tzinfo is None else start.astimezone(UTC)
        self._now_ns = 0
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._watching: WeakSet[asyncio.AbstractEventLoop] = WeakSet()
        self._held = 0

    def now(self) -> datetime:
        return self._start + timedelta(microseconds=self._now_ns // 1000)

    def monotonic_ns(self) -> int:
        return self._now_ns

    async def sleep(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        wake_ns = self._now_ns + max(0, round(seconds * 1e9))
        heapq.heappush(self._sleepers, (wake_ns, next(self._order), future))
        self._watch(loop)
        await future

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Time stands while the block runs."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop not in self._watching:  # a loop may have ended with its look still queued; another one starts afresh
            self._watching.add(loop)
            self._look_soon(loop)

    def _look_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        _looks[loop] = _looks.get(loop, 0) + 1
        loop.call_soon(self._advance_when_idle, loop)

    def _advance_when_idle(self, loop: asyncio.AbstractEventLoop) -> None:
        # `_ready` holds what asyncio's loops run next. Looks of other virtual clocks are no work; this one has been
        # taken out already. Without that attribute (other loops) every turn counts as idle.
        _looks[loop] -= 1
        busy = len(getattr(loop, "_ready", ())) > _looks[loop]
        if self._held:
            loop.call_later(0.001, self._look_soon, loop)
        elif busy:
            self._look_soon(loop)
        else:
            self._watching.discard(loop)
            self._wake_next()
            if self._sleepers:
                self._watch(loop)

    def _wake_next(self) -> None:
        while self._sleepers:
            wake_ns, _, future = heapq.heappop(self._sleepers)
            if not future.done() and not future.get_loop().is_closed():  # else the sleeper is gone
                self._now_ns = max(self._now_ns, wake_ns)
                future.set_result(None)
                return


class Ids:
    """Random ids; with a seed the same ones every time."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(os.urandom(16) if seed is None else seed)

    def uuid(self) -> str:
        """A version-4 UUID as text."""
        h = f"{self._random.getrandbits(128):032x}"
        variant = "89ab"[int(h[16], 16) & 3]
        return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{variant}{h[17:20]}-{h[20:]}"

    def token(self, digits: int) -> str:
        """`digits` hexadecimal digits."""
        return f"{self._random.getrandbits(4 * digits):0{digits}x}"


_SYSTEM_CLOCK: Clock = SystemClock()
_SYSTEM_IDS = Ids()
os.register_at_fork(after_in_child=lambda: _SYSTEM_IDS.__init__())  # type: ignore[misc]  # a forked worker draws its own

_clock: ContextVar[Clock] = ContextVar("agentlab_clock")
_ids: ContextVar[Ids] = ContextVar("agentlab_ids")


def clock() -> Clock:
    """The clock in force here."""
    return _clock.get(_SYSTEM_CLOCK)


def now() -> datetime:
    """Wall time, UTC."""
    return _clock.get(_SYSTEM_CLOCK).now()


def monotonic_ns() -> int:
    """Monotonic time [ns]."""
    return _clock.get(_SYSTEM_CLOCK).monotonic_ns()


async def sleep(seconds: float) -> None:
    """Wait [s] on the clock in force: virtual time jumps."""
    await _clock.get(_SYSTEM_CLOCK).sleep(seconds)


async def within(work: Awaitable[_T], limit_s: float | None) -> _T:
    """The result of the work, when it comes in time on the clock in force. Late work is cancelled.

    Args:
        work: What to wait for.
        limit_s: How long [s]; None: as long as it takes.

    Raises:
        LimitPassed: The time is over. An error of the work's own is never mistaken for it.
    """
    if limit_s is None:
        return await work
    task, limit = asyncio.ensure_future(work), asyncio.ensure_future(sleep(limit_s))
    try:
        await asyncio.wait({task, limit}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise LimitPassed(limit_s)
        return task.result()
    finally:
        task.cancel()
        limit.cancel()
        await asyncio.gather(task, limit, return_exceptions=True)


class LimitPassed(Exception):  # noqa: N818  # a signal for the caller, who knows what it means
    """The time given to some work is over."""


def held() -> AbstractContextManager[None]:
    """Virtual time stands while the block runs; the system's goes on."""
    return _clock.get(_SYSTEM_CLOCK).held()


def new_uuid() -> str:
    """A fresh version-4 UUID."""
    return _ids.get(_SYSTEM_IDS).uuid()


def new_message_id() -> str:
    """`message-<uuid4>`."""
    return "message-" + _ids.get(_SYSTEM_IDS).uuid()


def new_run_id() -> str:
    """`run-<uuid4>`."""
    return "run-" + _ids.get(_SYSTEM_IDS).uuid()


def new_step_id() -> str:
    """`step-<uuid4>`."""
    return "step-" + _ids.get(_SYSTEM_IDS).uuid()


def new_call_id() -> str:
    """`call_` and 24 hexadecimal digits: 29 characters, the most that OpenAI's chat form keeps."""
    return "call_" + _ids.get(_SYSTEM_IDS).token(24)


@contextlib.contextmanager
def frozen(*, at: datetime | str = "2026-01-02T03:04:05+00:00", seed: int = 0) -> Iterator[VirtualClock]:
    """Freeze time and ids for a block: times stand at `at` and move only by virtual sleeps, ids are drawn from `seed`.

    Runs started inside keep the frozen world to their end, also when they are awaited after the block.

    Args:
        at: The wall time at the start; without a zone it is UTC.
        seed: Two blocks with one seed draw the same ids.
    """
    virtual = VirtualClock(at)
    clock_token, ids_token = _clock.set(virtual), _ids.set(Ids(seed))
    try:
        yield virtual
    finally:
        _ids.reset(ids_token)
        _clock.reset(clock_token)
