from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from agentlab import clock
from agentlab.clock import Ids, SystemClock, VirtualClock, frozen

UUID4 = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


async def test_sleepers_wake_in_the_order_of_their_times() -> None:
    virtual, woken = VirtualClock("2026-01-02"), []

    async def sleeper(seconds: float) -> None:
        await virtual.sleep(seconds)
        woken.append((seconds, virtual.monotonic_ns()))

    await asyncio.gather(*map(sleeper, [3, 1, 2.5]))

    assert woken == [(1, 1_000_000_000), (2.5, 2_500_000_000), (3, 3_000_000_000)]


async def test_sleepers_of_one_moment_wake_in_the_order_they_lay_down() -> None:
    virtual, woken = VirtualClock("2026-01-02"), []

    async def sleeper(name: str) -> None:
        await virtual.sleep(1)
        woken.append(name)

    await asyncio.gather(*map(sleeper, "cab"))

    assert woken == ["c", "a", "b"]


async def test_what_wakes_first_works_before_time_goes_on() -> None:
    virtual, seen = VirtualClock("2026-01-02"), []

    async def early() -> None:
        await virtual.sleep(1)
        for _ in range(20):
            await asyncio.sleep(0)
        seen.append(virtual.monotonic_ns())

    await asyncio.gather(early(), virtual.sleep(2))

    assert seen == [1_000_000_000]


async def test_a_sleep_of_nothing_lets_others_work_and_takes_no_time() -> None:
    virtual, worked = VirtualClock("2026-01-02"), []

    async def other() -> None:
        worked.append(True)

    task = asyncio.create_task(other())
    await virtual.sleep(0)
    await virtual.sleep(-1)

    assert worked == [True]
    assert virtual.monotonic_ns() == 0
    await task


async def test_wall_time_moves_with_virtual_time() -> None:
    virtual = VirtualClock("2026-01-02T03:04:05Z")

    await virtual.sleep(90)

    assert virtual.now() == datetime(2026, 1, 2, 3, 5, 35, tzinfo=UTC)


async def test_years_of_sleep_are_over_at_once() -> None:
    virtual = VirtualClock("2026-01-02")

    for _ in range(1000):
        await virtual.sleep(86_400)

    assert virtual.now() == datetime(2026, 1, 2, tzinfo=UTC) + timedelta(days=1000)


async def test_two_clocks_in_one_loop_keep_their_own_time() -> None:
    one, two, woken = VirtualClock("2026-01-02"), VirtualClock("2026-01-02"), []

    async def sleeper(on: VirtualClock, *naps: float) -> None:
        for nap in naps:
            await on.sleep(nap)
            woken.append((on is one, on.monotonic_ns()))

    await asyncio.gather(sleeper(one, 5, 5), sleeper(two, 1, 1), sleeper(two, 1.5))

    assert [t for is_one, t in woken if is_one] == [5_000_000_000, 10_000_000_000]
    assert [t for is_one, t in woken if not is_one] == [1_000_000_000, 1_500_000_000, 2_000_000_000]


async def test_cancelled_sleepers_neither_move_time_nor_stop_it() -> None:
    virtual = VirtualClock("2026-01-02")
    sleepers = [asyncio.create_task(virtual.sleep(seconds)) for seconds in (1, 100)]
    await asyncio.sleep(0)

    for sleeper in sleepers:
        sleeper.cancel()
    await virtual.sleep(2)
    await asyncio.to_thread(let_the_loop_rest, asyncio.get_running_loop())

    assert virtual.monotonic_ns() == 2_000_000_000
    assert all(sleeper.cancelled() for sleeper in sleepers)


def let_the_loop_rest(loop: asyncio.AbstractEventLoop) -> None:
    """Work in a thread during which the loop has nothing to do, ten times over."""
    for _ in range(10):
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result()


async def test_held_time_stands_until_a_thread_is_done() -> None:
    virtual = VirtualClock("2026-01-02")
    sleeper = asyncio.create_task(virtual.sleep(1))

    with virtual.held():
        await asyncio.to_thread(let_the_loop_rest, asyncio.get_running_loop())
        assert (virtual.monotonic_ns(), sleeper.done()) == (0, False)
    await sleeper

    assert virtual.monotonic_ns() == 1_000_000_000


async def test_held_may_nest() -> None:
    virtual = VirtualClock("2026-01-02")
    sleeper = asyncio.create_task(virtual.sleep(1))

    with virtual.held():
        with virtual.held():
            pass
        await asyncio.to_thread(let_the_loop_rest, asyncio.get_running_loop())
        assert not sleeper.done()
    await sleeper


@pytest.mark.parametrize("cancelled", [True, False], ids=["cancelled with its loop", "left in its loop"])
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_clock_goes_on_in_the_next_loop_when_the_last_one_ended_with_a_sleeper(turns: int, cancelled: bool) -> None:
    virtual = VirtualClock("2026-01-02")

    async def leave_early() -> asyncio.Task[None]:
        sleeper = asyncio.create_task(virtual.sleep(100))
        for _ in range(turns):
            await asyncio.sleep(0)
        return sleeper

    async def sleep_again() -> None:
        await asyncio.wait_for(virtual.sleep(1), timeout=20)

    if cancelled:
        asyncio.run(leave_early())
    else:
        loop = asyncio.new_event_loop()
        sleeper = loop.run_until_complete(leave_early())
        loop.close()
    before_ns = virtual.monotonic_ns()
    asyncio.run(sleep_again())

    assert virtual.monotonic_ns() == before_ns + 1_000_000_000
    if not cancelled:
        sleeper._log_destroy_pending = False  # its loop is gone: nobody can cancel it


async def test_the_system_clock_goes_forward_and_is_not_held() -> None:
    system = SystemClock()
    before = system.monotonic_ns()

    with system.held():
        await system.sleep(0)

    assert system.monotonic_ns() > before
    assert system.now().tzinfo is UTC


def test_a_start_without_a_zone_is_utc_and_another_zone_is_converted() -> None:
    assert VirtualClock("2026-01-02T03:04:05").now() == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert VirtualClock("2026-01-02T03:04:05+02:00").now().isoformat() == "2026-01-02T01:04:05+00:00"
    assert VirtualClock(datetime(2026, 1, 2)).now().tzinfo is UTC


def test_frozen_time_stands_and_thaws() -> None:
    with frozen(at="2026-01-02T03:04:05Z") as virtual:
        assert clock.clock() is virtual
        assert clock.now() == clock.now() == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        assert clock.monotonic_ns() == clock.monotonic_ns() == 0

    assert clock.clock().kind == "system"


def test_frozen_blocks_nest_and_give_back_what_was() -> None:
    with frozen(at="2026-01-01", seed=1):
        first = clock.new_uuid()
        with frozen(at="2027-01-01", seed=2):
            assert clock.now().year == 2027
            clock.new_uuid()
        second = clock.new_uuid()
        assert clock.now().year == 2026

    with frozen(seed=1):
        assert [clock.new_uuid(), clock.new_uuid()] == [first, second]


def test_a_frozen_block_that_raises_thaws() -> None:
    with pytest.raises(KeyError), frozen():
        raise KeyError

    assert clock.clock().kind == "system"


async def test_a_task_started_in_a_frozen_block_stays_in_its_world() -> None:
    async def world() -> tuple[int, str]:
        await clock.sleep(1)
        return clock.now().year, clock.new_run_id()

    with frozen(at="2027-01-01", seed=3):
        task = asyncio.create_task(world())
    with frozen(seed=3):
        expected = clock.new_run_id()

    assert await task == (2027, expected)


def test_a_seed_repeats_and_another_differs() -> None:
    def draw(seed: int | None) -> list[str]:
        ids = Ids(seed)
        return [ids.uuid(), ids.token(24), ids.uuid()]

    assert draw(7) == draw(7)
    assert draw(7) != draw(8)
    assert draw(None) != draw(None)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (clock.new_uuid, UUID4),
        (clock.new_message_id, "message-" + UUID4),
        (clock.new_run_id, "run-" + UUID4),
        (clock.new_step_id, "step-" + UUID4),
        (clock.new_call_id, "call_[0-9a-f]{24}"),
    ],
    ids=["uuid", "message", "run", "step", "call"],
)
def test_ids_have_their_shape_and_never_repeat(make: Callable[[], str], shape: str) -> None:
    drawn = [make() for _ in range(500)]

    assert all(re.fullmatch(shape, drawn_id) for drawn_id in drawn)
    assert len(set(drawn)) == 500


def test_a_forked_process_draws_ids_of_its_own() -> None:
    code = """
import os
from agentlab import clock
clock.new_uuid()
if pid := os.fork():
    os.waitpid(pid, 0)
print(clock.new_uuid())
"""
    drawn = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout.split()

    assert len(drawn) == len(set(drawn)) == 2
