"""A function run in a thread of its own, which may be given up."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


def start_in_thread(function: Callable[[], _T], *, name: str) -> asyncio.Future[_T]:
    """Start the function now; a future of its result.

    Not a pool: a tool that hangs would keep its place there for ever. And a daemon: it would keep the process alive.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()
    context = contextvars.copy_context()

    def settle(result: _T | None, error: BaseException | None) -> None:
        if future.done():  # given up
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]  # a result, when there is no error
        else:
            future.set_exception(error)

    def work() -> None:
        result: _T | None = None
        error: BaseException | None = None
        try:
            result = context.run(function)
        except StopIteration as exc:  # a future cannot hold this one
            error = RuntimeError(f"StopIteration: {exc}")
        except BaseException as exc:  # noqa: BLE001  # whoever waits gets it
            error = exc
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=work, name=name, daemon=True).start()
    return future
